//! Files without somebody who was erased, and without what the level does not permit any more.

use std::sync::Arc;

use tidings::{Level, privacy};
use tidings_pipeline::{
    erase::{Erasure, Subjects},
    sink::files::{Codec, Erased, Roll, Store},
};
use tidings_tests::{
    Database, SOON, Temporary,
    s3::{Bucket, Fault, Request},
};

use super::lake::{Lake, RETRY, store};

/// Sets a tombstone.
async fn bury(lake: &Lake, actor: &str) -> Erasure {
    let subjects = Subjects { actors: vec![actor.to_owned()], ..Subjects::default() };
    Erasure::begin(lake.database.pool(), subjects).await.unwrap()
}

async fn erase(lake: &Lake, actor: &str, store: Store) -> Erased {
    let erasure = bury(lake, actor).await;
    lake.sink(store).erase(erasure.tombstones(), |_| {}).await.unwrap()
}

/// Files events of three people: one file has ada beside others, one has her alone, and one has others alone.
async fn fill(lake: &Lake, store: Store) {
    for (mid, actor, day) in [
        ("a0", "ada", 0),
        ("b0", "bob", 0),
        ("a1", "ada", 1),
        ("a2", "ada", 0),
        ("b1", "bob", 0),
        ("c1", "cid", 1),
    ] {
        lake.append_of(0, mid, (actor, day)).await;
    }
    lake.append_of(1, "b2", ("bob", 0)).await;
    lake.append_of(1, "b3", ("bob", 0)).await;
    let running = lake.start(store);
    lake.committed(&[6]).await;
    running.stop().await;
    lake.committed(&[6, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_codec_are_written_anew_without_somebody() {
    let folder = Temporary::new("lake");
    for codec in Codec::ALL {
        // Tombstones are the installation's, so each has one of its own.
        let (database, name) = (Arc::new(Database::new().await), codec.as_str());
        let mut lake = Lake::new(&database, name, folder.path().join(name)).await;
        lake.options.codec = codec;
        let open =
            || Store::open(&format!("file://{}", lake.folder.display()), &[], RETRY).unwrap();
        fill(&lake, open()).await;
        lake.check();
        let erased = erase(&lake, "ada", open()).await;
        assert_eq!((erased.events, erased.unfinished, erased.missing), (3, 0, 0), "{erased:?}");
        lake.check_without(&["ada"]);
        let again = erase(&lake, "ada", open()).await;
        assert_eq!((again.rewritten, again.files), (0, erased.files - 1), "{again:?}");
        // Written anew a second time, under the next generation.
        erase(&lake, "bob", open()).await;
        lake.check_without(&["ada", "bob"]);
        // The one that had others alone stays as it was.
        let names = lake.names();
        let untouched = names.iter().filter(|name| name.contains(".g1."));
        assert_eq!(untouched.count(), 1, "{names:?}");
    }
}

fn is_change(request: &Request) -> bool {
    request.method != "GET" && request.method != "HEAD" && !request.path.contains("probe-")
}

/// A file and its manifest are put, and the old one is deleted; or a manifest and its file are deleted.
#[tokio::test(flavor = "multi_thread")]
async fn erasure_that_dies_between_any_two_steps_is_finished_by_the_next() {
    let (bucket, database) = (Bucket::new().await, Arc::new(Database::new().await));
    for step in 0..4 {
        for moment in [Fault::HoldBefore, Fault::HoldAfter] {
            let name = format!("dies-{step}-{moment:?}").to_lowercase();
            let lake = Lake::new(&database, &name, bucket.path().join(&name)).await;
            fill(&lake, store(&bucket, &name, None)).await;
            let faults = bucket.faults().await;
            // The first is the deletion of a probe.
            let mut steps = -1;
            faults.script(move |request| {
                steps += i32::from(is_change(request));
                if is_change(request) && steps == step + 1 { moment } else { Fault::None }
            });
            let erasure = bury(&lake, "ada").await;
            let sink = lake.sink(store(&bucket, &name, Some(faults.port())));
            let erasing =
                tokio::spawn(async move { sink.erase(erasure.tombstones(), |_| {}).await });
            faults.held(1, SOON).await;
            erasing.abort();
            assert!(erasing.await.unwrap_err().is_cancelled());
            // Somebody else is erased meanwhile: what was left behind is other content by now.
            let erased = erase(&lake, "cid", store(&bucket, &name, None)).await;
            assert_eq!(erased.unfinished, 0);
            lake.check_without(&["ada", "cid"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_that_is_finished_after_an_erasure_leaves_nothing_of_who_was_erased() {
    for moment in [Fault::HoldBefore, Fault::HoldAfter] {
        let bucket = Bucket::new().await;
        let lake = Lake::alone(&bucket).await.guarded();
        for (mid, actor, day) in [("a0", "ada", 0), ("b0", "bob", 0), ("a1", "ada", 1)] {
            lake.append_of(0, mid, (actor, day)).await;
        }
        let faults = bucket.faults().await;
        faults.script(
            move |request| {
                if request.puts("/dt=2026-11-21/") { moment } else { Fault::None }
            },
        );
        let running = lake.start(store(&bucket, "lake", Some(faults.port())));
        faults.held(1, SOON).await;
        running.crash().await;
        let before = lake.hooks.refresh().await.unwrap();
        let erased = erase(&lake, "ada", store(&bucket, "lake", None)).await;
        lake.judged_after(before).await;
        assert_eq!((erased.unfinished, erased.events), (1, 0), "{erased:?}");
        let running = lake.start(store(&bucket, "lake", None));
        lake.committed(&[3]).await;
        running.stop().await;
        lake.check_without(&["ada"]);
        assert_eq!(lake.ledger(), [1, 0, 0, 2]);
        let again = erase(&lake, "ada", store(&bucket, "lake", None)).await;
        assert_eq!((again.unfinished, again.events), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_open_files_is_judged_again_when_somebody_is_erased_or_the_level_lowered() {
    let bucket = Bucket::new().await;
    let mut lake = Lake::alone(&bucket).await.guarded();
    lake.options.roll = Roll::default();
    for (mid, actor) in [("a0", "ada"), ("b0", "bob")] {
        lake.append_of(0, mid, (actor, 0)).await;
    }
    let running = lake.start(store(&bucket, "lake", None));
    running.taken(2).await;
    let before = lake.hooks.refresh().await.unwrap();
    bury(&lake, "ada").await;
    lake.judged_after(before).await;
    running.stop_again(&lake, store(&bucket, "lake", None)).await;
    lake.committed(&[2]).await;
    lake.check_without(&["ada"]);
    assert_eq!(lake.ledger(), [1, 0, 0, 1]);

    lake.append_of(0, "b1", ("bob", 1)).await;
    let running = lake.start(store(&bucket, "lake", None));
    running.taken(1).await;
    let before = lake.hooks.refresh().await.unwrap();
    let mut tx = lake.database.pool().begin().await.unwrap();
    privacy::set_level(&mut tx, Level::Basic).await.unwrap();
    tidings::commit(tx).await.unwrap();
    lake.judged_after(before).await;
    running.stop_again(&lake, store(&bucket, "lake", None)).await;
    lake.committed(&[3]).await;
    assert_eq!(lake.ledger(), [1, 0, 0, 2]);
}
