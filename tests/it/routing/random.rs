//! What `explain_route` says is what happens, and both are what a naive matcher says, in worlds made by chance.

use std::collections::BTreeSet;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tidings::{pattern::Pattern, scope::Scope};
use tidings_tests::{Draft, World};
use uuid::Uuid;

const TYPES: [&str; 7] = [
    "order:placed",
    "order:line:placed",
    "order:line:dropped",
    "order:shipped",
    "invoice:paid",
    "invoice:line:paid",
    "shop:order:line:placed",
];

const PATTERNS: [&str; 12] = [
    "order:placed",
    "order:*",
    "order:**",
    "**",
    "*:*",
    "**:placed",
    "*:line:*",
    "invoice:paid",
    "*:paid",
    "**:line:*",
    "shop:**",
    "order:line:dropped",
];

const SCOPES: [&str; 8] = [
    "",
    "project=p1",
    "project=p10",
    "project=p1/job=j1",
    "project=p1/job=j10",
    "project=p1/job=j1/run=r",
    "job=j1",
    "project=p2/job=j1",
];

/// What a matching subscription is, to compare.
type Told = BTreeSet<(i32, i32)>;

#[tokio::test]
async fn explain_route_says_exactly_who_is_told() {
    let mut told = 0;
    for seed in 0..6 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut pick = |from: &[&'static str]| from[random.random_range(0..from.len())];
        let world = World::new(&TYPES).await;
        let mut subscriptions: Vec<(i32, i32, &str, &str)> = Vec::new();
        for n in 0..8 {
            let id = world.bare_subscriber(&format!("s{n}"), "memory", serde_json::json!({})).await;
            for _ in 0..4 {
                let (pattern, scope) = (pick(&PATTERNS), pick(&SCOPES));
                let ordered = pick(&["", "ordered"]) == "ordered";
                let subscription = world.subscribe(id, pattern, scope, ordered).await;
                subscriptions.retain(|(other, ..)| *other != subscription);
                // An edit of the flag replaces the one of the same pattern and scope.
                subscriptions.retain(|(_, of, p, s)| (*of, *p, *s) != (id, pattern, scope));
                subscriptions.push((subscription, id, pattern, scope));
            }
        }
        for _ in 0..3 {
            let gone = subscriptions.swap_remove(random.random_range(0..subscriptions.len()));
            sqlx::query("select tidings.unsubscribe_v1($1)")
                .bind(gone.0)
                .execute(&world.pool)
                .await
                .unwrap();
        }
        for event_type in TYPES {
            for scope in SCOPES {
                let naive: Told = subscriptions
                    .iter()
                    .filter(|(.., pattern, covers)| {
                        Pattern::parse(pattern).unwrap().matches(event_type)
                            && Scope::parse(covers).unwrap().covers(&Scope::parse(scope).unwrap())
                    })
                    .map(|(subscription, id, ..)| (*id, *subscription))
                    .collect();
                assert_eq!(
                    explained(&world, event_type, scope).await,
                    naive,
                    "{seed} {event_type} {scope}"
                );
                let event = world.register(Draft::new(event_type).scope(scope)).await;
                assert_eq!(
                    registered(&world, event).await,
                    lowest(&naive),
                    "{seed} {event_type} {scope}"
                );
                told += naive.len();
            }
        }
    }
    assert!(told > 500, "worlds in which nothing happens prove nothing: {told}");
}

/// Of each subscriber, the lowest of its subscriptions.
fn lowest(told: &Told) -> Told {
    let mut seen = BTreeSet::new();
    told.iter().filter(|(id, _)| seen.insert(*id)).copied().collect()
}

async fn explained(world: &World, event_type: &str, scope: &str) -> Told {
    let rows: Vec<(i32, i32)> =
        sqlx::query_as("select subscriber_id, subscription_id from tidings.explain_route($1, $2)")
            .bind(event_type)
            .bind(scope)
            .fetch_all(&world.pool)
            .await
            .unwrap();
    rows.into_iter().collect()
}

async fn registered(world: &World, event: Uuid) -> Told {
    let rows: Vec<(i32, i32)> = sqlx::query_as(
        "select subscriber_id, subscription_id from tidings.delivery where event_id = $1",
    )
    .bind(event)
    .fetch_all(&world.pool)
    .await
    .unwrap();
    rows.into_iter().collect()
}
