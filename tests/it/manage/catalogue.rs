//! Catalogues, made known to the database.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{
    Catalogue, Event, catalogue,
    catalogue::{Change, Changed},
};
use tidings_tests::World;

use super::{JobFailed, OrderPaid, OrderPlaced};

/// As it was in the version before: without the number of items.
mod before {
    use super::{Event, JsonSchema, Serialize};

    /// An order has been placed.
    #[derive(Event, Serialize, JsonSchema)]
    #[event(name = "order:placed", version = 1)]
    pub(super) struct OrderPlaced {
        order: u64,
    }
}

#[tokio::test]
async fn sync_reports_what_it_adds_and_changes_and_removes_nothing() {
    let world = World::new(&[]).await;
    let mut conn = world.pool.acquire().await.unwrap();
    let change =
        |event_type: &str, change| Change { event_type: event_type.to_owned(), version: 1, change };

    let old = catalogue![before::OrderPlaced, OrderPaid].unwrap();
    assert_eq!(
        old.sync(&mut conn).await.unwrap(),
        [change("order:paid", Changed::Added), change("order:placed", Changed::Added)]
    );
    assert_eq!(old.sync(&mut conn).await.unwrap(), []);

    let new = catalogue![JobFailed, OrderPlaced].unwrap();
    assert_eq!(
        new.sync(&mut conn).await.unwrap(),
        [change("order:placed", Changed::Changed), change("project:job:failed", Changed::Added)]
    );
    let stored = Catalogue::stored(&mut conn).await.unwrap();
    let names: Vec<_> = stored.iter().map(|known| known.event_type.as_str()).collect();
    assert_eq!(names, ["order:paid", "order:placed", "project:job:failed"]);
    assert_eq!(stored[2].documentation, "A job has failed.");
    assert_eq!(stored[2].audience, ["notification"]);
    assert_eq!(stored[1].audience, ["notification", "telemetry"]);
}

#[tokio::test]
async fn schema_that_is_missing_is_said_so() {
    let database = tidings_tests::Database::blank().await;
    let error =
        catalogue![OrderPaid].unwrap().sync(&mut database.connect().await).await.unwrap_err();
    assert!(error.to_string().contains("run `tidings migrate`"), "{error}");
    assert!(!error.is_transient());
}
