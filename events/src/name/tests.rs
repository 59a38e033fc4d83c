use proptest::prelude::*;

use super::*;

/// The 58 event types of Orchest that can be subscribed to.
const ORCHEST: &[(&str, &[&str])] = &[
    ("project", &["created", "updated", "deleted"]),
    ("project:environment", &["created", "deleted"]),
    (
        "project:environment:image-build",
        &["created", "started", "cancelled", "failed", "succeeded"],
    ),
    ("project:pipeline", &["created", "updated", "deleted"]),
    (
        "project:pipeline:interactive-session",
        &["started", "stopped", "service-restarted", "failed", "succeeded"],
    ),
    (
        "project:pipeline:interactive-session:pipeline-run",
        &["created", "started", "cancelled", "failed", "succeeded"],
    ),
    (
        "project:one-off-job",
        &["created", "started", "deleted", "cancelled", "failed", "updated", "succeeded"],
    ),
    (
        "project:one-off-job:pipeline-run",
        &["created", "started", "cancelled", "failed", "deleted", "succeeded"],
    ),
    (
        "project:cron-job",
        &["created", "started", "deleted", "cancelled", "failed", "updated", "paused", "unpaused"],
    ),
    ("project:cron-job:run", &["started", "succeeded", "failed"]),
    (
        "project:cron-job:run:pipeline-run",
        &["created", "started", "cancelled", "failed", "deleted", "succeeded"],
    ),
    ("jupyter:image-build", &["created", "started", "cancelled", "failed", "succeeded"]),
];

#[test]
fn every_event_type_of_orchest_is_a_name() {
    let mut count = 0;
    for (path, verbs) in ORCHEST {
        for verb in *verbs {
            let name = format!("{path}:{verb}");
            assert_eq!(Name::parse(&name).unwrap().as_str(), name);
            count += 1;
        }
    }
    assert_eq!(count, 58);
}

#[test]
fn past_tense_of_any_kind_is_a_last_part() {
    for verb in
        ["paid", "sent", "checked-out", "signed-in", "service-restarted", "agreed", "re-run", "put"]
    {
        assert!(Name::parse(&format!("order:{verb}")).is_ok(), "{verb}");
    }
    for verb in ["pay", "succeed", "need", "checkout", "done2", "ed", "payment"] {
        assert!(Name::parse(&format!("order:{verb}")).is_err(), "{verb}");
    }
}

#[test]
fn error_says_what_is_wrong_and_where_and_how_it_is_done_right() {
    let long_part = "a".repeat(65);
    let cases = [
        ("", "`` is not an event name: part 1 is empty; write it like `project:job:failed`"),
        (
            "placed",
            "`placed` is not an event name: it has one part, and a subject and a verb are two; \
             write it like `project:job:failed`",
        ),
        (
            "project:Job:failed",
            "`project:Job:failed` is not an event name: part 2, `Job`, has a character other than a-z, \
             0-9 and hyphen; write it like `project:job:failed`",
        ),
        (
            "project::failed",
            "`project::failed` is not an event name: part 2 is empty; write it like `project:job:failed`",
        ),
        (
            "project:-job:failed",
            "`project:-job:failed` is not an event name: part 2, `-job`, does not begin with a lower-case \
             letter; write it like `project:job:failed`",
        ),
        (
            "project:1job:failed",
            "`project:1job:failed` is not an event name: part 2, `1job`, does not begin with a lower-case \
             letter; write it like `project:job:failed`",
        ),
        (
            "image--build:failed",
            "`image--build:failed` is not an event name: part 1, `image--build`, has a hyphen at its end \
             or beside another; write it like `project:job:failed`",
        ),
        (
            "image-build-:failed",
            "`image-build-:failed` is not an event name: part 1, `image-build-`, has a hyphen at its end \
             or beside another; write it like `project:job:failed`",
        ),
        (
            "project:jöb:failed",
            "`project:jöb:failed` is not an event name: part 2, `jöb`, has a character other than a-z, \
             0-9 and hyphen; write it like `project:job:failed`",
        ),
        (
            "order:place",
            "`order:place` is not an event name: part 2, `place`, is not a verb in the past tense; \
             say what has happened, as in `order:placed` or `job:started`",
        ),
        (
            "a:b:c:d:e:f:g:h:ended",
            "`a:b:c:d:e:f:g:h:ended` is not an event name: it has more than 8 parts; \
             write it like `project:job:failed`",
        ),
        (
            &format!("{long_part}:ended"),
            &format!(
                "`{long_part}:ended` is not an event name: part 1, `{long_part}`, has more than 64 bytes; \
                 write it like `project:job:failed`"
            ),
        ),
        (
            &"a:".repeat(200),
            "the event name has more than 200 bytes; write it like `project:job:failed`",
        ),
    ];
    for (name, message) in cases {
        assert_eq!(Name::parse(name).unwrap_err().to_string(), message);
    }
}

#[test]
fn limits_are_reached_and_not_exceeded() {
    let part = "a".repeat(64);
    assert!(Name::parse(&format!("{part}:ended")).is_ok());
    assert!(Name::parse("a:b:c:d:e:f:g:ended").is_ok());
    let name = format!("{part}:{part}:{part}:ended");
    assert_eq!(name.len(), 200);
    assert!(Name::parse(&name).is_ok());
}

#[test]
fn names_of_our_own_are_recognised() {
    assert!(Name::from_static("tidings:subscriber:disabled").is_reserved());
    assert!(!Name::from_static("tidings-shop:opened").is_reserved());
    assert!(!is_reserved("tid"));
}

#[test]
#[should_panic(expected = "`order:place` is not an event name")]
fn static_name_that_is_none_panics() {
    let _ = Name::from_static("order:place");
}

#[test]
fn name_is_read_from_json_with_the_same_check() {
    let name: Name = serde_json::from_str(r#""order:placed""#).unwrap();
    assert_eq!(serde_json::to_string(&name).unwrap(), r#""order:placed""#);
    assert!(serde_json::from_str::<Name>(r#""order""#).is_err());
}

/// The grammar once more, without care for words or compile time.
fn is_name(name: &str) -> bool {
    let parts: Vec<_> = name.split(':').collect();
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let is_part = |part: &&str| {
        part.starts_with(|first: char| first.is_ascii_lowercase())
            && part.len() <= 64
            && part.split('-').all(is_word)
    };
    name.len() <= 200
        && (2..=8).contains(&parts.len())
        && parts.iter().all(is_part)
        && parts.last().is_some_and(|part| past_tense(part.as_bytes()))
}

proptest! {
    #[test]
    fn grammar_agrees_with_its_plain_reading(name in "([a-c1A:-]{0,6}:){0,8}[a-c1-]{0,3}(ed|sent|t)?") {
        prop_assert_eq!(Name::parse(&name).is_ok(), is_name(&name));
    }

    #[test]
    fn well_formed_path_is_a_name(parts in proptest::collection::vec("[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,5}){0,2}", 1..8)) {
        let name = format!("{}:started", parts.join(":"));
        let parsed = Name::parse(&name).unwrap();
        prop_assert!(parsed.parts().eq(parts.iter().map(String::as_str).chain(["started"])));
    }

    #[test]
    fn any_text_is_answered(name: String) {
        if let Err(error) = Name::parse(&name) {
            prop_assert!(error.to_string().contains("; "));
        }
    }
}
