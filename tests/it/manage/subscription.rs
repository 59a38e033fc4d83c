//! Subscriptions: added, set, removed, and refused with a reason.

use std::time::Duration;

use tidings::{
    Catalogue, Error,
    scope::Scope,
    subscriber::{self, NewSubscriber},
    subscription::{self, Wanted},
};
use tidings_tests::{Draft, SOON, World, eventually};

use super::{add, begin, memory, pattern, scope, subscribe, world};

fn wanted(text: &str, path: &str, ordered: bool) -> Wanted {
    Wanted::new(pattern(text)).within(scope(path)).ordered(ordered)
}

#[tokio::test]
async fn types_are_listed_with_the_keys_that_a_subscription_may_be_limited_to() {
    let world = world().await;
    let mut conn = world.pool.acquire().await.unwrap();
    let mut types = Catalogue::stored(&mut conn).await.unwrap();
    types.retain(|known| !known.is_reserved());
    let keys: Vec<_> =
        types.iter().map(|known| (known.event_type.as_str(), known.scopes.join(","))).collect();
    let expected = [
        ("order:paid", String::new()),
        ("order:placed", String::new()),
        ("project:job:failed", "project,job".to_owned()),
    ];
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn second_identical_subscription_is_the_first_and_the_database_allows_no_other() {
    let world = world().await;
    let id = memory(&world, "kept").await;
    let mut tx = begin(&world).await;
    let first = subscription::add(&mut tx, id, &wanted("order:placed", "", false)).await.unwrap();
    let again = subscription::add(&mut tx, id, &wanted("order:placed", "", false)).await.unwrap();
    assert!(first.added && !again.added);
    assert_eq!(first.subscription_id, again.subscription_id);
    let ordered = subscription::add(&mut tx, id, &wanted("order:placed", "", true)).await.unwrap();
    assert!(ordered.added && ordered.subscription_id != first.subscription_id);
    let listed = subscription::list(&mut tx, id).await.unwrap();
    assert_eq!(listed.len(), 1, "another order replaces it");
    assert!(listed[0].ordered);
    let copied = sqlx::query(
        "insert into tidings.subscription (subscriber_id, pattern_id)
         select subscriber_id, pattern_id from tidings.subscription where deleted_at is null",
    );
    let error = copied.execute(&mut *tx).await.unwrap_err().to_string();
    assert!(error.contains("subscription_unique"), "{error}");
}

#[tokio::test]
async fn refusal_says_what_would_be_right_without_a_word_of_sql() {
    let world = world().await;
    let id = memory(&world, "kept").await;
    let mut tx = begin(&world).await;
    for (subscriber_id, name, path, expected) in [
        (id, "order:placced", "", "known are: order:placed, order:paid, project:job:failed"),
        (id, "project:job:failed", "job=j1", "its keys are project, job, in this order"),
        (id, "project:job:failed", "project=p1/run=r1", "its keys are project, job, in this order"),
        (0, "order:placed", "", "there is no subscriber 0"),
        (4711, "order:**", "", "there is no subscriber 4711"),
    ] {
        let added = subscription::add(&mut tx, subscriber_id, &wanted(name, path, false)).await;
        let error = added.unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("tidings."), "{error}");
    }
    let good = wanted("project:job:failed", "project=p1/job=j1", false);
    subscription::add(&mut tx, id, &good).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn setting_keeps_the_ids_of_what_stays_and_merges_what_is_there_twice() {
    let world = world().await;
    let id = memory(&world, "kept").await;
    let mut tx = begin(&world).await;
    let first = [
        wanted("order:placed", "", false),
        wanted("order:placed", "", false),
        wanted("project:job:failed", "project=p1", false),
        wanted("order:*", "", false),
    ];
    let changes = subscription::set(&mut tx, id, &first).await.unwrap();
    assert_eq!((changes.kept.len(), changes.added.len(), changes.removed.len()), (0, 3, 0));
    let before = subscription::list(&mut tx, id).await.unwrap();

    let second = [
        wanted("order:placed", "", false),
        wanted("project:job:failed", "project=p1", true),
        wanted("order:paid", "", false),
    ];
    let changes = subscription::set(&mut tx, id, &second).await.unwrap();
    let after = subscription::list(&mut tx, id).await.unwrap();
    let of = |listed: &[subscription::Subscription], text: &str| {
        listed.iter().find(|row| row.pattern == text).map(|row| row.subscription_id)
    };
    assert_eq!(of(&after, "order:placed"), of(&before, "order:placed"));
    assert_eq!(changes.kept, [of(&before, "order:placed").unwrap()]);
    assert_eq!(of(&after, "order:*"), None);
    assert_eq!((changes.added.len(), changes.removed.len()), (2, 2));
    assert_eq!(after.len(), 3);

    let again = subscription::set(&mut tx, id, &second).await.unwrap();
    assert_eq!((again.kept.len(), again.added.len(), again.removed.len()), (3, 0, 0));
    let refused = [wanted("order:lost", "", false)];
    subscription::set(&mut tx, id, &refused).await.unwrap_err();
    assert_eq!(subscription::list(&mut tx, id).await.unwrap(), after, "nothing is changed");
    let none = subscription::set(&mut tx, id, &[]).await.unwrap();
    assert_eq!(none.removed.len(), 3);
}

#[tokio::test]
async fn wildcard_may_match_nothing_yet_and_reaches_a_type_that_appears_later() {
    let world = world().await;
    let id = memory(&world, "kept").await;
    subscribe(&world, id, "parcel:**").await;
    world.types(&["parcel:label:printed"]).await;
    world.register(Draft::new("parcel:label:printed")).await;
    assert_eq!(world.pending().await, 1);
}

#[tokio::test]
async fn subscription_has_the_tenant_of_its_subscriber() {
    let world = world().await;
    let mut tx = begin(&world).await;
    let new = NewSubscriber::new("kept", "memory", serde_json::json!({}));
    let new = NewSubscriber { tenant: "acme".to_owned(), ..new };
    let id = add(&mut tx, new).await.unwrap().subscriber_id;
    subscription::set(&mut tx, id, &[wanted("order:*", "", false)]).await.unwrap();
    assert_eq!(subscription::list(&mut tx, id).await.unwrap()[0].tenant, "acme");
    for (tenant, notified) in [("acme", 1), ("", 0), ("other", 0)] {
        let routes =
            subscription::explain(&mut tx, "order:placed", &Scope::root(), tenant, None).await;
        assert_eq!(routes.unwrap().len(), notified, "{tenant:?}");
    }
}

#[tokio::test]
async fn removing_a_subscription_leaves_what_was_registered_before() {
    let world = world().await;
    let id = memory(&world, "kept").await;
    let subscription_id = subscribe(&world, id, "order:placed").await;
    world.register(Draft::new("order:placed")).await;
    let mut conn = world.pool.acquire().await.unwrap();
    assert!(subscription::remove(&mut conn, subscription_id).await.unwrap());
    assert!(!subscription::remove(&mut conn, subscription_id).await.unwrap());
    assert!(subscription::list(&mut conn, id).await.unwrap().is_empty());
    world.register(Draft::new("order:placed")).await;
    assert_eq!(world.pending().await, 1);
}

#[tokio::test]
async fn subscription_cannot_slip_past_the_removal_of_its_subscriber() {
    let world = world().await;
    let id = memory(&world, "kept").await;
    let mut removal = begin(&world).await;
    assert!(subscriber::remove(&mut removal, id).await.unwrap());

    let mut tx = begin(&world).await;
    let adding = tokio::spawn(async move {
        subscription::add(&mut tx, id, &wanted("order:placed", "", false)).await
    });
    eventually(SOON, "the subscription waits for the removal", async || waits(&world).await).await;
    removal.commit().await.unwrap();
    let added = tokio::time::timeout(Duration::from_mins(1), adding).await.unwrap().unwrap();
    assert!(matches!(added, Err(Error::NoSuchSubscriber { .. })), "{added:?}");
}

async fn waits(world: &World) -> Option<()> {
    let query = "select exists (
        select from pg_locks l join pg_database d on d.oid = l.database
        where l.locktype = 'advisory' and not l.granted and d.datname = current_database())";
    world.value::<bool>(query).await.then_some(())
}
