//! Keys in the hands of two owners at once: whatever the one has open, the follower goes out in the end.

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use tidings_tests::{
    Draft, SOON, World, eventually,
    world::owner::{Key, Owner, Reading, Row},
};
use uuid::Uuid;

/// A lane that keeps order, and what it needs to be worked by two sessions.
struct Keyed {
    world: World,
    lane: i32,
    one: PgConnection,
    other: PgConnection,
}

impl Keyed {
    async fn new() -> Self {
        let world = World::new(&["order:placed"]).await;
        let lane = world.bare_subscriber("one", "memory", serde_json::json!({})).await;
        world.subscribe(lane, "order:placed", "", true).await;
        let (mut one, mut other) = (world.database.connect().await, world.database.connect().await);
        for conn in [&mut one, &mut other] {
            // Nobody waits for anybody.
            sqlx::raw_sql("set lock_timeout = '2s'").execute(conn).await.unwrap();
        }
        Self { world, lane, one, other }
    }

    async fn register(&self, n: u64, key: &str) {
        self.world.register(Draft::new("order:placed").number(n).key(key)).await;
    }

    fn reading(&self, after: Option<Key>) -> [Reading; 1] {
        [Reading { after, ..Reading::all(self.lane) }]
    }
}

/// The last key of an answer, from which an owner reads on.
fn last(rows: &[Row]) -> Option<Key> {
    rows.last().map(|row| (row.due_at, row.delivery_id))
}

fn numbers(rows: &[Row]) -> Vec<(&str, bool)> {
    rows.iter().map(|row| (row.payload.as_deref().unwrap_or(""), row.parked)).collect()
}

/// Settles until nothing is locked any more, as a pump does.
async fn settle(owner: &Owner, conn: &mut PgConnection, row: &Row) {
    for _ in 0..10 {
        if owner.settle(conn, &[row.settled("delivered")]).await.locked.is_empty() {
            return;
        }
    }
    panic!("the row stays locked");
}

