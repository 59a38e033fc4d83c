//! Files that were lost are made again from the log.

use std::{fs, sync::Arc};

use chrono::DateTime;
use tidings_pipeline::sink::{
    files::{Resent, Store},
    resend::Range,
};
use tidings_tests::{Database, Temporary};

use super::lake::{Lake, RETRY};

const ALL: Range =
    Range::Time { from: DateTime::UNIX_EPOCH, until: DateTime::<chrono::Utc>::MAX_UTC };

/// Makes a sink in a folder: what is taken away there behind a server's back is gone for the server.
async fn lake(folder: &Temporary) -> Lake {
    Lake::new(&Arc::new(Database::new().await), "lake", folder.path().join("lake")).await
}

fn store(lake: &Lake) -> Store {
    Store::open(&format!("file://{}", lake.folder.display()), &[], RETRY).unwrap()
}

async fn resend(lake: &Lake, range: Range) -> Resent {
    let sink = lake.sink(store(lake));
    sink.resend(&lake.log, (&lake.hooks, range), |_| {}).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_was_deleted_is_there_again_and_one_that_was_changed_is_named() {
    let folder = Temporary::new("lake");
    let lake = lake(&folder).await;
    lake.append(0, "e", &[0, 0, 1, 0, 1]).await;
    lake.append(1, "e", &[0, 1]).await;
    let running = lake.start(store(&lake));
    lake.committed(&[3, 2]).await;
    running.stop().await;
    lake.committed(&[5, 2]).await;
    let names: Vec<_> = lake.names().into_iter().filter(|name| name.starts_with("dt=")).collect();
    let intact = names.len() as u64;
    assert_eq!(resend(&lake, ALL).await, Resent { plans: 3, intact, ..Resent::default() });

    let before = lake.read(&names[0]);
    fs::remove_file(lake.folder.join(&names[0])).unwrap();
    fs::write(lake.folder.join(&names[1]), "something else").unwrap();
    let resent = resend(&lake, ALL).await;
    assert_eq!((resent.intact, resent.restored), (intact - 2, 1), "{resent:?}");
    assert_eq!(resent.refused.len(), 1);
    assert_eq!(resent.refused[0].name, names[1]);
    assert_eq!(lake.read(&names[0]), before);

    // Moved away, it is made again as well.
    fs::remove_file(lake.folder.join(&names[1])).unwrap();
    let other = Range::Offsets { partition: 9, first: 0, next: 9 };
    assert_eq!(resend(&lake, other).await, Resent::default());
    assert_eq!(resend(&lake, ALL).await.restored, 1);
    lake.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn file_whose_records_are_gone_is_named() {
    let folder = Temporary::new("lake");
    let lake = lake(&folder).await;
    lake.append(0, "e", &[0, 1]).await;
    let running = lake.start(store(&lake));
    lake.committed(&[2]).await;
    running.stop().await;
    let name = lake.names().into_iter().find(|name| name.starts_with("dt=")).unwrap();
    fs::remove_file(lake.folder.join(&name)).unwrap();
    // Other records at the same offsets, as of a log that was made anew.
    let other = lake.over(super::lake::log().await);
    other.log.set_clock("2099-01-02T00:00:00Z".parse().unwrap());
    other.append(0, "x", &[0, 1, 0]).await;
    let resent = resend(&other, ALL).await;
    assert_eq!((resent.restored, resent.refused.len()), (0, 1), "{resent:?}");
    assert!(resent.refused[0].reason.contains("not in the log any more"));
}
