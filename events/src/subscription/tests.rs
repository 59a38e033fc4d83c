use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn stored(event_type: &str, version: i16, scopes: &[&str]) -> StoredType {
    StoredType {
        event_type: event_type.to_owned(),
        version,
        audience: vec!["notification".to_owned()],
        scopes: scopes.iter().map(ToString::to_string).collect(),
        level: "basic".to_owned(),
        call: "track".to_owned(),
        documentation: String::new(),
        created_at: DateTime::UNIX_EPOCH,
        updated_at: DateTime::UNIX_EPOCH,
        retired_at: None,
    }
}

fn wanted(pattern: &str, scope: &str, ordered: bool) -> Wanted {
    Wanted {
        pattern: Pattern::parse(pattern).unwrap(),
        scope: Scope::parse(scope).unwrap(),
        ordered,
        filter: None,
    }
}

fn verdict(types: &[StoredType], pattern: &str, scope: &str) -> String {
    let wanted = wanted(pattern, scope, false);
    check_exact(types, View::Notification, &Target::from(&wanted))
        .map_or_else(|error| error.to_string(), |()| "fits".to_owned())
}

#[test]
fn type_that_is_for_analytics_alone_is_for_sinks_and_not_for_subscribers() {
    let mut types = [stored("order:placed", 1, &[]), stored("page:seen", 1, &[])];
    types[1].audience = vec!["telemetry".to_owned(), "client".to_owned()];
    let wanted = wanted("page:seen", "", false);
    let of_view = |view| check_exact(&types, view, &Target::from(&wanted));
    let refusal = of_view(View::Notification).unwrap_err().to_string();
    assert!(
        refusal.contains("`page:seen` are not for subscribers")
            && refusal.contains("telemetry, client"),
        "{refusal}"
    );
    of_view(View::Telemetry).unwrap();
}

#[test]
fn scope_has_to_begin_like_that_of_the_type() {
    let types = [
        stored("job:failed", 1, &["project"]),
        stored("job:failed", 2, &["project", "job"]),
        stored("order:placed", 1, &[]),
    ];
    for (pattern, scope, expected) in [
        ("job:failed", "", "fits"),
        ("job:failed", "project=p1", "fits"),
        ("job:failed", "project=p1/job=j1", "fits"),
        (
            "job:failed",
            "job=j1",
            "no event of `job:failed` has the scope `job=j1`: its keys are project, job, in this order",
        ),
        (
            "job:failed",
            "project=p1/job=j1/run=r1",
            "no event of `job:failed` has the scope `project=p1/job=j1/run=r1`: its keys are project, job, in this order",
        ),
        ("order:placed", "shop=s1", "fits"),
    ] {
        assert_eq!(verdict(&types, pattern, scope), expected);
    }
}

#[test]
fn unknown_and_retired_types_are_refused_with_the_closest_names() {
    let mut retired = stored("order:sent", 1, &[]);
    retired.retired_at = Some(DateTime::UNIX_EPOCH);
    let types = [stored("order:placed", 1, &[]), stored("user:added", 1, &[]), retired];
    for name in ["order:sent", "order:posted"] {
        assert_eq!(
            verdict(&types, name, ""),
            format!(
                "event type `{name}` is not in the catalogue; known are: order:placed, user:added"
            )
        );
    }
}

#[test]
fn plan_keeps_what_is_wanted_and_replaces_what_differs_in_order_alone() {
    let present = |subscription_id, pattern: &str, ordered| Subscription {
        subscription_id,
        subscriber_id: 1,
        pattern: pattern.to_owned(),
        tenant: String::new(),
        scope: String::new(),
        ordered,
        filter: None,
        created_at: DateTime::UNIX_EPOCH,
    };
    let present = [
        present(1, "order:placed", false),
        present(2, "order:paid", false),
        present(3, "order:sent", false),
    ];
    let wanted = [
        wanted("order:placed", "", false),
        wanted("order:paid", "", false),
        wanted("order:paid", "", true),
        wanted("user:added", "", false),
        wanted("user:added", "", false),
    ];
    let plan = Plan::new("", &present, &wanted);
    assert_eq!(plan.keep, [1]);
    assert_eq!(plan.replaced, [2]);
    assert_eq!(plan.remove, [3]);
    let add: Vec<_> =
        plan.add.iter().map(|target| (target.pattern.as_str(), target.ordered)).collect();
    assert_eq!(add, [("order:paid", true), ("user:added", false)]);
    let elsewhere = Plan::new("acme", &present, &wanted);
    assert_eq!((elsewhere.keep.len(), elsewhere.remove.len()), (0, 3), "another tenant's");
}

