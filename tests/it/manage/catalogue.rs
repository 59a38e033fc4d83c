//! Catalogues, made known to the database.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use schemars::JsonSchema;
use serde::Serialize;
use sqlx::PgConnection;
use tidings::{
    Catalogue, Error, Event, catalogue,
    catalogue::{Changed, Snapshot, Synced, compare::Kind},
    name::Name,
    register_event,
    testing::assert_registrable,
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
        pub(super) order: u64,
    }
}

async fn sync(catalogue: &Catalogue, conn: &mut PgConnection) -> Synced {
    catalogue.sync(conn).await.unwrap()
}

/// Returns what a sync has done, as words.
fn changes(synced: &Synced) -> Vec<(String, Changed)> {
    synced.changes.iter().map(|change| (change.id.event_type.clone(), change.change)).collect()
}

fn named(changes: &[(&str, Changed)]) -> Vec<(String, Changed)> {
    changes.iter().map(|(name, change)| ((*name).to_owned(), *change)).collect()
}

#[tokio::test]
async fn sync_reports_what_it_adds_and_changes_and_removes_nothing() {
    let world = World::new(&[]).await;
    let mut conn = world.pool.acquire().await.unwrap();
    let old = catalogue![before::OrderPlaced, OrderPaid].unwrap();
    assert_eq!(
        changes(&sync(&old, &mut conn).await),
        named(&[("order:paid", Changed::Added), ("order:placed", Changed::Added)])
    );
    assert_eq!(sync(&old, &mut conn).await, Synced::default());

    let new = catalogue![JobFailed, OrderPlaced].unwrap();
    let synced = sync(&new, &mut conn).await;
    assert_eq!(
        changes(&synced),
        named(&[("order:placed", Changed::Changed), ("project:job:failed", Changed::Added)])
    );
    let missing: Vec<_> = synced.missing.iter().map(ToString::to_string).collect();
    assert_eq!(missing, ["`order:paid` version 1"], "told, and left as it is");
    let mut stored = Catalogue::stored(&mut conn).await.unwrap();
    stored.retain(|known| !known.is_reserved());
    let names: Vec<_> = stored.iter().map(|known| known.event_type.as_str()).collect();
    assert_eq!(names, ["order:paid", "order:placed", "project:job:failed"]);
    assert_eq!(stored[2].documentation, "A job has failed.");
    assert_eq!(stored[2].audience, ["notification"]);
    assert_eq!(stored[2].scopes, ["project", "job"]);
    assert_eq!(stored[1].audience, ["notification", "telemetry"]);
    assert!(stored.iter().all(|known| known.retired_at.is_none()));
}

#[tokio::test]
async fn sync_updates_a_schema_that_breaks_consumers_and_says_what_broke() {
    let world = World::new(&[]).await;
    let mut conn = world.pool.acquire().await.unwrap();
    sync(&catalogue![OrderPlaced].unwrap(), &mut conn).await;
    let synced = sync(&catalogue![before::OrderPlaced].unwrap(), &mut conn).await;
    let broken: Vec<_> = synced.breaking().map(ToString::to_string).collect();
    assert_eq!(
        broken,
        [
            "`order:placed` version 1: no longer for the audience `telemetry`",
            "`order:placed` version 1, `$.items`: field removed",
        ]
    );
    assert!(synced.to_string().contains("breaks consumers without a new version"), "{synced}");
    let again = sync(&catalogue![OrderPlaced].unwrap(), &mut conn).await;
    assert_eq!(again.breaking().count(), 0, "{again}");
    let kinds: Vec<_> = again.changes[0].differences.iter().map(|found| found.kind).collect();
    assert_eq!(kinds, [Kind::AudienceWidened, Kind::FieldAdded]);
}

