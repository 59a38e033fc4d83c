//! 200 means committed: under load, with the database gone, at shutdown.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tidings_relay::Limits;
use tidings_tests::{Moment, Proxy, SOON, World, eventually};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{Door, OK, declare, header, read};

fn event(message_id: &str) -> Value {
    json!({"event": "cart:opened", "message_id": message_id})
}

fn batch(n: usize) -> Value {
    json!({"params": {"msgid": format!("m{n}")}, "events": [{"eid": "LOG", "ets": 1, "mid": "a"}]})
}

#[tokio::test]
async fn whatever_was_answered_with_200_is_there_once_and_written_in_few_commits() {
    let door = Door::open().await;
    let logged = (0..300).map(async |n| door.send("/v1/telemetry", &batch(n)).await.0);
    let registered =
        (0..300).map(async |n| door.send("/analytics", &event(&format!("m{n}"))).await.0);
    let (logged, registered) = tokio::join!(join_all(logged), join_all(registered));
    assert!(logged.into_iter().chain(registered).all(|status| status == OK));
    let ids: BTreeSet<_> =
        door.records().await.into_iter().map(|record| record.1.unwrap()).collect();
    assert_eq!(ids.len(), 300);
    let keys: i64 = door.world.value("select count(distinct key) from tidings.idempotency").await;
    assert_eq!((keys, door.events().await.len()), (300, 300));
    for writer in ["event", "log"] {
        let commits = format!("tidings_relay_commit_duration_seconds_count{{writer=\"{writer}\"}}");
        let commits = door.metric(&commits).await;
        assert!(commits < 250, "{commits} commits of {writer} for 300 requests at once");
    }
    let gaps: i64 = door
        .world
        .value(
            "select count(*) from tidings.log_partition p where p.next_offset <>
               (select count(*) from tidings.log_record r where r.topic_id = p.topic_id and r.partition = p.partition)",
        )
        .await;
    assert_eq!(gaps, 0, "offsets are handed out without a gap");
}

#[tokio::test]
async fn two_relays_that_are_sent_the_same_store_it_once() {
    let one = Door::open().await;
    let pool = one.world.pool.clone();
    let world = World { pool, database: tidings_tests::Database::new().await };
    let two = Door::before(world, |builder| builder.anonymous(true)).await;
    let forth: Vec<_> = (0..40).map(|n| event(&format!("m{n}"))).collect();
    let back: Vec<_> = forth.iter().rev().cloned().collect();
    for _ in 0..5 {
        let (forth, back, same) = (json!({"batch": forth}), json!({"batch": back}), batch(1));
        let (forth, back, first, second) = tokio::join!(
            one.send("/analytics", &forth),
            two.send("/analytics", &back),
            one.send("/v1/telemetry", &same),
            two.send("/v1/telemetry", &same),
        );
        assert!([forth.0, back.0, first.0, second.0].iter().all(|status| *status == OK));
    }
    assert_eq!((one.events().await.len(), one.records().await.len()), (40, 1));
}

#[tokio::test]
async fn request_that_the_database_cannot_store_harms_no_other() {
    let door = Door::open().await;
    door.world
        .execute(
            "create function public.refuse() returns trigger language plpgsql as
               $$ begin raise exception using errcode = '22000', message = 'refused'; end $$;
             create trigger refuse before insert on tidings.idempotency for each row
               when (new.key like '%poison%') execute function public.refuse()",
        )
        .await;
    let ids = (0..60).map(|n| if n % 20 == 7 { format!("poison{n}") } else { format!("m{n}") });
    let bodies: Vec<_> = ids.map(|id| event(&id)).collect();
    let statuses =
        join_all(bodies.iter().map(async |body| door.send("/analytics", body).await)).await;
    for (body, (status, answer)) in bodies.iter().zip(statuses) {
        let poisoned = body.to_string().contains("poison");
        assert_eq!(status, if poisoned { 422 } else { OK }, "{body} {answer}");
    }
    assert_eq!(door.events().await.len(), 57);
}

/// A pool whose cables can be cut, to a world with the types of a shop.
pub(super) async fn behind_proxy() -> (World, Proxy) {
    let world = World::new(&["order:placed"]).await;
    declare(&world).await;
    let proxy = Proxy::start(world.database.server().address().port).await;
    let url = proxy.url(&world.database.url());
    let options = PgPoolOptions::new().max_connections(10).acquire_timeout(Duration::from_secs(2));
    let pool: PgPool = options.connect_lazy(&url).unwrap();
    (World { pool, database: world.database }, proxy)
}

