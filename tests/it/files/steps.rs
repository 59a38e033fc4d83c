//! The sink dies between any two of its steps: plan stored, each file up, plan done, each manifest up, committed.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use tidings_tests::{
    Database, SOON,
    s3::{Bucket, Fault, Request},
};

use super::lake::{Lake, store};

/// Per partition, two plans of two files, and one of one file when the sink is stopped.
const DAYS: [usize; 6] = [0, 0, 1, 1, 0, 0];

/// Each of those files, and its manifest, in two partitions.
const PUTS: usize = 2 * 2 * 5;

fn is_step(request: &Request) -> bool {
    request.puts("/dt=")
}

/// Secor put one message in two files (600), lost some at a rebalance (395, 105) and doubled some (2316): a file that
/// was cut by the clock is cut elsewhere after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn sink_that_dies_between_any_two_steps_leaves_every_event_in_one_file() {
    let (bucket, database) = (Bucket::new().await, Arc::new(Database::new().await));
    let moments = [Fault::HoldBefore, Fault::HoldAfter];
    let deaths = (0..PUTS).flat_map(|step| moments.map(|moment| (step, moment)));
    stream::iter(deaths)
        .for_each_concurrent(8, async |(step, moment)| die(&bucket, &database, step, moment).await)
        .await;
}

async fn die(bucket: &Bucket, database: &Arc<Database>, step: usize, moment: Fault) {
    let name = format!("dies-{step}-{moment:?}").to_lowercase();
    let lake = Lake::new(database, &name, bucket.path().join(&name)).await;
    for partition in [0, 1] {
        lake.append(partition, "e", &DAYS).await;
    }
    let faults = bucket.faults().await;
    let mut steps = 0;
    faults.script(move |request| {
        steps += usize::from(is_step(request));
        if is_step(request) && steps == step + 1 { moment } else { Fault::None }
    });
    let running = lake.start(store(bucket, &name, Some(faults.port())));
    // What is open at the end goes up when the sink is stopped, and is held there as well.
    let stopped = async {
        lake.committed(&[5, 5]).await;
        running.shutdown.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = faults.held(1, SOON) => {}
        () = stopped => {}
    }
    running.crash().await;

    let left = lake.pending().await;
    let running = lake.start(store(bucket, &name, None));
    running.taken(left).await;
    lake.committed(&[5, 5]).await;
    running.stop().await;
    lake.committed(&[6, 6]).await;
    lake.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn manifest_lists_complete_plans_only() {
    let bucket = Bucket::new().await;
    let lake = Lake::alone(&bucket).await;
    let faults = bucket.faults().await;
    // The second file of the plan.
    faults.script(|request| {
        let is_second = request.puts("/dt=2026-11-22/") && !request.puts("manifest");
        if is_second { Fault::HoldBefore } else { Fault::None }
    });
    lake.append(0, "e", &[0, 1]).await;
    let running = lake.start(store(&bucket, "lake", Some(faults.port())));
    faults.held(1, SOON).await;
    let names = lake.names();
    assert!(names.len() == 1 && names[0].starts_with("dt=2026-11-21/"), "{names:?}");
    running.crash().await;

    let running = lake.start(store(&bucket, "lake", None));
    lake.committed(&[2]).await;
    running.stop().await;
    lake.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_an_aborted_commit_are_in_one_file() {
    let bucket = Bucket::new().await;
    let lake = Lake::alone(&bucket).await;
    lake.log.abort_next(3);
    lake.append(0, "e", &[0, 1, 0, 1, 0]).await;
    lake.append(1, "e", &[0, 0]).await;
    let running = lake.start(store(&bucket, "lake", None));
    lake.committed(&[4]).await;
    running.stop().await;
    lake.committed(&[5, 2]).await;
    lake.check();
}
