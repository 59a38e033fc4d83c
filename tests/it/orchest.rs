//! The catalogue of the example Orchest, on a database: who is told of its events, and what of a transaction remains.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Map, Value, json};
use tidings::{
    Error, Event, Options, commit, deliverer::Memory, register_event, register_event_with,
    register_events,
};
use tidings_example_orchest::{
    catalogue,
    event::{
        self, cron_job::CronJobPipelineRunFailed, one_off_job::OneOffJobStarted,
        project::ProjectDeleted,
    },
    layer::{OneOffJob, Project, Site, run::PipelineParameters},
    life,
    record::JobRecord,
    sample::Sample,
    samples,
};
use tidings_tests::World;
use uuid::Uuid;

const STARTED: &str = "project:one-off-job:started";

/// A world that knows Orchest's types, and whose database has the application's tables.
async fn world() -> World {
    let world = World::new(&[]).await;
    life::prepare(&world.pool).await.unwrap();
    world
}

fn project(number: u128) -> Project {
    Project { uuid: Uuid::from_u128(number), ..Sample::sample("word") }
}

/// Says that a job of a project has begun.
fn started(project_number: u128, job_number: u128) -> OneOffJobStarted {
    let mut job = OneOffJob::sample("word");
    job.job.uuid = Uuid::from_u128(job_number);
    OneOffJobStarted::new(project(project_number), job)
}

async fn register(world: &World, event: &dyn Event) -> Uuid {
    let mut tx = world.pool.begin().await.unwrap();
    let registered = register_event(&mut tx, event).await.unwrap();
    commit(tx).await.unwrap();
    registered.event_id
}

/// Returns how many events and how many deliveries there are.
async fn counts(world: &World) -> (i64, i64) {
    (world.value("select count(*) from tidings.event").await, world.pending().await)
}

