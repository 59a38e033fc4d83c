//! Who is notified: the library, the look-up and the explanation agree.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use sqlx::PgConnection;
use tidings::{pattern::Pattern, scope::Scope, subscription};
use tidings_tests::World;

use super::{begin, scope};

const TYPES: [&str; 5] =
    ["order:placed", "order:paid", "order:item:removed", "user:added", "user:order:placed"];

const PATTERNS: [&str; 9] = [
    "order:placed",
    "order:*",
    "order:**",
    "*:placed",
    "**:placed",
    "**",
    "user:*:placed",
    "order:*:removed",
    "**:order:*",
];

const SCOPES: [&str; 7] =
    ["", "shop=s1", "shop=s1/till=t1", "shop=s1/till=t2", "shop=s10", "shop=s2", "till=t1"];

const TENANTS: [&str; 2] = ["", "acme"];

/// A subscription, by its places in the lists above.
type Subscribed = (usize, usize, usize, bool);

/// What an event reached: the subscribers, each with the lowest subscription that matched.
type Reached = BTreeMap<i32, i32>;

#[tokio::test]
async fn explanation_is_the_actual_fan_out() {
    let world = World::new(&TYPES).await;
    let mut runner = TestRunner::deterministic();
    let subscription =
        (0..PATTERNS.len(), 0..SCOPES.len(), any::<prop::sample::Index>(), any::<bool>());
    let subscriptions = prop::collection::vec(subscription, 0..40);
    for _ in 0..10 {
        // Everything happens in a transaction that is rolled back, so that each round begins anew.
        let mut tx = begin(&world).await;
        let chosen = subscriptions.new_tree(&mut runner).unwrap().current();
        let chosen = chosen.into_iter().map(|(pattern, scope, subscriber, ordered)| {
            (subscriber.index(12), pattern, scope, ordered)
        });
        subscribe(&mut tx, chosen).await;
        for (event_type, path, tenant) in events() {
            let keyed = path.len() % 2 == 0;
            let explained = explain(&mut tx, event_type, &scope(path), tenant).await;
            let reached = register(&mut tx, event_type, path, tenant, keyed).await;
            assert_eq!(reached, explained, "{event_type} {path} {tenant}");
        }
        tx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn fan_out_that_a_worker_expands_is_the_explained_one_too() {
    let world = World::new(&TYPES).await;
    let mut tx = begin(&world).await;
    let many = (0..140).flat_map(|subscriber| {
        [(subscriber, subscriber % 6, 0, subscriber % 5 == 0), (subscriber, 0, 1, false)]
    });
    subscribe(&mut tx, many).await;
    hold_our_own_lane(&mut tx).await;
    for keyed in [false, true] {
        for path in SCOPES {
            let explained = explain(&mut tx, "order:placed", &scope(path), "").await;
            let reached = register(&mut tx, "order:placed", path, "", keyed).await;
            assert_eq!(reached, explained, "{path} {keyed}");
        }
    }
    assert!(explain(&mut tx, "order:placed", &scope("shop=s1"), "").await.len() > 64);
}

#[tokio::test]
async fn database_matches_patterns_as_the_library_does() {
    let world = World::new(&[]).await;
    let mut runner = TestRunner::deterministic();
    let part = prop_oneof![Just("a"), Just("b"), Just("a-b"), Just("*"), Just("**")];
    let name_part = prop_oneof![Just("a"), Just("b"), Just("a-b")];
    let pairs = (
        prop::collection::vec(part, 1..6).prop_map(|parts| parts.join(":")),
        prop::collection::vec(name_part, 1..7).prop_map(|parts| parts.join(":")),
    );
    let (mut patterns, mut names, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    while expected.len() < 5_000 {
        let (text, name) = pairs.new_tree(&mut runner).unwrap().current();
        // The end of a name is a verb; here it is only in the way.
        let (text, name) = (format!("{text}:ended"), format!("{name}:ended"));
        let Ok(pattern) = Pattern::parse(&text) else { continue };
        expected.push(pattern.matches(&name));
        patterns.push(text);
        names.push(name);
    }
    let matched: Vec<bool> = sqlx::query_scalar(
        "select tidings.pattern_matches(c.pattern, c.name)
         from unnest($1::text[], $2::text[]) with ordinality as c (pattern, name, n) order by c.n",
    )
    .bind(&patterns)
    .bind(&names)
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert!(
        expected.iter().filter(|matches| **matches).count() > 200,
        "the cases are worth something"
    );
    for (at, matches) in matched.iter().enumerate() {
        assert_eq!(*matches, expected[at], "{} {}", patterns[at], names[at]);
    }
}

#[tokio::test]
async fn database_takes_a_scope_apart_as_the_library_does() {
    let world = World::new(&[]).await;
    let mut runner = TestRunner::deterministic();
    let elements = prop::collection::vec(".{1,12}", 0..8);
    let scopes: Vec<Scope> = (0..2000)
        .map(|_| {
            let values = elements.new_tree(&mut runner).unwrap().current();
            values.iter().enumerate().fold(Scope::root(), |scope, (number, value)| {
                scope.with(&format!("key_{number}"), value).unwrap()
            })
        })
        .collect();
    let paths: Vec<&str> = scopes.iter().map(Scope::as_str).collect();
    let prefixes: Vec<Vec<String>> = sqlx::query_scalar::<_, sqlx::types::Json<Vec<String>>>(
        "select to_json(tidings.scope_prefixes(s.scope))
         from unnest($1::text[]) with ordinality as s (scope, n) order by s.n",
    )
    .bind(&paths)
    .fetch_all(&world.pool)
    .await
    .unwrap()
    .into_iter()
    .map(|json| json.0)
    .collect();
    for (scope, prefixes) in scopes.iter().zip(&prefixes) {
        assert!(scope.prefixes().eq(prefixes.iter().map(String::as_str)), "{scope}: {prefixes:?}");
    }
}

#[tokio::test]
async fn database_takes_whatever_value_the_library_encodes() {
    let world = World::new(&TYPES).await;
    let characters: Vec<char> = ('\0'..=char::MAX).collect();
    let scopes: Vec<String> = characters
        .chunks(80)
        .map(|some| Scope::root().with("k", &String::from_iter(some)).unwrap().to_string())
        .collect();
    let refused: Vec<String> = sqlx::query_scalar(
        "select s.scope from unnest($1::text[]) s (scope) where not tidings.is_scope(s.scope)",
    )
    .bind(&scopes)
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert!(refused.is_empty(), "{} of {}, first {:?}", refused.len(), scopes.len(), refused[0]);
    let mut tx = begin(&world).await;
    for value in ["a b", "%", "a/b=c", "\u{85}\u{2028}\u{3000}", "größe", "\u{200b}\u{feff}"] {
        let scope = Scope::root().with("shop", value).unwrap();
        register(&mut tx, "order:placed", scope.as_str(), "", false).await;
    }
}

#[tokio::test]
async fn scope_covers_in_the_database_what_it_covers_in_the_library() {
    let world = World::new(&TYPES).await;
    let mut tx = begin(&world).await;
    let all = (0..SCOPES.len()).map(|number| (number * TENANTS.len(), 0, number, false));
    let ids = subscribe(&mut tx, all).await;
    for path in SCOPES {
        let explained = explain(&mut tx, "order:placed", &scope(path), "").await;
        let expected: BTreeSet<i32> = (0..SCOPES.len())
            .filter(|number| scope(SCOPES[*number]).covers(&scope(path)))
            .map(|number| ids[number])
            .collect();
        assert_eq!(explained.into_keys().collect::<BTreeSet<_>>(), expected, "{path}");
    }
}

fn events() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    TYPES.into_iter().flat_map(|event_type| {
        let scopes = SCOPES.into_iter();
        scopes
            .flat_map(move |path| TENANTS.into_iter().map(move |tenant| (event_type, path, tenant)))
    })
}

/// Adds subscribers, in turn of either tenant, and subscriptions; returns the ids of the subscribers as they come.
async fn subscribe(conn: &mut PgConnection, chosen: impl Iterator<Item = Subscribed>) -> Vec<i32> {
    let mut ids = Vec::new();
    for (subscriber, pattern, path, ordered) in chosen {
        let tenant = TENANTS[subscriber % TENANTS.len()];
        let id: i32 = sqlx::query_scalar(
            "with added as (
               insert into tidings.subscriber (tenant, name, kind, shard) values ($1, 's' || $2, 'memory', 0)
               on conflict (tenant, name) where deleted_at is null do update set name = excluded.name
               returning subscriber_id, tenant
             )
             select a.subscriber_id from added a,
               lateral tidings.subscribe_v1(a.subscriber_id, $3, a.tenant, $4, $5)",
        )
        .bind(tenant)
        .bind(subscriber.to_string())
        .bind(PATTERNS[pattern])
        .bind(SCOPES[path])
        .bind(ordered)
        .fetch_one(&mut *conn)
        .await
        .unwrap();
        ids.push(id);
    }
    ids
}

async fn explain(
    conn: &mut PgConnection,
    event_type: &str,
    scope: &Scope,
    tenant: &str,
) -> Reached {
    let routes = subscription::explain(conn, event_type, scope, tenant, None).await.unwrap();
    let mut reached = Reached::new();
    for route in routes {
        let lowest = reached.entry(route.subscriber_id).or_insert(route.subscription_id);
        *lowest = route.subscription_id.min(*lowest);
    }
    reached
}

/// Registers, lets a large fan-out be expanded, and reads what was written.
async fn register(
    conn: &mut PgConnection,
    event_type: &str,
    path: &str,
    tenant: &str,
    keyed: bool,
) -> Reached {
    let event_id: uuid::Uuid = sqlx::query_scalar(
        "select tidings.register_event($1, '{}', scope => $2, tenant => $3, ordering_key => $4)",
    )
    .bind(event_type)
    .bind(path)
    .bind(tenant)
    .bind(keyed.then_some("key"))
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    expand(conn, event_id).await;
    let rows: Vec<(i32, i32)> = sqlx::query_as(
        "select subscriber_id, subscription_id from tidings.delivery
         where event_id = $1 and subscriber_id <> 0",
    )
    .bind(event_id)
    .fetch_all(conn)
    .await
    .unwrap();
    let reached: Reached = rows.iter().copied().collect();
    assert_eq!(reached.len(), rows.len(), "one delivery per subscriber");
    reached
}

const WORKER: &str = "00000000-0000-4000-8000-000000000001";

/// Makes this session the owner of the lane that expands.
async fn hold_our_own_lane(conn: &mut PgConnection) {
    sqlx::query(
        "select tidings.hold_v1($1::uuid, true, 'test', 1, true, false, 60000, '{system}', '{}', '{}', '{}')",
    )
    .bind(WORKER)
    .execute(conn)
    .await
    .unwrap();
}

async fn expand(conn: &mut PgConnection, event_id: uuid::Uuid) {
    let chunk = "select tidings.expand_v1($1::uuid, 0::smallint, s.term, $2, 30)
         from tidings.shard s where s.group_name = 'system' and s.worker_id = $1::uuid";
    loop {
        let query = sqlx::query_scalar::<_, Option<Vec<i32>>>(chunk).bind(WORKER).bind(event_id);
        if query.fetch_optional(&mut *conn).await.unwrap().flatten().is_none() {
            return;
        }
    }
}
