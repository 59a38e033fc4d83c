//! Lets a project live on the database at `DATABASE_URL`, and says which events that has made.

use std::{
    env,
    io::{self, Write},
};

use anyhow::{Context, Result};
use sqlx::PgPool;
use tidings_example_orchest::{layer::Site, life};

#[tokio::main]
async fn main() -> Result<()> {
    let url = env::var("DATABASE_URL").context(
        "set DATABASE_URL to a database that may be written to, as `tidings up` prints it",
    )?;
    let pool = PgPool::connect(&url).await.context("connect to DATABASE_URL")?;
    life::prepare(&pool).await?;
    let site = Site::new("https://orchest.example".parse()?);
    let mut output = io::stdout().lock();
    for told in life::run(&pool, &site).await? {
        writeln!(output, "{} {:40} {}", told.event_id, told.event_type, told.scope)?;
    }
    Ok(())
}
