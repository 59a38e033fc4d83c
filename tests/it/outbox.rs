//! The queue itself: what a call costs, what it may carry, and what becomes of what nobody can deliver.

mod careful;
mod dead;
mod plan;
mod pooler;
mod workers;

use sqlx::{AssertSqlSafe, Connection};
use tidings::deliverer::{Answer, Memory, Verdict};
use tidings_tests::{
    Draft, SOON, World, eventually,
    world::{
        held::Held,
        owner::{Owner, Reading, Summary},
    },
};

/// Makes `lanes` subscribers of the kind `memory` with `rows` due deliveries each, one event for each row.
///
/// Written in bulk: what is measured on it is not the making.
async fn fill(world: &World, lanes: i32, rows: i32) {
    let statement = format!(
        "insert into tidings.subscriber (name, kind, shard)
         select 'lane' || n, 'memory', n % 16 from generate_series(1, {lanes}) n;
         insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, payload_bytes, payload)
         select overlay(tidings.uuid_floor(clock_timestamp())::text placing lpad(to_hex(n), 12, '0') from 25)::uuid,
           clock_timestamp(), clock_timestamp(), 'order:placed', 1, '', '', length(n::text), n::text::json
         from generate_series(1, {lanes} * {rows}) n;
         insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id)
         select e.event_id, clock_timestamp(), clock_timestamp(), s.subscriber_id
         from (select event_id, row_number() over (order by event_id) % {lanes} as n from tidings.event) e
         join (select subscriber_id, row_number() over () - 1 as n from tidings.subscriber where kind = 'memory') s using (n)"
    );
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&world.pool).await.unwrap();
}

