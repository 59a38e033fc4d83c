//! The client before a real relay: every event is there once, whatever happens between the two.

use super::{
    npm::{package, tests},
    stage::Stage,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_event_of_a_page_is_in_the_log_once() {
    let stage = Stage::open().await;
    let run = move || tests(package(), "live", &[("TIDINGS_STAGE", &stage)]);
    tokio::task::spawn_blocking(run).await.unwrap();
}
