//! The pipeline on the log in Postgres: processes are killed at random moments, and the server crashes.

use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tidings_pipeline::log::{Postgres, postgres::Options};
use tidings_tests::{Database, Kind, Server};

use super::{
    killed::{SETTLED, kill_again_and_again},
    stage::{Parts, Stage},
};

#[tokio::test(flavor = "multi_thread")]
async fn processes_and_a_server_that_crash_bring_every_event_once_into_files() {
    let server = Arc::new(Server::start(Kind::Durable).await);
    let database = Database::on(&server).await;
    let connect: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPoolOptions::new().max_connections(5).connect_lazy_with(connect.clone());
    let log = Postgres::new(pool, connect, Options::default());
    let parts = Parts { log, database, choice: Vec::new(), seed: 3 };
    let mut stage = Stage::new(parts).await;
    for place in 0..2 {
        stage.start(place).await;
    }
    kill_again_and_again(&mut stage, 4, 1_500).await;
    server.crash().await;
    server.start_again().await;
    kill_again_and_again(&mut stage, 1, 1_500).await;
    let expected = stage.settled(SETTLED).await;
    stage.stop_all().await;
    stage.check(&expected, None).await;
}