#[test]
fn plan_makes_one_of_several_filters_and_replaces_what_differs_in_its_filter() {
    let filter = |text: &str| Some(Filter::new(serde_json::from_str(text).unwrap()));
    let wanting = |text: &str| Wanted { filter: filter(text), ..wanted("order:placed", "", false) };
    let (one, other) = (wanting(r#"{"a":1}"#), wanting(r#"{"b":1}"#));
    let everything = wanted("order:placed", "", false);
    let stored = |filter| Subscription {
        subscription_id: 1,
        subscriber_id: 1,
        pattern: "order:placed".to_owned(),
        tenant: String::new(),
        scope: String::new(),
        ordered: false,
        filter,
        created_at: DateTime::UNIX_EPOCH,
    };
    let present = [stored(one.filter.clone())];
    assert_eq!(Plan::new("", &present, std::slice::from_ref(&one)).keep, [1]);
    for (wanted, expected) in [
        (vec![other.clone()], filter(r#"{"b":1}"#)),
        (vec![one.clone(), other], filter(r#"{"$or":[{"a":1},{"b":1}]}"#)),
        (vec![one, everything], None),
    ] {
        let plan = Plan::new("", &present, &wanted);
        assert_eq!((plan.keep.len(), &plan.replaced[..], plan.remove.len()), (0, &[1][..], 0));
        assert_eq!(plan.add.iter().map(|target| &target.filter).collect::<Vec<_>>(), [&expected]);
    }
}

proptest! {
    #[test]
    fn carrying_out_a_plan_leads_to_what_is_wanted(
        present in proptest::collection::btree_map((0_u8..6, 0_u8..3), any::<bool>(), 0..10),
        wanted_now in proptest::collection::vec((0_u8..6, 0_u8..3, any::<bool>()), 0..12),
    ) {
        let pattern = |n: u8| format!("order:part-{n}:placed");
        let scope = |n: u8| if n == 0 { String::new() } else { format!("shop=s{n}") };
        let present: Vec<_> = present.iter().zip(1..).map(|(((p, s), ordered), subscription_id)| Subscription {
            subscription_id,
            subscriber_id: 1,
            pattern: pattern(*p),
            tenant: String::new(),
            scope: scope(*s),
            ordered: *ordered,
            filter: None,
            created_at: DateTime::UNIX_EPOCH,
        }).collect();
        let wanted: Vec<_> =
            wanted_now.iter().map(|(p, s, ordered)| wanted(&pattern(*p), &scope(*s), *ordered)).collect();
        let plan = Plan::new("", &present, &wanted);

        let kept = present.iter().filter(|row| plan.keep.contains(&row.subscription_id));
        let mut after: Vec<_> = kept.map(|row| (row.pattern.clone(), row.scope.clone(), row.ordered)).collect();
        after.extend(plan.add.iter().map(|target| (target.pattern.to_string(), target.scope.to_string(), target.ordered)));
        let distinct: BTreeSet<_> = after.iter().cloned().collect();
        prop_assert_eq!(distinct.len(), after.len(), "nothing twice");
        let expected: BTreeSet<_> = wanted_now.iter().map(|(p, s, _)| {
            let ordered = wanted_now.iter().any(|(q, t, ordered)| (p, s) == (q, t) && *ordered);
            (pattern(*p), scope(*s), ordered)
        }).collect();
        prop_assert_eq!(distinct, expected);
        prop_assert_eq!(plan.keep.len() + plan.replaced.len() + plan.remove.len(), present.len(), "each has its fate");
        prop_assert!(plan.replaced.len() <= plan.add.len());
    }
}