#[tokio::test]
async fn declared_retirement_ends_when_the_type_is_declared_again() {
    let world = World::new(&[]).await;
    let mut conn = world.pool.acquire().await.unwrap();
    let declared = catalogue![before::OrderPlaced, OrderPaid].unwrap();
    sync(&declared, &mut conn).await;

    let mut retiring = catalogue![OrderPaid].unwrap();
    retiring.retire(&Name::from_static("order:placed"), 1).unwrap();
    retiring.retire(&Name::from_static("order:lost"), 1).unwrap();
    let synced = sync(&retiring, &mut conn).await;
    assert_eq!(changes(&synced), named(&[("order:placed", Changed::Retired)]));
    assert_eq!(synced.missing, []);
    assert_eq!(sync(&retiring, &mut conn).await, Synced::default());
    let mut tx = world.pool.begin().await.unwrap();
    let refused = register_event(&mut tx, &before::OrderPlaced { order: 1 }).await.unwrap_err();
    assert!(matches!(refused, Error::RetiredType { .. }), "{refused:?}");
    tx.rollback().await.unwrap();
    let mut subscribable = Catalogue::subscribable(&mut conn).await.unwrap();
    subscribable.retain(|known| !known.is_reserved());
    let names: Vec<_> = subscribable.iter().map(|known| known.event_type.as_str()).collect();
    assert_eq!(names, ["order:paid"]);

    // Absence alone changes nothing.
    assert_eq!(sync(&catalogue![OrderPaid].unwrap(), &mut conn).await, Synced::default());
    assert_eq!(
        changes(&sync(&declared, &mut conn).await),
        named(&[("order:placed", Changed::Restored)])
    );
    let mut tx = world.pool.begin().await.unwrap();
    register_event(&mut tx, &before::OrderPlaced { order: 1 }).await.unwrap();
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn what_a_person_has_retired_only_a_person_restores() {
    let world = World::new(&[]).await;
    let mut conn = world.pool.acquire().await.unwrap();
    let declared = catalogue![before::OrderPlaced, OrderPaid].unwrap();
    sync(&declared, &mut conn).await;
    let retired = catalogue::retire(&mut conn, "order:placed", None).await.unwrap();
    assert_eq!(retired.len(), 1);
    assert_eq!(catalogue::retire(&mut conn, "order:placed", Some(1)).await.unwrap(), []);

    let synced = sync(&declared, &mut conn).await;
    assert_eq!((changes(&synced), synced.withheld.len()), (Vec::new(), 1), "{synced}");
    assert!(Catalogue::stored(&mut conn).await.unwrap()[1].retired_at.is_some());
    assert_eq!(catalogue::restore(&mut conn, "order:placed", Some(1)).await.unwrap(), retired);
    assert_eq!(catalogue::restore(&mut conn, "order:placed", None).await.unwrap(), []);
    assert_eq!(sync(&declared, &mut conn).await, Synced::default());

    for (name, version, expected) in [
        ("order:plaed", None, "`order:plaed` is not in the catalogue; known are: order:placed"),
        ("order:placed", Some(7), "event type `order:placed` has no version 7; it has 1"),
        ("tidings:subscriber:disabled", None, "Tidings' own"),
    ] {
        let error = catalogue::retire(&mut conn, name, version).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn database_and_program_make_the_same_snapshot() {
    let world = World::new(&[]).await;
    let mut conn = world.pool.acquire().await.unwrap();
    let mut catalogue = catalogue![OrderPlaced, OrderPaid, JobFailed].unwrap();
    sync(&catalogue, &mut conn).await;
    let loaded = Snapshot::load(&mut conn).await.unwrap().without_reserved();
    assert_eq!(loaded, catalogue.snapshot());
    assert_eq!(loaded.to_json(), catalogue.snapshot().to_json());
    catalogue.retire(&Name::from_static("order:voided"), 1).unwrap();
    assert_eq!(loaded.compare(&catalogue.snapshot()), []);
}

#[tokio::test]
async fn every_declared_type_can_be_registered_and_every_known_type_is_declared() {
    let world = World::new(&[]).await;
    let mut conn = world.pool.acquire().await.unwrap();
    let all = catalogue![OrderPlaced, OrderPaid, JobFailed].unwrap();
    sync(&all, &mut conn).await;
    let failure = async |catalogue: &Catalogue| {
        let mut tx = world.pool.begin().await.unwrap();
        let checked = AssertUnwindSafe(assert_registrable(&mut tx, catalogue)).catch_unwind().await;
        let seen = tidings::testing::registered_all(&mut tx).await.unwrap().len();
        tx.rollback().await.unwrap();
        (seen, checked.err().map(|said| *said.downcast::<String>().unwrap()))
    };
    assert_eq!(failure(&all).await, (3, None));
    let (_, said) = failure(&catalogue![OrderPlaced, OrderPaid].unwrap()).await;
    let said = said.unwrap();
    let expected = "\n  `project:job:failed` version 1: known to the database, and not declared";
    assert!(said.ends_with(expected), "{said}");
    catalogue::retire(&mut conn, "order:paid", None).await.unwrap();
    let (seen, said) = failure(&all).await;
    assert_eq!(seen, 2, "a refusal does not end the transaction");
    assert!(said.unwrap().contains("`order:paid` version 1: "), "and names the type");
}

#[tokio::test]
async fn schema_that_is_missing_is_said_so() {
    let database = tidings_tests::Database::blank().await;
    let error =
        catalogue![OrderPaid].unwrap().sync(&mut database.connect().await).await.unwrap_err();
    assert!(error.to_string().contains("run `tidings migrate`"), "{error}");
    assert!(!error.is_transient());
}
