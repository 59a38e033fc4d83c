//! Destinations that are not well: slowed down, held up and tried with one delivery, and back at full speed in the end.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tidings::{
    deliverer::{Answer, Memory, Verdict},
    subscriber::{self, State},
};
use tidings_tests::{
    Draft, Gate, Receiver, Reply, SOON, World, clock::advance_deliveries, eventually, world::Guard,
};
use tidings_worker::{
    Worker,
    health::{Breaker, Rules},
};

use super::webhook::{Hooks, TYPE};

/// At once, and then again and again.
pub(super) const RESTLESS: &str = r#"{"delays_s": [0, 0.01]}"#;

/// Longer than any of these tests.
const LONG: Duration = Duration::from_mins(10);

pub(super) fn breaker(failures: u32, pause: Duration) -> Rules {
    Rules { breaker: Some(Breaker { failures, pause, pause_max: pause }), ..Rules::OFF }
}

/// A memory that is away for one lane until it is told to be well, and takes everything else.
#[derive(Clone, Debug)]
pub(super) struct Moody {
    pub(super) memory: Memory,
    well: Arc<AtomicBool>,
    receipts: Arc<Mutex<Vec<Instant>>>,
}

impl Moody {
    pub(super) fn away(lane: i32) -> Self {
        let (well, receipts) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let (is_well, noted): (_, Arc<Mutex<Vec<Instant>>>) =
            (Arc::clone(&well), Arc::clone(&receipts));
        let memory = Memory::scripted(move |delivery| {
            if delivery.subscriber_id != lane {
                return Answer::delivered();
            }
            noted.lock().unwrap().push(Instant::now());
            if is_well.load(Ordering::SeqCst) {
                Answer::delivered().with_status(204)
            } else {
                Answer::failed(Verdict::Retry, "answered 503 Service Unavailable").with_status(503)
            }
        });
        Self { memory, well, receipts }
    }

    pub(super) fn recover(&self) {
        self.well.store(true, Ordering::SeqCst);
    }

    /// Returns when the lane was called, so far.
    pub(super) fn receipts(&self) -> Vec<Instant> {
        self.receipts.lock().unwrap().clone()
    }
}

/// Starts a worker by these rules.
pub(super) async fn worker(world: &World, memory: &Memory, rules: Rules) -> Guard {
    let builder = Worker::builder(world.pool.clone()).deliverer(memory.clone());
    world.worker_with(builder.health(rules)).await
}

/// Returns a subscriber as people see it.
pub(super) async fn seen(world: &World, lane: i32) -> subscriber::Summary {
    let mut conn = world.pool.acquire().await.unwrap();
    let id = lane.to_string();
    subscriber::find(&mut conn, "", &id).await.unwrap().unwrap().summary
}

/// Waits until a subscriber is seen in that state.
pub(super) async fn becomes(world: &World, lane: i32, state: State) -> subscriber::Summary {
    eventually(SOON, "the subscriber is in that state", || async {
        let summary = seen(world, lane).await;
        (summary.state == state).then_some(summary)
    })
    .await
}

pub(super) async fn resume(world: &World, lane: i32) {
    let mut conn = world.pool.acquire().await.unwrap();
    assert!(subscriber::resume(&mut conn, lane).await.unwrap());
}

/// Registers `count` events, and waits until another lane of the same worker has got them all.
pub(super) async fn register(world: &World, memory: &Memory, witness: i32, count: u64) {
    let of_witness =
        || memory.deliveries().iter().filter(|delivery| delivery.subscriber_id == witness).count();
    let before = of_witness();
    for n in 0..count {
        world.register(Draft::new(TYPE).number(n)).await;
    }
    let expected = before + usize::try_from(count).unwrap();
    eventually(SOON, "the other lane goes on", || async {
        (of_witness() == expected).then_some(())
    })
    .await;
}

