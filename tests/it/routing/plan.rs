//! The look-up stays a few probes of an index, with 100,000 subscriptions and whatever the statistics say.

use sqlx::Connection;
use tidings_tests::{Draft, World};

/// Five hundred subscribers with a hundred scopes each and an exact type, and half as many to a pattern without a
/// scope; everything that an event of another type or another scope must not touch.
const MANY: &str = "
    insert into tidings.subscriber (name, kind, shard)
    select 's' || n, 'memory', n % 16 from generate_series(1, 500) n;
    insert into tidings.pattern (pattern) values ('order:placed'), ('order:*'), ('**');
    insert into tidings.subscription (subscriber_id, pattern_id, scope)
    select s.subscriber_id, p.pattern_id, 'shop=s' || 100 * s.subscriber_id + n
    from tidings.subscriber s, tidings.pattern p, generate_series(1, 100) n
    where s.kind = 'memory' and p.pattern <> '**';
    select tidings.match_patterns()";

/// What a register has cost in the present transaction, of the tables of routes.
const COST: &str = "
    select sum(seq_scan)::bigint, sum(idx_tup_fetch)::bigint from pg_stat_xact_user_tables
    where relid in ('tidings.subscription'::regclass, 'tidings.subscriber'::regclass, 'tidings.pattern'::regclass)";

#[tokio::test]
async fn registering_among_100_000_subscriptions_is_a_few_probes_of_an_index() {
    let world = World::new(&["order:placed", "order:shipped"]).await;
    world.execute(MANY).await;
    for statistics in ["stale", "fresh"] {
        if statistics == "fresh" {
            world.execute("analyze tidings.subscription, tidings.event_type").await;
        }
        // The plans of a session are made with the statistics that there are when it begins.
        let mut conn = world.database.connect().await;
        for scope in ["shop=s777", "shop=none", "shop=s777/till=1", ""] {
            for key in [None, Some("k")] {
                let mut tx = conn.begin().await.unwrap();
                let draft = Draft { key, ..Draft::new("order:placed").scope(scope) };
                draft.register(&mut tx).await;
                let (seq_scans, fetched): (i64, i64) =
                    sqlx::query_as(COST).fetch_one(&mut *tx).await.unwrap();
                assert_eq!(seq_scans, 0, "{statistics} {scope}");
                assert!(fetched <= 20, "{statistics} {scope}: {fetched} rows");
                tx.rollback().await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn registering_costs_the_same_however_many_are_told() {
    let world = World::new(&["order:placed"]).await;
    world.execute(MANY).await;
    world
        .execute(
            "insert into tidings.subscription (subscriber_id, pattern_id, scope)
             select s.subscriber_id, p.pattern_id, case when n = 0 then '' else 'shop=s1/till=' || n end
             from tidings.subscriber s, tidings.pattern p, generate_series(0, 20) n
             where s.kind = 'memory' and p.pattern = '**';
             select tidings.match_patterns();
             analyze tidings.subscription, tidings.event_type",
        )
        .await;
    let mut conn = world.database.connect().await;
    let mut tx = conn.begin().await.unwrap();
    Draft::new("order:placed").scope("shop=s1/till=7").register(&mut tx).await;
    let (seq_scans, fetched): (i64, i64) = sqlx::query_as(COST).fetch_one(&mut *tx).await.unwrap();
    let written: i64 = sqlx::query_scalar("select count(*) from tidings.delivery")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!((seq_scans, written), (0, 1), "a fan-out for the worker to expand");
    // Once up to 65 rows, to see that it is not the plain case, and once up to 257, to see that it is a large one.
    assert!(fetched <= 2 * (65 + 257), "{fetched} rows");
}
