//! Quick drain probe.
#![allow(missing_docs, clippy::all, clippy::pedantic, clippy::print_stdout, clippy::unwrap_used)]
use std::time::{Duration, Instant};
use tidings::deliverer::Memory;
use tokio_util::sync::CancellationToken;
#[tokio::main]
async fn main() {
    let url = std::env::var("DATABASE_URL").unwrap();
    let lanes: i32 = std::env::args().nth(1).unwrap().parse().unwrap();
    let n: i64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let pumps: usize = std::env::args().nth(3).unwrap().parse().unwrap();
    let batch: usize = std::env::args().nth(4).unwrap().parse().unwrap();
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::raw_sql("truncate tidings.delivery, tidings.attempt, tidings.event, tidings.worker; update tidings.shard set worker_id = null").execute(&pool).await.unwrap();
    sqlx::query("insert into tidings.subscriber(name,kind,shard) select 's'||i,'memory',i%16 from generate_series(1,$1) i on conflict do nothing").bind(lanes).execute(&pool).await.unwrap();
    sqlx::query("with e as (insert into tidings.event (event_id, created_at, occurred_at, type, version, tenant, scope, payload_bytes, payload) select (lpad(to_hex((extract(epoch from clock_timestamp())*1000)::bigint),12,'0')||'7000'||'-'||substr(gen_random_uuid()::text,20))::uuid, clock_timestamp(), clock_timestamp(), 'order:placed',1,'','',200, json_build_object('a', repeat('x',200)) from generate_series(1,$1) returning event_id) insert into tidings.delivery(event_id,due_at,first_due_at,subscriber_id,subscription_id) select event_id, clock_timestamp(), clock_timestamp(), 1 + (row_number() over ()) % $2, 1 from e").bind(n).bind(lanes).execute(&pool).await.unwrap();
    for q in ["vacuum analyze tidings.delivery","vacuum analyze tidings.event","checkpoint"] { sqlx::raw_sql(q).execute(&pool).await.unwrap(); }
    let memory = Memory::counting(batch);
    let shutdown = CancellationToken::new();
    let start = Instant::now();
    let mut running = tidings_worker::Worker::builder(pool.clone()).deliverer(memory.clone()).pumps(pumps).spawn(shutdown.clone()).await.unwrap();
    while running.counts().delivered < n as u64 { tokio::time::sleep(Duration::from_millis(20)).await; println!("{:?} {:?}", start.elapsed(), running.counts()); if start.elapsed() > Duration::from_secs(30) { break } }
    loop { let left: i64 = sqlx::query_scalar("select count(*) from tidings.delivery").fetch_one(&pool).await.unwrap(); if left == 0 || start.elapsed() > Duration::from_secs(40) { println!("left {left}"); break } tokio::time::sleep(Duration::from_millis(5)).await; }
    println!("{} per second", n as f64 / start.elapsed().as_secs_f64());
    println!("{:?}", running.counts());
    shutdown.cancel();
    println!("drained {}", running.finished().await);
}