/// Two lanes of one shard: one that a test is about, and one that shows that the worker goes on.
pub(super) async fn lanes(world: &World) -> (i32, i32) {
    let lanes = (world.subscriber("ill", TYPE).await, world.subscriber("well", TYPE).await);
    world.set_retry(lanes.0, RESTLESS).await;
    world.execute("update tidings.subscriber set shard = 3 where kind = 'memory'").await;
    lanes
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_receiver_gets_half_at_a_time_and_all_of_it_again_when_it_has_recovered() {
    let busy = |status| move |gate: &Gate| Reply::status(status).held(gate);
    tokio::join!(
        slows_down_and_recovers(busy(429), true),
        slows_down_and_recovers(busy(503), true),
        // No answer in its time.
        slows_down_and_recovers(busy(204), false),
    );
}

/// Holds eight requests, answers them, and counts how many come at a time from then on.
async fn slows_down_and_recovers(busy: impl Fn(&Gate) -> Reply, is_answered: bool) {
    let mut hooks = Hooks::new().await;
    hooks.settings.timeout = if is_answered { SOON } else { Duration::from_secs(8) };
    let first = Gate::new();
    let reply = busy(&first);
    let receiver = Receiver::start(move |_| reply.clone()).await;
    let well = Receiver::accepting().await;
    let (id, _) = hooks.add("busy", &receiver, r#"{"delays_s": [0, 0.2]}"#).await;
    hooks.world.set_in_flight_max(id, 8).await;
    let (witness, _) = hooks.add("well", &well, RESTLESS).await;
    let _worker = hooks.worker().await;
    for n in 0..12 {
        hooks.world.register(Draft::new(TYPE).number(n)).await;
    }
    receiver.wait_for_in_flight(8, SOON).await;
    let second = Gate::new();
    let held = second.clone();
    receiver.set(move |_| Reply::status(204).held(&held));
    if is_answered {
        first.open();
    }
    receiver.wait_until(SOON, |requests| requests.len() >= 12).await;
    stays_in_flight(&hooks.world, (id, &receiver), 4, (witness, &well)).await;

    // Every eight successes give one back.
    second.open();
    for n in 0..40 {
        hooks.world.register(Draft::new(TYPE).number(n)).await;
    }
    hooks.world.drained().await;
    let third = Gate::new();
    let held = third.clone();
    receiver.set(move |_| Reply::status(204).held(&held));
    for n in 0..10 {
        hooks.world.register(Draft::new(TYPE).number(n)).await;
    }
    stays_in_flight(&hooks.world, (id, &receiver), 8, (witness, &well)).await;
    third.open();
    hooks.world.drained().await;
}

/// Waits until so many requests of a lane are in flight, and sees that no more come: whatever else could start has had
/// its chance when another lane has got something new.
async fn stays_in_flight(
    world: &World,
    (lane, receiver): (i32, &Receiver),
    count: usize,
    (witness, well): (i32, &Receiver),
) {
    receiver.wait_for_in_flight(count, SOON).await;
    let event = world.register(Draft::new(TYPE)).await.to_string();
    world.wake(&[lane, witness]);
    well.wait_until(SOON, |requests| requests.iter().any(|request| request.id() == event)).await;
    assert_eq!(receiver.traffic().in_flight, count);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_breaker_sends_nothing_uses_up_no_attempt_and_is_seen_and_no_other_lane_minds() {
    let world = World::new(&[TYPE]).await;
    let (ill, well) = lanes(&world).await;
    world.set_in_flight_max(ill, 1).await;
    let moody = Moody::away(ill);
    let _worker = worker(&world, &moody.memory, breaker(3, LONG)).await;
    register(&world, &moody.memory, well, 10).await;
    let summary = becomes(&world, ill, State::Failing).await;
    let trouble = summary.trouble.unwrap();
    assert_eq!((trouble.opened, trouble.failures), (1, 3));
    assert!(trouble.failing_since < trouble.until && trouble.until.is_some());

    // What was tried is due again long ago.
    advance_deliveries(&world.pool, LONG).await;
    register(&world, &moody.memory, well, 10).await;
    assert_eq!(moody.receipts().len(), 3);
    eventually(SOON, "three attempts are used up, and no more", || async {
        let attempts = "select array[count(*), sum(attempt)]::bigint[] from tidings.delivery";
        (world.value::<Vec<i64>>(attempts).await == [20, 3]).then_some(())
    })
    .await;
    let other = seen(&world, well).await;
    assert_eq!((other.state, other.trouble), (State::Active, None));

    // A person knows better.
    moody.recover();
    resume(&world, ill).await;
    world.drained().await;
    assert_eq!(moody.receipts().len(), 23);
    eventually(SOON, "nothing is left of it", || async {
        let summary = seen(&world, ill).await;
        (summary.state == State::Active && summary.trouble.is_none()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_delivery_tries_after_each_pause_and_the_first_that_succeeds_brings_all_the_others() {
    const PAUSE: Duration = Duration::from_millis(150);
    let world = World::new(&[TYPE]).await;
    let (ill, well) = lanes(&world).await;
    world.set_in_flight_max(ill, 8).await;
    let moody = Moody::away(ill);
    let _worker = worker(&world, &moody.memory, breaker(3, PAUSE)).await;
    register(&world, &moody.memory, well, 50).await;
    // What was in flight when it opened, and what had taken the place of the first two, came before the first pause.
    let probes = eventually(SOON, "it is tried again and again", || async {
        let receipts = moody.receipts();
        (receipts.len() >= 8 + 2 + 4).then(|| receipts[8 + 2..].to_vec())
    })
    .await;
    for two in probes.windows(2) {
        let gap = two[1] - two[0];
        assert!(gap >= PAUSE, "another {gap:?} after a probe");
    }

    moody.recover();
    world.drained().await;
    eventually(SOON, "nothing is left of it", || async {
        let summary = seen(&world, ill).await;
        (summary.state == State::Active && summary.trouble.is_none()).then_some(())
    })
    .await;
    let delivered = "select array[count(*), count(distinct event_id)] from tidings.attempt
                     where outcome = 'delivered'";
    assert_eq!(world.value::<Vec<i64>>(delivered).await, [100, 50]);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_owner_keeps_to_the_pause_of_the_one_before_until_a_person_ends_it() {
    let world = World::new(&[TYPE]).await;
    let (ill, well) = lanes(&world).await;
    world.set_in_flight_max(ill, 1).await;
    let moody = Moody::away(ill);
    let first = worker(&world, &moody.memory, breaker(3, LONG)).await;
    register(&world, &moody.memory, well, 5).await;
    becomes(&world, ill, State::Failing).await;
    assert!(first.stop().await);

    moody.recover();
    let _second = worker(&world, &moody.memory, breaker(3, LONG)).await;
    advance_deliveries(&world.pool, LONG).await;
    register(&world, &moody.memory, well, 5).await;
    assert_eq!(moody.receipts().len(), 3, "the pause is not over");
    // Those of the other lane may not be settled yet.
    let waiting = "select count(*) from tidings.delivery where subscriber_id =
                   (select subscriber_id from tidings.subscriber where breaker is not null)";
    assert_eq!(world.value::<i64>(waiting).await, 10);
    assert_eq!(seen(&world, ill).await.state, State::Failing);

    resume(&world, ill).await;
    world.drained().await;
    assert_eq!(seen(&world, ill).await.trouble, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_owner_tries_one_delivery_when_the_pause_of_the_one_before_is_over() {
    let world = World::new(&[TYPE]).await;
    let (ill, well) = lanes(&world).await;
    let moody = Moody::away(ill);
    let first = worker(&world, &moody.memory, breaker(1, LONG)).await;
    register(&world, &moody.memory, well, 1).await;
    becomes(&world, ill, State::Failing).await;
    assert!(first.stop().await);
    // It passes while nobody owns the lane.
    let passed = "update tidings.subscriber set breaker = jsonb_set(breaker, '{until}', to_jsonb(clock_timestamp()))
                  where breaker is not null";
    world.execute(passed).await;
    let before = moody.receipts().len();
    let _second = worker(&world, &moody.memory, breaker(1, LONG)).await;
    advance_deliveries(&world.pool, LONG).await;
    register(&world, &moody.memory, well, 20).await;
    eventually(SOON, "the second pause in a row", || async {
        let trouble = seen(&world, ill).await.trouble?;
        (trouble.opened == 2).then_some(())
    })
    .await;
    register(&world, &moody.memory, well, 20).await;
    assert_eq!(moody.receipts().len(), before + 1, "one was tried, and no other");
}

/// Counts the calls of every function of ours, once the sessions that have called them are gone.
const CALLS: &str = "select coalesce(jsonb_object_agg(funcname, calls), '{}') from pg_stat_user_functions
                     where schemaname = 'tidings' and funcname ~ '^(work|note_health|report|subscriber_)'";

#[tokio::test(flavor = "multi_thread")]
async fn breaker_that_is_closed_costs_no_statement() {
    let world = World::new(&[TYPE]).await;
    let (sporadic, _) = lanes(&world).await;
    world.execute("do $$ begin execute format('alter database %I set track_functions = %L', current_database(), 'all'); end $$").await;
    // As before, and with a failure now and then.
    let memory = Memory::scripted(move |delivery| {
        let fails = delivery.subscriber_id == sporadic
            && delivery.attempt == 1
            && delivery.event.payload.contains('7');
        if fails {
            Answer::failed(Verdict::Retry, "not now").with_status(503)
        } else {
            Answer::delivered()
        }
    });
    let pool = sqlx::postgres::PgPoolOptions::new().connect_lazy(&world.database.url()).unwrap();
    let builder = Worker::builder(pool.clone()).deliverer(memory.clone());
    let worker = world.worker_with(builder.health(Rules::default())).await;
    for n in 0..50 {
        world.register(Draft::new(TYPE).number(n)).await;
    }
    world.drained().await;
    assert_eq!(worker.running.counts().retried, 5);
    assert!(worker.stop().await);
    pool.close().await;
    let calls = eventually(SOON, "the calls are counted", || async {
        let calls: Value = world.value(CALLS).await;
        calls.get("work_v2").is_some().then_some(calls)
    })
    .await;
    let names: Vec<&String> = calls.as_object().unwrap().keys().collect();
    assert_eq!(names, ["work_v2"], "nothing but settling and fetching: {calls}");
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_that_could_not_be_written_down_is_written_down_with_the_next_success() {
    let world = World::new(&[TYPE]).await;
    let (ill, well) = lanes(&world).await;
    world.set_in_flight_max(ill, 1).await;
    let moody = Moody::away(ill);
    let _worker = worker(&world, &moody.memory, breaker(3, Duration::from_millis(20))).await;
    register(&world, &moody.memory, well, 1).await;
    becomes(&world, ill, State::Failing).await;
    // What may be written is only that it is not well.
    let grudge = format!(
        "alter table tidings.subscriber add constraint grudge
         check (subscriber_id <> {ill} or breaker is not null)"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(grudge)).execute(&world.pool).await.unwrap();
    moody.recover();
    world.drained().await;
    assert_eq!(seen(&world, ill).await.state, State::Failing);
    world.execute("alter table tidings.subscriber drop constraint grudge").await;
    eventually(SOON, "nothing is left of it", || async {
        register(&world, &moody.memory, well, 1).await;
        let summary = seen(&world, ill).await;
        (summary.state == State::Active && summary.trouble.is_none()).then_some(())
    })
    .await;
}
