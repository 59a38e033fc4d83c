//! A worker in a process of its own: what the tests of crashes kill, stop and continue.
//!
//! It says its name to every receiver and in the table of workers, so that a journey can tell who sent what.

use std::{env, time::Duration};

use anyhow::Context;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tidings::{address::AllowList, endpoint::Policy, secret::Keyring};
use tidings_worker::{Session, Webhook, Worker, webhook::Settings};
use tokio_util::sync::CancellationToken;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "the test reads it")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let mut next = |what: &'static str| arguments.next().context(what);
    let name = next("usage: courier NAME URL direct|pooled LEASE_MS KEY")?;
    let url = next("the URL of the database")?;
    let session = match next("direct or pooled")?.as_str() {
        "pooled" => Session::Pooled,
        _ => Session::Direct,
    };
    let lease = Duration::from_millis(next("the lease in milliseconds")?.parse()?);
    let keyring = Keyring::parse(&next("the key")?)?;
    let mut connect: PgConnectOptions = url.parse()?;
    if session == Session::Pooled {
        connect = connect.statement_cache_capacity(0);
    }
    let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(connect);
    let settings = Settings {
        policy: Policy { https_only: false, allow: AllowList::loopback() },
        user_agent: name.clone(),
        ..Settings::default()
    };
    let shutdown = CancellationToken::new();
    let mut running = Worker::builder(pool)
        .deliverer(Webhook::builder().settings(settings).build()?)
        .keyring(keyring)
        .session(session)
        .lease(lease)
        .host(name)
        .spawn(shutdown.clone())
        .await?;
    println!("ready");
    tokio::signal::ctrl_c().await?;
    shutdown.cancel();
    println!("drained {}", running.finished().await);
    Ok(())
}
