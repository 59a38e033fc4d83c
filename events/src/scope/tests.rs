use proptest::prelude::*;

use super::*;

fn scope(path: &str) -> Scope {
    Scope::parse(path).unwrap()
}

#[test]
fn ordinary_ids_stay_readable() {
    let cases = [
        ("550e8400-e29b-41d4-a716-446655440000", "550e8400-e29b-41d4-a716-446655440000"),
        ("ada@example.org", "ada@example.org"),
        ("München:Süd+1", "München:Süd+1"),
        ("a/b=c", "a%2Fb%3Dc"),
        ("100%", "100%25"),
        ("two words", "two%20words"),
        ("line\nbreak\u{0}", "line%0Abreak%00"),
        ("thin\u{2009}space", "thin%E2%80%89space"),
    ];
    for (value, encoded) in cases {
        let scope = Scope::root().with("id", value).unwrap();
        assert_eq!(scope.as_str(), format!("id={encoded}"));
        assert!(scope.elements().eq([("id", Cow::Borrowed(value))]));
    }
}

#[test]
fn there_is_one_way_to_write_a_scope() {
    let written = ["name=a%20b/id=%41", "name=a b/id=A", "name=%61%20%62/id=A"];
    for path in written {
        assert_eq!(scope(path).as_str(), "name=a%20b/id=A");
    }
    assert_eq!(scope("id=%e2%82%ac").as_str(), "id=€");
}

#[test]
fn scope_covers_whole_elements_only() {
    let cases = [
        ("", "", true),
        ("", "project=p1", true),
        ("project=p1", "project=p1", true),
        ("project=p1", "project=p1/job=j1", true),
        ("project=p1", "project=p10", false),
        ("project=p1/job=j1", "project=p1", false),
        ("project=p1/job=j1", "project=p1/job=j2", false),
        ("job=j1", "project=p1/job=j1", false),
    ];
    for (outer, inner, expected) in cases {
        assert_eq!(scope(outer).covers(&scope(inner)), expected, "{outer} {inner}");
    }
}

#[test]
fn prefixes_go_from_the_root_to_the_whole() {
    assert!(Scope::root().prefixes().eq([""]));
    assert!(scope("a=1").prefixes().eq(["", "a=1"]));
    assert!(scope("a=1/b=2/c=3").prefixes().eq(["", "a=1", "a=1/b=2", "a=1/b=2/c=3"]));
}

#[test]
fn error_says_what_is_wrong_and_how_it_is_done_right() {
    let too_deep = (0..9).map(|level| format!("k{level}=v")).collect::<Vec<_>>().join("/");
    let too_long =
        (0..6).map(|level| format!("k{level}={}", "v".repeat(190))).collect::<Vec<_>>().join("/");
    let cases: [(&str, &str); 15] = [
        ("project", "`project` is not an element of a scope: write `key=value`"),
        ("project=a=b", "`project=a=b` is not an element of a scope: write `key=value`"),
        ("project=p1/", "`` is not an element of a scope: write `key=value`"),
        ("/project=p1", "`` is not an element of a scope: write `key=value`"),
        ("project=%zz", "the value `%zz` of the scope key `project` is not percent-encoded text"),
        ("project=%4", "the value `%4` of the scope key `project` is not percent-encoded text"),
        ("project=%FF", "the value `%FF` of the scope key `project` is not percent-encoded text"),
        ("Project=p1", "`Project` is not a scope key: begin with a-z"),
        ("=p1", "`` is not a scope key: begin with a-z"),
        ("1st=p1", "`1st` is not a scope key: begin with a-z"),
        ("pipeline-run=p1", "`pipeline-run` is not a scope key: begin with a-z"),
        ("project=", "the value of the scope key `project` is empty"),
        ("a=1/a=2", "the scope key `a` is there twice"),
        (&too_deep, "the scope is too deep for the key `k8`: 8 elements are the most"),
        (&too_long, "the scope has 1163 bytes with the key `k5`, and 1000 are the most"),
    ];
    for (path, message) in cases {
        let error = Scope::parse(path).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    let error = Scope::root().with("id", &"ä".repeat(201)).unwrap_err().to_string();
    assert_eq!(
        error,
        "the value of the scope key `id` has 201 characters, and 200 are the most: use an id"
    );
}

#[test]
fn scope_is_read_from_json_with_the_same_check() {
    let read: Scope = serde_json::from_str(r#""project=p 1""#).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), r#""project=p%201""#);
    assert!(serde_json::from_str::<Scope>(r#""project""#).is_err());
}

/// Up to eight elements with different keys and any values that fit.
fn elements() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::btree_map("[a-z][a-z0-9_]{0,5}", "(?s).{1,9}", 0..=8)
        .prop_map(|elements| elements.into_iter().collect())
}

fn scope_of(elements: &[(String, String)]) -> Scope {
    let add = |scope: Scope, (key, value): &(String, String)| scope.with(key, value).unwrap();
    elements.iter().fold(Scope::root(), add)
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(elements in elements()) {
        let scope = scope_of(&elements);
        prop_assert_eq!(&Scope::parse(scope.as_str()).unwrap(), &scope);
        let read: Vec<_> = scope.elements().map(|(key, value)| (key.to_owned(), value.into_owned())).collect();
        prop_assert_eq!(read, elements);
    }

    #[test]
    fn stored_form_has_no_white_space_and_no_control_characters(elements in elements()) {
        let scope = scope_of(&elements);
        prop_assert!(!scope.as_str().chars().any(|c| c.is_control() || c.is_whitespace()));
    }

    #[test]
    fn scope_is_covered_by_its_prefixes_and_by_nothing_else(one in elements(), other in elements()) {
        let (one, other) = (scope_of(&one), scope_of(&other));
        for prefix in one.prefixes() {
            prop_assert!(Scope::parse(prefix).unwrap().covers(&one));
        }
        prop_assert_eq!(other.covers(&one), one.prefixes().any(|prefix| prefix == other.as_str()));
        prop_assert_eq!(one.prefixes().count(), one.elements().count() + 1);
    }

    #[test]
    fn any_text_is_answered(path: String) {
        if let Ok(scope) = Scope::parse(&path) {
            prop_assert_eq!(Scope::parse(scope.as_str()), Ok(scope));
        }
    }
}
