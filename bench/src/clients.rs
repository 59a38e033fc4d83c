//! Clients that register, each event in a transaction of its own with an insert of the application's.

use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::PgPool;
use tidings::Event;

/// How many there are.
pub(crate) const CLIENTS: u64 = 16;

/// How long they register in one turn.
pub(crate) const TURN: Duration = Duration::from_secs(2);

/// The table of the application.
pub(crate) const APPLICATION: &str = "create table app_order (order_id bigint generated always as identity primary key, customer text not null)";

/// Returns the transactions per second of all clients together, the `n`th of them with `event(n)`.
pub(crate) async fn rate<E: Event + Send + Sync + 'static>(
    pool: &PgPool,
    event: impl Fn(u64) -> E + Clone + Send + 'static,
) -> Result<f64> {
    let began = Instant::now();
    let until = began + TURN;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|first| tokio::spawn(client(pool.clone(), event.clone(), first, until)))
        .collect();
    let mut count = 0_u32;
    for client in clients {
        count += client.await??;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

async fn client<E: Event + Send + Sync + 'static>(
    pool: PgPool,
    event: impl Fn(u64) -> E + Send + 'static,
    first: u64,
    until: Instant,
) -> Result<u32> {
    let mut conn = pool.acquire().await?;
    let mut count = 0;
    while Instant::now() < until {
        let event = event(first + u64::from(count) * CLIENTS);
        let mut tx = sqlx::Connection::begin(&mut *conn).await?;
        sqlx::query("insert into app_order (customer) values ($1)")
            .bind("c-0123456789")
            .execute(&mut *tx)
            .await?;
        tidings::register_event(&mut tx, &event).await?;
        tidings::commit(tx).await?;
        count += 1;
    }
    Ok(count)
}