#[tokio::test]
async fn database_that_is_gone_is_answered_with_503_and_nothing_is_lost_or_doubled() {
    let (world, proxy) = behind_proxy().await;
    let direct = world.database.pool().clone();
    let limits = Limits { commit_timeout: Duration::from_secs(3), ..Limits::default() };
    let door = Door::before(world, |builder| builder.anonymous(true).limits(limits)).await;
    assert_eq!(door.send("/analytics", &event("before")).await.0, OK);
    let send = async |n: usize| {
        let body = event(&format!("m{n}")).to_string();
        let response = door.post("/analytics").body(body).send().await.unwrap();
        let retry_after = header(&response, "retry-after").to_owned();
        (read(response).await.0, retry_after)
    };
    proxy.refuse();
    proxy.cut();
    for (status, retry_after) in join_all((0..20).map(send)).await {
        assert_eq!((status, retry_after.as_str()), (503, "1"));
    }
    proxy.accept();
    for n in 0..20 {
        eventually(SOON, "the event is taken", async || (send(n).await.0 == OK).then_some(()))
            .await;
    }
    let events: i64 =
        sqlx::query_scalar("select count(*) from tidings.event").fetch_one(&direct).await.unwrap();
    assert_eq!(events, 21);
}

#[tokio::test]
async fn stalled_database_does_not_hold_requests_for_ever_and_the_relay_recovers() {
    let (world, proxy) = behind_proxy().await;
    let limits = Limits { commit_timeout: Duration::from_millis(500), ..Limits::default() };
    let door = Door::before(world, |builder| builder.anonymous(true).limits(limits)).await;
    assert_eq!(door.send("/v1/telemetry", &batch(0)).await.0, OK);
    proxy.stall();
    let (status, answer) = door.send("/v1/telemetry", &batch(1)).await;
    assert_eq!((status, &answer["params"]["err"]), (503, &json!("UNAVAILABLE")));
    proxy.resume();
    eventually(SOON, "the batch is taken", async || {
        (door.send("/v1/telemetry", &batch(1)).await.0 == OK).then_some(())
    })
    .await;
    let records: i64 = sqlx::query_scalar("select count(*) from tidings.log_record")
        .fetch_one(door.world.database.pool())
        .await
        .unwrap();
    assert_eq!(records, 2);
}

#[tokio::test]
async fn commit_whose_answer_is_lost_is_not_claimed_and_not_doubled_when_it_is_sent_again() {
    let (world, proxy) = behind_proxy().await;
    let direct = world.database.pool().clone();
    let door = Door::before(world, |builder| builder.anonymous(true)).await;
    let count = async || -> (i64, i64) {
        let counts = "select (select count(*) from tidings.event), (select count(*) from tidings.log_record)";
        sqlx::query_as(counts).fetch_one(&direct).await.unwrap()
    };
    for (path, body, fired) in [("/analytics", event("lost"), 1), ("/v1/telemetry", batch(7777), 2)]
    {
        let needle: &[u8] = if path == "/analytics" { b":lost" } else { b"m7777" };
        proxy.cut_at(needle, Moment::After);
        assert_eq!(door.send(path, &body).await.0, 503, "{path}");
        proxy.fired(fired, SOON).await;
        eventually(SOON, "it was committed all the same", async || {
            let (events, records) = count().await;
            (events + records == i64::try_from(fired).unwrap()).then_some(())
        })
        .await;
        let (status, answer) = door.send(path, &body).await;
        assert_eq!(status, OK, "{path}");
        let repeated = [json!("repeated"), json!(true)];
        let found = answer.pointer("/result/repeated").or_else(|| answer.get("status"));
        assert!(repeated.contains(found.unwrap()), "{path} {answer}");
    }
    assert_eq!(count().await, (1, 1));
}

#[tokio::test]
async fn shutdown_finishes_what_was_taken_and_takes_nothing_more() {
    let door = Door::open().await;
    // A door of the same relay whose server does not stop by itself, as that of an application.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = format!("http://{}/analytics", listener.local_addr().unwrap());
    let router = door.relay.router();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    assert_eq!(door.send("/analytics", &event("warm")).await.0, OK);

    // One whose body is under way, and some that wait for a commit, because the row that every append needs is held.
    let body = batch(99).to_string();
    let mut dribbling = TcpStream::connect(door.address).await.unwrap();
    let (begin, rest) = body.split_at(10);
    let request = format!(
        "POST /v1/telemetry HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{begin}",
        body.len()
    );
    dribbling.write_all(request.as_bytes()).await.unwrap();
    let mut holding = door.world.pool.begin().await.unwrap();
    sqlx::query("select from tidings.log_partition for update")
        .execute(&mut *holding)
        .await
        .unwrap();
    let sent: Vec<_> = (0..5)
        .map(|n| tokio::spawn(door.post("/v1/telemetry").body(batch(n).to_string()).send()))
        .collect();
    eventually(SOON, "all are inside", async || {
        (door.metric("tidings_relay_buffer_requests").await == 6).then_some(())
    })
    .await;

    door.shutdown.cancel();
    eventually(SOON, "nothing more is taken", async || {
        let late = door.client.post(&other).body(event("late").to_string()).send().await.unwrap();
        let (status, answer) = read(late).await;
        (status == 503 && answer["error"]["code"] == "shutting_down").then_some(())
    })
    .await;
    holding.rollback().await.unwrap();
    for response in sent {
        assert_eq!(response.await.unwrap().unwrap().status().as_u16(), OK);
    }
    dribbling.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    dribbling.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    tokio::time::timeout(SOON, door.relay.finished()).await.unwrap();
    assert_eq!(door.records().await.len(), 6);
}

