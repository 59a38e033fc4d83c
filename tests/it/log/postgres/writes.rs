//! Many write at once.

use std::time::Duration;

use futures_util::future::join_all;
use sqlx::Row;
use tidings_pipeline::{
    Log,
    log::{Member, postgres::Options},
};
use tidings_tests::{Database, SOON};

use super::{after, open, output, prepare, read, take};

#[tokio::test(flavor = "multi_thread")]
async fn reader_that_goes_on_from_an_offset_misses_no_record_while_others_append() {
    const WRITERS: usize = 8;
    const ROUNDS: usize = 60;
    let database = Database::new().await;
    let log = open(&database, Options::default());
    prepare(&log, &[("a", 2), ("b", 2)]).await;
    let writers = (0..WRITERS).map(|writer| {
        let log = log.clone();
        tokio::spawn(async move {
            for round in 0..ROUNDS {
                // Every other one the other way round.
                let mut records: Vec<_> = [("a", 0), ("b", 1), ("a", 1), ("b", 0)]
                    .into_iter()
                    .map(|(topic, partition)| output(topic, partition, format!("{writer}/{round}")))
                    .collect();
                if writer % 2 == 1 {
                    records.reverse();
                }
                log.append(records).await.unwrap();
            }
        })
    });
    let writers = tokio::spawn(join_all(writers.collect::<Vec<_>>()));
    // The plainest of readers: whatever is there behind the last offset.
    let read = "select record_offset, appended_at from tidings.log_record r
         join tidings.log_topic t using (topic_id)
         where t.name = 'a' and partition = 0 and record_offset >= $1 order by record_offset";
    let mut conn = database.connect().await;
    let (mut next, mut time) = (0_i64, None);
    let reading = async {
        while next < i64::try_from(WRITERS * ROUNDS).unwrap() {
            for row in sqlx::query(read).bind(next).fetch_all(&mut conn).await.unwrap() {
                let (offset, at) =
                    (row.get::<i64, _>(0), row.get::<chrono::DateTime<chrono::Utc>, _>(1));
                assert_eq!(offset, next, "an offset was passed over, or came later");
                assert!(time.is_none_or(|time| time <= at), "times fall while offsets grow");
                (next, time) = (offset + 1, Some(at));
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), reading).await.unwrap();
    for writer in writers.await.unwrap() {
        // Two that wait for each other in a circle would have failed.
        writer.unwrap();
    }
}

#[tokio::test]
async fn append_that_fails_leaves_no_gap() {
    let database = Database::new().await;
    let log = open(&database, Options::default());
    prepare(&log, &[("a", 1)]).await;
    let records = vec![output("a", 0, "with"), output("a", 1, "without a partition")];
    log.append(records).await.unwrap_err();
    let offsets = log.append(vec![output("a", 0, "first")]).await.unwrap();
    assert_eq!(offsets, [0]);
}

#[tokio::test]
async fn log_whose_days_nobody_has_made_ahead_makes_them_when_it_writes() {
    let database = Database::new().await;
    let log = open(&database, Options::default());
    prepare(&log, &[("a", 1), ("b", 1)]).await;
    log.append(vec![output("a", 0, "kept")]).await.unwrap();
    let mut member = log.join("g", "a").await.unwrap();
    let records = take(&mut member, 1).await;
    for write in ["append", "commit"] {
        drop_days_ahead(&database).await;
        let written = vec![output("b", 0, write)];
        let writing = async {
            if write == "append" {
                log.append(written).await.map(drop).unwrap();
            } else {
                member.commit(written, &after(&records)).await.map(drop).unwrap();
            }
        };
        tokio::time::timeout(SOON, writing).await.unwrap();
    }
    assert_eq!(read(&log, "b", 0).await, ["commit"], "what was appended went with its day");
}

/// Drops all days, with what is in them.
async fn drop_days_ahead(database: &Database) {
    let drop = "do $$
        declare v_name text;
        begin
          for v_name in delete from tidings.partition p where p.parent = 'log_record' returning p.name loop
            execute format('drop table tidings.%I', v_name);
          end loop;
        end $$";
    sqlx::raw_sql(drop).execute(database.pool()).await.unwrap();
}