/// Returns the lanes of [`fill`].
async fn filled(world: &World) -> Vec<i32> {
    sqlx::query_scalar(
        "select subscriber_id from tidings.subscriber where kind = 'memory' order by 1",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap()
}

/// Registers an event whose payload has exactly a mebibyte, less a few bytes for its number.
async fn register_mebibyte(world: &World, n: u64) {
    let payload = serde_json::json!({"n": n, "fill": "x".repeat(1_048_000)});
    world.register(Draft { payload, ..Draft::new("order:placed") }).await;
}

#[tokio::test]
async fn answer_is_bounded_in_bytes_and_the_rest_of_a_lane_comes_with_the_next_calls() {
    let world = World::new(&["order:placed"]).await;
    let mut lanes =
        [world.subscriber("a", "order:*").await, world.subscriber("b", "order:*").await];
    lanes.sort_unstable();
    for n in 0..7 {
        register_mebibyte(&world, n).await;
    }
    let owner = Owner::take(&world.pool).await;
    let mut conn = world.database.connect().await;
    let mut after = [None, None];
    let mut read = [Vec::new(), Vec::new()];
    let mut sizes = Vec::new();
    while read.iter().flatten().count() < 14 {
        let readings: Vec<Reading> = lanes
            .iter()
            .zip(after)
            .map(|(lane, after)| Reading { lane: *lane, limit: 100, after })
            .collect();
        let rows = owner.fetch(&mut conn, &readings).await.rows;
        assert!(rows.len() <= 5, "four mebibytes, and the row with which they are reached");
        assert_eq!(rows.iter().filter(|row| row.cut).count(), usize::from(rows.len() == 5));
        sizes.push(rows.len());
        for row in rows {
            let index = lanes.iter().position(|lane| *lane == row.lane).unwrap();
            after[index] = Some((row.due_at, row.delivery_id));
            read[index].push(row.event_id);
        }
    }
    assert_eq!(sizes.iter().sum::<usize>(), 14, "{sizes:?}");
    assert_eq!(read[0], read[1], "both lanes whole and in order");
}

#[tokio::test(flavor = "multi_thread")]
async fn large_payloads_are_all_delivered_once() {
    let world = World::new(&["order:placed"]).await;
    for name in ["a", "b", "c"] {
        world.subscriber(name, "order:*").await;
    }
    for n in 0..8 {
        register_mebibyte(&world, n).await;
    }
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    world.drained().await;
    assert_eq!(memory.count(), 24);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_lanes_than_a_scan_goes_over_are_all_found() {
    let world = World::new(&[]).await;
    fill(&world, 2500, 2).await;
    let memory = Memory::new();
    let _worker = world.worker(memory.clone()).await;
    world.drained().await;
    assert_eq!(memory.count(), 5000);
}

#[tokio::test]
async fn scan_goes_round_over_all_lanes_and_says_when_each_is_due() {
    let world = World::new(&[]).await;
    fill(&world, 25, 2).await;
    let lanes = filled(&world).await;
    sqlx::query("update tidings.delivery set due_at = 'infinity' where subscriber_id = $1")
        .bind(lanes[3])
        .execute(&world.pool)
        .await
        .unwrap();
    sqlx::query("update tidings.delivery set due_at = clock_timestamp() + interval '1 hour' where subscriber_id = $1").bind(lanes[4]).execute(&world.pool).await.unwrap();
    let mut found: Vec<(i32, Option<i64>)> = Vec::new();
    loop {
        let after = found.last().map_or(-1, |(lane, _)| *lane);
        let pass: Vec<(i32, Option<i64>)> =
            sqlx::query_as("select lane, due_in_ms from tidings.scan_v1($1, 10)")
                .bind(after)
                .fetch_all(&world.pool)
                .await
                .unwrap();
        let last = pass.len() < 10;
        found.extend(pass);
        if last {
            break;
        }
    }
    assert_eq!(found.iter().map(|(lane, _)| *lane).collect::<Vec<_>>(), lanes);
    for (n, (_, due_in)) in found.into_iter().enumerate() {
        match n {
            3 => assert_eq!(due_in, None),
            4 => assert!(due_in.is_some_and(|ms| ms > 3_500_000), "{due_in:?}"),
            _ => assert!(due_in.is_some_and(|ms| ms <= 0), "{due_in:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pending_delivery_that_a_person_retries_is_due_at_once() {
    let world = World::new(&["order:placed"]).await;
    let id = world.subscriber("one", "order:placed").await;
    world.set_retry(id, r#"{"delays_s": [0, 3600]}"#).await;
    let memory = Memory::scripted(|delivery| match delivery.attempt {
        1 => Answer::failed(Verdict::Retry, "not yet"),
        _ => Answer::delivered(),
    });
    let _worker = world.worker(memory.clone()).await;
    world.register(Draft::new("order:placed")).await;
    tokio::time::timeout(SOON, memory.wait_for(1)).await.unwrap();
    let retried = "select coalesce(bool_and(tidings.retry(delivery_id)), false) from tidings.delivery where attempt = 1";
    eventually(SOON, "the delivery waits for its second attempt", || async {
        world.value::<bool>(retried).await.then_some(())
    })
    .await;
    world.drained().await;
    assert_eq!(memory.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_of_a_delivery_in_flight_does_not_send_it_again() {
    let world = World::new(&["order:placed"]).await;
    world.subscriber("one", "order:placed").await;
    let held = Held::new();
    let worker = world.worker(held.clone()).await;
    world.register(Draft::new("order:placed")).await;
    held.wait_for(1).await;
    assert!(
        world
            .value::<bool>("select bool_and(tidings.retry(delivery_id)) from tidings.delivery")
            .await
    );
    // Whatever moves it, the row is not where it was read any more, and what was delivered is not sent again.
    world.execute("update tidings.delivery set due_at = clock_timestamp()").await;
    held.release();
    world.drained().await;
    assert_eq!((held.traffic().events.len(), worker.running.counts().settled_missing), (1, 0));
}

#[tokio::test]
async fn follower_of_a_key_stays_behind_its_head_when_it_is_retried() {
    let world = World::new(&["order:placed"]).await;
    let id = world.bare_subscriber("one", "memory", serde_json::json!({})).await;
    world.subscribe(id, "order:placed", "", true).await;
    for n in 1..=3 {
        world.register(Draft::new("order:placed").number(n).key("k")).await;
    }
    let owner = Owner::take(&world.pool).await;
    let mut conn = world.database.connect().await;
    let rows = owner.fetch(&mut conn, &[Reading::all(id)]).await.rows;
    assert_eq!(rows.iter().map(|row| row.parked).collect::<Vec<_>>(), [false, true, true]);
    assert!(
        world
            .value::<bool>("select bool_and(tidings.retry(delivery_id)) from tidings.delivery")
            .await
    );
    assert_eq!(
        world.value::<i64>("select count(*) from tidings.delivery where due_at = 'infinity'").await,
        2
    );
}

#[tokio::test]
async fn settlements_of_rows_that_are_gone_cost_one_look_at_the_lane_and_not_one_each() {
    // What went wrong: a call whose answer was lost was repeated, and looked through the whole backlog of the lane
    // for each of its rows; with enough of both it never came to an end.
    let world = World::new(&[]).await;
    fill(&world, 1, 60_000).await;
    let lane = filled(&world).await[0];
    let owner = Owner::take(&world.pool).await;
    let mut conn = world.database.connect().await;
    let rows = owner.fetch(&mut conn, &[Reading { limit: 4000, ..Reading::all(lane) }]).await.rows;
    let settlements: Vec<_> = rows.iter().map(|row| row.settled("delivered")).collect();
    assert_eq!(owner.settle(&mut conn, &settlements).await.missing, [] as [i64; 0]);
    sqlx::raw_sql("set statement_timeout = '3s'").execute(&mut conn).await.unwrap();
    let summary = owner.settle(&mut conn, &settlements).await;
    assert_eq!(summary.missing.len(), 4000);
    assert_eq!(world.pending().await, 56_000);
}

#[tokio::test]
async fn stale_owner_settles_nothing_and_fetches_nothing() {
    let world = World::new(&["order:placed"]).await;
    let lane = world.subscriber("one", "order:placed").await;
    for n in 0..3 {
        world.register(Draft::new("order:placed").number(n)).await;
    }
    let stale = Owner::take(&world.pool).await;
    let mut conn = world.database.connect().await;
    let rows = stale.fetch(&mut conn, &[Reading::all(lane)]).await.rows;
    let owner = Owner::take(&world.pool).await;
    let settlements: Vec<_> = rows
        .iter()
        .zip(["delivered", "retry", "bury"])
        .map(|(row, outcome)| row.settled(outcome))
        .collect();
    let worked = stale.work(&mut conn, &settlements, &[Reading::all(lane)]).await.unwrap();
    assert_eq!(worked.summary.lost, rows.iter().map(|row| row.delivery_id).collect::<Vec<_>>());
    assert!(worked.rows.is_empty());
    assert_eq!(owner.fetch(&mut conn, &[Reading::all(lane)]).await.rows.len(), 3);
    let mut tx = conn.begin().await.unwrap();
    assert_eq!(owner.settle(&mut tx, &settlements).await, Summary::default());
    tx.commit().await.unwrap();
    assert_eq!(
        (world.pending().await, world.value::<i64>("select count(*) from tidings.dead").await),
        (1, 1)
    );
}
