//! A worker in a process of its own that serves topics of Kafka: what the tests of crashes kill.

use std::{env, time::Duration};

use anyhow::Context;
use sqlx::PgPool;
use tidings_pipeline::deliver::Kafka;
use tidings_worker::Worker;
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "the test reads it")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let url = arguments.next().context("usage: kafka-courier URL BROKERS")?;
    let brokers = arguments.next().context("the brokers")?;
    let shutdown = CancellationToken::new();
    let mut running = Worker::builder(PgPool::connect_lazy(&url)?)
        .deliverer(Kafka::new().brokers(brokers))
        .lease(Duration::from_secs(2))
        .spawn(shutdown.clone())
        .await?;
    println!("ready");
    tokio::signal::ctrl_c().await?;
    shutdown.cancel();
    println!("drained {}", running.finished().await);
    Ok(())
}