#[tokio::test]
async fn follower_read_while_the_old_owner_was_settling_its_head_goes_out_when_the_head_is_missing()
{
    // What went wrong: the old owner's open call had the follower's row, so the new owner could not park it; neither
    // parked nor above the cursor, it was found by nobody.
    let Keyed { world, lane, mut one, mut other } = Keyed::new().await;
    let keyed = |after| [Reading { after, ..Reading::all(lane) }];
    world.register(Draft::new("order:placed").number(1).key("k")).await;
    let old = Owner::take(&world.pool).await;
    let head = old.fetch(&mut one, &keyed(None)).await.rows.remove(0);
    world.register(Draft::new("order:placed").number(2).key("k")).await;
    let mut open = one.begin().await.unwrap();
    assert!(old.settle(&mut open, &[head.settled("delivered")]).await.missing.is_empty());

    let new = Owner::take(&world.pool).await;
    let rows = new.fetch(&mut other, &keyed(None)).await.rows;
    assert_eq!(numbers(&rows), [(r#"{"n":1}"#, false), ("", true)]);
    open.commit().await.unwrap();
    settle(&new, &mut other, &rows[0]).await;
    let rows = new.fetch(&mut other, &keyed(last(&rows))).await.rows;
    assert_eq!(numbers(&rows), [(r#"{"n":2}"#, false)]);
}

#[tokio::test]
async fn follower_whose_parking_was_undone_with_the_old_owners_call_goes_out_after_its_head() {
    let Keyed { world, lane, mut one, mut other } = Keyed::new().await;
    let keyed = |after| [Reading { after, ..Reading::all(lane) }];
    for n in 1..=3 {
        world.register(Draft::new("order:placed").number(n).key("k")).await;
    }
    let old = Owner::take(&world.pool).await;
    let mut open = one.begin().await.unwrap();
    assert_eq!(old.fetch(&mut open, &keyed(None)).await.rows.len(), 3);
    let new = Owner::take(&world.pool).await;
    let rows = new.fetch(&mut other, &keyed(None)).await.rows;
    assert_eq!(numbers(&rows), [(r#"{"n":1}"#, false), ("", true), ("", true)]);
    open.rollback().await.unwrap();
    let mut after = last(&rows);
    let mut head = rows[0].clone();
    for n in 2..=3 {
        settle(&new, &mut other, &head).await;
        let rows = new.fetch(&mut other, &keyed(after)).await.rows;
        assert_eq!(numbers(&rows)[0], (format!(r#"{{"n":{n}}}"#).as_str(), false));
        after = last(&rows).max(after);
        head = rows[0].clone();
    }
}

#[tokio::test]
async fn follower_that_is_being_parked_while_its_head_is_settled_goes_out() {
    let Keyed { world, lane, mut one, mut other } = Keyed::new().await;
    let keyed = |after| [Reading { after, ..Reading::all(lane) }];
    for n in 1..=2 {
        world.register(Draft::new("order:placed").number(n).key("k")).await;
    }
    let owner = Owner::take(&world.pool).await;
    let mut parking = one.begin().await.unwrap();
    let rows = owner.fetch(&mut parking, &keyed(None)).await.rows;
    // The head is settled beside it, and the follower cannot be woken yet: the settlement has to be repeated.
    let summary = owner.settle(&mut other, &[rows[0].settled("delivered")]).await;
    assert_eq!(summary.locked, [rows[0].delivery_id]);
    parking.commit().await.unwrap();
    settle(&owner, &mut other, &rows[0]).await;
    assert_eq!(
        world.value::<i64>("select count(*) from tidings.delivery where due_at = 'infinity'").await,
        0
    );
    assert_eq!(
        numbers(&owner.fetch(&mut other, &keyed(last(&rows))).await.rows),
        [(r#"{"n":2}"#, false)]
    );
    // Repeated as it was, it is in the log once.
    assert_eq!(world.value::<i64>("select count(*) from tidings.attempt").await, 1);
}

#[tokio::test]
async fn open_call_of_an_old_owner_holds_up_its_own_keys_alone() {
    // What went wrong: the new owner waited for a follower's row, and with it the settlements of all its lanes.
    let keyed = Keyed::new().await;
    for (n, key) in [(1, "k"), (2, "k"), (3, "other"), (4, "other")] {
        keyed.register(n, key).await;
    }
    let Keyed { world, lane, mut one, mut other } = keyed;
    let old = Owner::take(&world.pool).await;
    let mut stuck = one.begin().await.unwrap();
    let readings = [Reading { limit: 2, ..Reading::all(lane) }];
    assert_eq!(
        old.fetch(&mut stuck, &readings).await.rows.len(),
        2,
        "it has the followers of the first key"
    );

    let new = Owner::take(&world.pool).await;
    let heads =
        sqlx::query("select tidings.unpark_heads(array[$1])").bind(lane).execute(&mut other).await;
    assert!(heads.is_ok(), "a takeover waits for nobody");
    let rows = new.fetch(&mut other, &[Reading::all(lane)]).await.rows;
    let heads: Vec<&Row> = rows.iter().filter(|row| !row.parked).collect();
    assert_eq!(heads.len(), 2);
    let summary = new
        .settle(&mut other, &[heads[0].settled("delivered"), heads[1].settled("delivered")])
        .await;
    assert_eq!(summary.locked, [heads[0].delivery_id]);
    let rows =
        new.fetch(&mut other, &[Reading { after: last(&rows), ..Reading::all(lane) }]).await.rows;
    assert_eq!(numbers(&rows), [(r#"{"n":4}"#, false)], "the other key goes on");
    stuck.rollback().await.unwrap();
    settle(&new, &mut other, heads[0]).await;
    let rows =
        new.fetch(&mut other, &[Reading { after: last(&rows), ..Reading::all(lane) }]).await.rows;
    assert_eq!(numbers(&rows), [(r#"{"n":2}"#, false)]);
}

#[tokio::test]
async fn head_that_waits_for_its_next_attempt_is_not_hurried_by_a_settlement_that_comes_twice() {
    let keyed = Keyed::new().await;
    for n in 1..=3 {
        keyed.register(n, "k").await;
    }
    let owner = Owner::take(&keyed.world.pool).await;
    let reading = keyed.reading(None);
    let Keyed { world, mut one, .. } = keyed;
    let first = owner.fetch(&mut one, &reading).await.rows.remove(0);
    settle(&owner, &mut one, &first).await;
    let second = owner.fetch(&mut one, &reading).await.rows.remove(0);
    owner.settle(&mut one, &[second.settled("retry")]).await;
    assert_eq!(
        owner.settle(&mut one, &[first.settled("delivered")]).await.missing,
        [first.delivery_id]
    );
    assert!(owner.fetch(&mut one, &reading).await.rows.is_empty(), "it comes after a minute");
    assert_eq!(
        world.value::<i64>("select count(*) from tidings.delivery where due_at = 'infinity'").await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn register_of_a_key_waits_for_the_one_before_it_and_is_due_after_it() {
    // Who waits for the key must not have read the clock before: the bound may be beyond it by then.
    let Keyed { world, mut one, mut other, .. } = Keyed::new().await;
    let mut first = one.begin().await.unwrap();
    let ahead = Draft::new("order:placed").key("k").register(&mut first).await;
    let waiting =
        tokio::spawn(async move { Draft::new("order:placed").key("k").register(&mut other).await });
    eventually(SOON, "the second waits for the key", || async {
        let waits = "select count(*) from pg_stat_activity
                     where datname = current_database() and wait_event_type = 'Lock'";
        (world.value::<i64>(waits).await == 1).then_some(())
    })
    .await;
    let released_at: DateTime<Utc> = world.value("select clock_timestamp()").await;
    first.commit().await.unwrap();
    let behind = waiting.await.unwrap();
    let due: Vec<(Uuid, bool)> =
        sqlx::query_as("select event_id, due_at > $1 from tidings.delivery order by delivery_id")
            .bind(released_at)
            .fetch_all(&world.pool)
            .await
            .unwrap();
    assert_eq!(due, [(ahead, false), (behind, true)]);
}
