//! A large fan-out is written once to everybody, whoever writes it and however often it is begun.

use sqlx::{Connection, PgConnection};
use tidings_tests::{Draft, SOON, World, eventually};
use uuid::Uuid;

const EXPAND: &str = "select tidings.expand_v1($1, 0::smallint, $2, $3, $4)";

/// A fan-out to 130 lanes, and whoever owns the system lane.
async fn fan_out() -> (World, Uuid, Uuid) {
    let world = World::new(&["order:placed"]).await;
    world
        .execute(
            "insert into tidings.subscriber (name, kind, shard) select 's' || n, 'memory', 0 from generate_series(1, 130) n;
             select tidings.subscribe_v1(subscriber_id, 'order:placed', '', '', false)
             from tidings.subscriber where kind = 'memory'",
        )
        .await;
    let event = world.register(Draft::new("order:placed")).await;
    let owner = Uuid::new_v4();
    sqlx::query("update tidings.shard set worker_id = $1, term = 7 where group_name = 'system'")
        .bind(owner)
        .execute(&world.pool)
        .await
        .unwrap();
    (world, event, owner)
}

async fn expand(
    conn: &mut PgConnection,
    owner: Uuid,
    term: i64,
    event: Uuid,
) -> Result<Option<Vec<i32>>, sqlx::Error> {
    sqlx::query_scalar(EXPAND).bind(owner).bind(term).bind(event).bind(50).fetch_one(conn).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sessions_that_expand_one_event_write_each_delivery_once() {
    let (world, event, owner) = fan_out().await;
    let (mut one, mut other) = (world.database.connect().await, world.database.connect().await);
    let mut tx = one.begin().await.unwrap();
    let first = expand(&mut tx, owner, 7, event).await.unwrap().unwrap();
    let meanwhile =
        tokio::spawn(async move { expand(&mut other, owner, 7, event).await.unwrap().unwrap() });
    eventually(SOON, "the other waits", || async {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        (world.value::<i64>(waiting).await == 1).then_some(())
    })
    .await;
    tx.commit().await.unwrap();
    let second = meanwhile.await.unwrap();
    assert_eq!((first.len(), second.len()), (50, 50));
    assert!(first.last() < second.first(), "it goes on where the first has stopped");
    // What a rollback undoes is written again.
    let mut tx = one.begin().await.unwrap();
    assert_eq!(expand(&mut tx, owner, 7, event).await.unwrap().map(|lanes| lanes.len()), Some(30));
    tx.rollback().await.unwrap();
    assert_eq!(expand(&mut one, owner, 7, event).await.unwrap().map(|lanes| lanes.len()), Some(30));
    assert_eq!(expand(&mut one, owner, 7, event).await.unwrap(), None);
    let counts = "select count(*), count(distinct subscriber_id) from tidings.delivery where subscriber_id > 0";
    assert_eq!(
        sqlx::query_as::<_, (i64, i64)>(counts).fetch_one(&world.pool).await.unwrap(),
        (130, 130)
    );
}

#[tokio::test]
async fn owner_of_an_older_term_expands_nothing() {
    let (world, event, owner) = fan_out().await;
    let mut conn = world.database.connect().await;
    for (worker, term) in [(owner, 6), (Uuid::new_v4(), 7)] {
        let error = expand(&mut conn, worker, term, event).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().code().as_deref(), Some("TD020"));
    }
    assert_eq!(world.pending().await, 1, "the one of the system lane");
}