/// Returns the subscribers that have a delivery of the event, each as often as it has.
async fn told(world: &World, event_id: Uuid) -> Vec<i32> {
    sqlx::query_scalar(
        "select subscriber_id from tidings.delivery where event_id = $1 order by subscriber_id",
    )
    .bind(event_id)
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn every_type_can_be_registered_and_is_kept_with_both_views() {
    let world = world().await;
    let everything: Vec<_> =
        samples("word").into_iter().chain(event::analytics::samples("word")).collect();
    let events: Vec<&dyn Event> = everything.iter().map(AsRef::as_ref).collect();
    let mut tx = world.pool.begin().await.unwrap();
    assert_eq!(register_events(&mut tx, &events).await.unwrap().len(), 66);
    commit(tx).await.unwrap();
    let stored: Vec<(String, i16)> =
        sqlx::query_as("select type, version from tidings.event where telemetry is not null")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    let declared: BTreeSet<_> = catalogue()
        .unwrap()
        .iter()
        .map(|declared| (declared.name.as_str().to_owned(), declared.version))
        .collect();
    assert_eq!(BTreeSet::from_iter(stored), declared);
}

#[tokio::test]
async fn event_of_a_project_lives_and_dies_with_its_transaction() {
    let world = world().await;
    world.subscriber("all", "project:**").await;
    for (commits, expected) in [(false, (0, 0)), (true, (1, 1))] {
        let mut tx = world.pool.begin().await.unwrap();
        register_event(&mut tx, &started(1, 1)).await.unwrap();
        if commits {
            commit(tx).await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        assert_eq!(counts(&world).await, expected);
    }
}

#[tokio::test]
async fn event_that_nobody_asked_for_is_kept_and_delivered_to_nobody() {
    let world = world().await;
    world.subscriber("others", "project:cron-job:*").await;
    register(&world, &started(1, 1)).await;
    assert_eq!(counts(&world).await, (1, 0));
}

#[tokio::test]
async fn subscriber_to_a_type_a_project_and_a_job_gets_one_delivery() {
    let world = world().await;
    let id = world.bare_subscriber("one", "memory", json!({})).await;
    let (project, job) = (Uuid::from_u128(1), Uuid::from_u128(2));
    for scope in ["", &format!("project={project}"), &format!("project={project}/job={job}")] {
        world.subscribe(id, STARTED, scope, false).await;
    }
    let event_id = register(&world, &started(1, 2)).await;
    assert_eq!(told(&world, event_id).await, [id]);
}

#[tokio::test]
async fn subscription_to_a_job_is_for_no_other_job_of_the_project() {
    let world = world().await;
    let (project, job) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let mut ids = Vec::new();
    for scope in ["", &format!("project={project}"), &format!("project={project}/job={job}")] {
        let id = world.bare_subscriber(&format!("s{}", ids.len()), "memory", json!({})).await;
        world.subscribe(id, STARTED, scope, false).await;
        ids.push(id);
    }
    for (event, expected) in
        [(started(1, 2), &ids[..]), (started(1, 3), &ids[..2]), (started(9, 2), &ids[..1])]
    {
        let event_id = register(&world, &event).await;
        assert_eq!(told(&world, event_id).await, expected, "{:?}", event.scope());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_delivered_is_what_was_so_when_it_was_registered() {
    let world = world().await;
    world.subscriber("all", "project:**").await;
    // The whole life of a project: at its end its rows are gone, and nothing has been delivered yet.
    let told = life::run(&world.pool, &Site::default()).await.unwrap();
    let rows: i64 = world.value("select count(*) from orchest.project").await;
    assert_eq!((rows, world.pending().await), (0, i64::try_from(told.len()).unwrap()));

    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    world.drained().await;
    let payloads: BTreeMap<String, Value> = memory
        .deliveries()
        .into_iter()
        .map(|delivery| {
            let payload = serde_json::from_str(&delivery.event.payload).unwrap();
            (delivery.event.event_type, payload)
        })
        .collect();
    assert_eq!(payloads["project:created"]["project"]["name"], "Weather");
    let schedule = |name: &str| payloads[name]["project"]["job"]["schedule"].clone();
    assert_eq!(schedule("project:cron-job:created"), "0 * * * *", "and not what it became");
    assert_eq!(schedule("project:cron-job:started"), "30 * * * *");
    assert_eq!(
        payloads["project:cron-job:updated"]["project"]["job"]["update"],
        json!({"changes": [
            {
                "type": "UPDATED", "changed_object": "schedule",
                "old_value": "0 * * * *", "new_value": "30 * * * *",
            },
            {"type": "CREATED", "changed_object": "environment_variable"},
        ]})
    );
    let run = &payloads["project:cron-job:run:pipeline-run:failed"]["project"]["job"]["run"];
    assert_eq!(run["pipeline_run"]["failed_steps"][0]["title"], "Train");
}

#[tokio::test]
async fn life_of_a_project_is_told_in_its_order() {
    let world = world().await;
    let told = life::run(&world.pool, &Site::default()).await.unwrap();
    let names: Vec<_> = told.iter().map(|told| told.event_type).collect();
    assert_eq!(
        names,
        [
            "project:created",
            "project:pipeline:created",
            "project:cron-job:created",
            "project:cron-job:updated",
            "project:cron-job:started",
            "project:cron-job:run:started",
            "project:cron-job:run:pipeline-run:created",
            "project:cron-job:run:pipeline-run:started",
            "project:cron-job:run:pipeline-run:failed",
            "project:cron-job:run:failed",
            "project:cron-job:deleted",
            "project:deleted",
        ]
    );
    // What was rolled back on the way has left nothing, and the events of one transaction are in order as well.
    let stored: Vec<Uuid> =
        sqlx::query_scalar("select event_id from tidings.event order by event_id")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(stored, told.iter().map(|told| told.event_id).collect::<Vec<_>>());
}

#[tokio::test]
async fn deliveries_outlive_their_event_and_go_with_their_subscriber() {
    let world = world().await;
    let (one, other) =
        (world.subscriber("one", "project:**").await, world.subscriber("other", "**").await);
    let event_id = register(&world, &ProjectDeleted { project: Sample::sample("word") }).await;
    world.execute("delete from tidings.event").await;
    assert_eq!(told(&world, event_id).await, [one, other]);
    sqlx::query("select tidings.remove_subscriber_v1($1)")
        .bind(one)
        .execute(&world.pool)
        .await
        .unwrap();
    assert_eq!(told(&world, event_id).await, [other]);
}

#[tokio::test]
async fn update_that_changes_nothing_leaves_nothing_and_the_kind_is_the_one_before() {
    let world = world().await;
    let one_off = JobRecord::sample("word");
    let cron = JobRecord { schedule: Some("0 * * * *".into()), ..one_off.clone() };
    for (old, new) in [(&one_off, &one_off), (&one_off, &cron), (&cron, &one_off), (&cron, &cron)] {
        if let Some(event) = old.updated(new, project(1), &Site::default()) {
            register(&world, event.as_ref()).await;
        }
    }
    let types: Vec<String> = sqlx::query_scalar("select type from tidings.event order by event_id")
        .fetch_all(&world.pool)
        .await
        .unwrap();
    assert_eq!(types, ["project:one-off-job:updated", "project:cron-job:updated"]);
}

#[tokio::test]
async fn event_that_cannot_be_built_costs_the_application_nothing() {
    let world = world().await;
    world.subscriber("all", "**").await;
    let mut pipeline_run = tidings_example_orchest::layer::CronJobPipelineRun::sample("word");
    let text = "x".repeat(tidings::register::PAYLOAD_BYTES_MAX);
    let parameters = Map::from_iter([("text".to_owned(), json!(text))]);
    pipeline_run.run.run.parameters.pipeline_parameters = Some(PipelineParameters { parameters });
    let (job, run) = (Sample::sample("word"), Sample::sample("word"));
    let too_large = CronJobPipelineRunFailed::new(project(1), job, run, pipeline_run);

    let mut tx = world.pool.begin().await.unwrap();
    sqlx::query("insert into orchest.project values (gen_random_uuid(), 'kept')")
        .execute(&mut *tx)
        .await
        .unwrap();
    let refused = register_event(&mut tx, &too_large).await;
    assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    register_event(&mut tx, &started(1, 1)).await.unwrap();
    commit(tx).await.unwrap();
    assert_eq!(counts(&world).await, (1, 1));
    assert_eq!(world.value::<String>("select name from orchest.project").await, "kept");
}

#[tokio::test]
async fn key_that_was_used_for_an_event_gives_that_event() {
    let world = world().await;
    world.subscriber("all", "**").await;
    let mut ids = BTreeSet::new();
    for repeated in [false, true, true] {
        let mut tx = world.pool.begin().await.unwrap();
        let options = Options::default().idempotency_key("job-1-started");
        let registered = register_event_with(&mut tx, &started(1, 1), options).await.unwrap();
        assert_eq!(registered.repeated, repeated);
        ids.insert(registered.event_id);
        commit(tx).await.unwrap();
    }
    assert_eq!((ids.len(), counts(&world).await), (1, (1, 1)));
}

#[tokio::test]
async fn events_of_one_transaction_are_in_the_order_in_which_they_were_registered() {
    let world = world().await;
    let samples: Vec<Arc<dyn Event>> = samples("word").into_iter().map(Arc::from).collect();
    let mut tx = world.pool.begin().await.unwrap();
    for event in &samples {
        register_event(&mut tx, event.as_ref()).await.unwrap();
    }
    commit(tx).await.unwrap();
    let stored: Vec<String> =
        sqlx::query_scalar("select type from tidings.event order by event_id")
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert!(stored.iter().eq(samples.iter().map(|event| event.event_type())), "{stored:?}");
}
