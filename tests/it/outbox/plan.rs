//! Plans that hold with one lane and with many, whatever the statistics say.

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tidings_tests::{
    World,
    world::owner::{Owner, Reading, Row},
};

use super::{fill, filled};

/// What the present transaction has read from beginning to end, of the tables that grow.
const SEQ_SCANS: &str = "
    select relname || ': ' || seq_scan || ' scans, ' || seq_tup_read || ' rows' from pg_stat_xact_user_tables
    where schemaname = 'tidings' and (relname like 'event\\_2%' or relname in ('delivery', 'dead', 'expansion'))
      and seq_scan > 0 and seq_tup_read > 0";

/// How the statistics came to be.
const STATISTICS: [(&str, &str); 4] = [
    ("none", ""),
    ("of an empty table", "analyze"),
    ("of one lane", "analyze"),
    ("fresh", "analyze"),
];

async fn assert_no_seq_scan(conn: &mut PgConnection, what: &str) {
    let scans: Vec<String> = sqlx::query_scalar(SEQ_SCANS).fetch_all(conn).await.unwrap();
    assert_eq!(scans, [] as [String; 0], "{what}");
}

/// Makes a queue whose statistics are what [`STATISTICS`] calls it.
async fn queue(statistics: &str, lanes: i32, rows: i32) -> World {
    const ANALYZE: &str = "analyze tidings.event; analyze tidings.delivery";
    let world = World::new(&["order:placed"]).await;
    match statistics {
        "of an empty table" => world.execute(ANALYZE).await,
        "of one lane" => {
            fill(&world, 1, 5000).await;
            world.execute(ANALYZE).await;
            world.execute("truncate tidings.event, tidings.delivery; delete from tidings.subscriber where kind = 'memory'").await;
        }
        _ => {}
    }
    fill(&world, lanes, rows).await;
    if statistics == "fresh" {
        world.execute(ANALYZE).await;
    }
    world
}

#[tokio::test]
async fn settling_and_fetching_never_read_a_whole_table() {
    for (statistics, _) in STATISTICS {
        for (lanes, rows, limit) in [(1, 20_000, 500), (1000, 20, 4)] {
            let what = format!("{lanes} lanes, statistics: {statistics}");
            let world = queue(statistics, lanes, rows).await;
            let owner = Owner::take(&world.pool).await;
            let lanes = filled(&world).await;
            let readings: Vec<Reading> = lanes
                .iter()
                .take(250)
                .map(|lane| Reading { limit, ..Reading::all(*lane) })
                .collect();
            // The plans of a session are made when it begins, and kept.
            let mut conn = world.database.connect().await;
            let mut tx = conn.begin().await.unwrap();
            let read = owner.fetch(&mut tx, &readings).await.rows;
            assert_eq!(read.len(), if lanes.len() == 1 { 500 } else { 1000 });
            let settlements: Vec<_> = (read
                .iter()
                .zip(["delivered", "delivered", "delivered", "retry", "bury"].iter().cycle()))
            .map(|(row, outcome)| row.settled(outcome))
            .collect();
            let worked = owner.work(&mut tx, &settlements, &readings).await.unwrap();
            assert_eq!((worked.summary.missing.len(), worked.rows.len()), (0, read.len()));
            // Once more, as after an answer that was lost.
            let worked = owner.work(&mut tx, &settlements, &[]).await.unwrap();
            assert_eq!(worked.summary.missing.len(), read.len());
            assert_no_seq_scan(&mut tx, &what).await;
            tx.commit().await.unwrap();
        }
    }
}

#[tokio::test]
async fn scanning_and_waking_keys_never_read_a_whole_table() {
    for (statistics, _) in STATISTICS {
        let world = queue(statistics, 1000, 20).await;
        world.execute("update tidings.delivery set key_hash = delivery_id % 5").await;
        let owner = Owner::take(&world.pool).await;
        let lanes = filled(&world).await;
        let readings: Vec<Reading> = lanes
            .iter()
            .take(250)
            .map(|lane| Reading { limit: 4, ..Reading::all(*lane) })
            .collect();
        let mut conn = world.database.connect().await;
        let mut tx = conn.begin().await.unwrap();
        let heads: Vec<Row> = owner
            .fetch(&mut tx, &readings)
            .await
            .rows
            .into_iter()
            .filter(|row| !row.parked)
            .collect();
        assert!(heads.len() >= 250);
        let settlements: Vec<_> = heads.iter().map(|row| row.settled("delivered")).collect();
        owner.settle(&mut tx, &settlements).await;
        for statement in [
            "select count(*) from tidings.scan_v1(-1, 2000)".to_owned(),
            format!("select tidings.unpark_heads('{{{}, {}}}')", lanes[0], lanes[1]),
        ] {
            sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *tx).await.unwrap();
        }
        assert_no_seq_scan(&mut tx, statistics).await;
        tx.commit().await.unwrap();
    }
}