#[tokio::test]
async fn old_requests_are_forgotten_and_old_partitions_dropped() {
    let world = World::new(&[]).await;
    world
        .execute(
            "insert into tidings.relay_request (sha256, received_at)
             select sha256(n::text::bytea), clock_timestamp() - n * interval '1 hour' from generate_series(1, 48) n;
             select tidings.make_partition('log_record', clock_timestamp() - n * interval '24 hours')
             from generate_series(5, 12) n",
        )
        .await;
    let pool = world.pool.clone();
    let _door = Door::before(world, |builder| builder).await;
    eventually(SOON, "what is old is gone", async || {
        let left: (i64, i64) = sqlx::query_as(
            "select (select count(*) from tidings.relay_request),
               (select count(*) from tidings.partition where parent = 'log_record' and ends_at < clock_timestamp())",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        // Of the partitions 5, 6 and 7 days old.
        (left == (23, 3)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn offsets_of_an_append_are_those_of_its_records() {
    let world = World::new(&[]).await;
    let append = async |partitions: &[i32], name: &str| -> Result<Vec<i64>, sqlx::Error> {
        let values = (0..partitions.len()).map(|place| format!("{name}{place}").into_bytes());
        sqlx::query_scalar("select tidings.append_v1('telemetry.raw', $1, $2, $3, $4)")
            .bind(partitions)
            .bind(vec![None::<String>; partitions.len()])
            .bind(vec!["{}"; partitions.len()])
            .bind(values.collect::<Vec<_>>())
            .fetch_one(&world.pool)
            .await
    };
    assert_eq!(append(&[3, 1, 3, 2, 1], "a").await.unwrap(), [0, 0, 1, 0, 1]);
    assert_eq!(append(&[1, 3], "b").await.unwrap(), [2, 2]);
    let at: Vec<(i32, i64, String)> = sqlx::query_as(
        "select partition, record_offset, convert_from(value, 'UTF8') from tidings.log_record order by 1, 2",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    let at: Vec<_> =
        at.iter().map(|(partition, at, value)| (*partition, *at, value.as_str())).collect();
    assert_eq!(
        at,
        [
            (1, 0, "a1"),
            (1, 1, "a4"),
            (1, 2, "b0"),
            (2, 0, "a3"),
            (3, 0, "a0"),
            (3, 1, "a2"),
            (3, 2, "b1")
        ]
    );
    let error = append(&[16], "c").await.unwrap_err();
    assert!(error.to_string().contains("no partition 16 of topic telemetry.raw"), "{error}");
}

#[tokio::test]
async fn appends_to_the_same_partitions_in_any_order_do_not_wait_in_a_circle() {
    let world = World::new(&[]).await;
    let partitions: Vec<i32> = (0..16).collect();
    let back: Vec<i32> = partitions.iter().rev().copied().collect();
    let append = async |n: i32| -> Vec<i64> {
        sqlx::query_scalar(
            "select tidings.append_v1('telemetry.raw', $1, array_fill(null::text, '{16}'), array_fill('{}'::text, '{16}'),
               array_fill('x'::bytea, '{16}'))",
        )
        .bind(if n % 2 == 0 { &partitions } else { &back })
        .fetch_one(&world.pool)
        .await
        .unwrap()
    };
    let all = join_all((0..60).map(append)).await;
    let mut offsets: Vec<_> = all.into_iter().map(|offsets| offsets[0]).collect();
    offsets.sort_unstable();
    offsets.dedup();
    assert!(offsets.len() >= 30, "{offsets:?}");
    let times: i64 = world
        .value(
            "select count(*) from tidings.log_record a join tidings.log_record b using (topic_id, partition)
             where a.record_offset < b.record_offset and a.appended_at > b.appended_at",
        )
        .await;
    assert_eq!(times, 0, "times do not fall while offsets grow");
}
