//! Behind `PgBouncer` in transaction mode.

use tidings_ownership::Session;
use tidings_pipeline::log::{conformance, postgres::Options};
use tidings_tests::{Database, Pooler};

use super::{Bench, open_at};

#[tokio::test(flavor = "multi_thread")]
async fn log_keeps_the_contract_behind_pgbouncer() {
    let database = Database::new().await;
    let pooler = Pooler::start(&database, 4).await;
    let options = Options { session: Session::Pooled, ..Options::default() };
    let log = open_at(&pooler.url(), options);
    conformance::log(&Bench { log, pool: database.pool().clone() }).await.unwrap();
}
