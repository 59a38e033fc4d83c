//! What can happen, and who may know.

use std::collections::BTreeSet;

use tidings::{Catalogue, event::Audience};
use tidings_example_orchest::{catalogue, event, samples};

/// Each family with its verbs.
const SUBSCRIBABLE: [(&str, &str); 11] = [
    ("project", "created updated deleted"),
    ("project:environment", "created deleted"),
    ("project:environment:image-build", "created started cancelled failed succeeded"),
    ("project:pipeline", "created updated deleted"),
    ("project:pipeline:interactive-session", "started stopped service-restarted failed succeeded"),
    (
        "project:pipeline:interactive-session:pipeline-run",
        "created started cancelled failed succeeded",
    ),
    ("project:one-off-job", "created started deleted cancelled failed updated succeeded"),
    ("project:one-off-job:pipeline-run", "created started cancelled failed deleted succeeded"),
    ("project:cron-job", "created started deleted cancelled failed updated paused unpaused"),
    ("project:cron-job:run", "started succeeded failed"),
    ("project:cron-job:run:pipeline-run", "created started cancelled failed deleted succeeded"),
];

const JUPYTER: (&str, &str) = ("jupyter:image-build", "created started cancelled failed succeeded");

const ANALYTICS: [&str; 8] = [
    "alert:shown",
    "confirm:shown",
    "debug:pinged",
    "heartbeat:triggered",
    "project:cron-job:duplicated",
    "project:one-off-job:duplicated",
    "project:pipeline:saved",
    "view:loaded",
];

fn subscribable() -> BTreeSet<String> {
    let families = SUBSCRIBABLE.into_iter().chain([JUPYTER]);
    families
        .flat_map(|(family, verbs)| verbs.split(' ').map(move |verb| format!("{family}:{verb}")))
        .collect()
}

fn named(catalogue: &Catalogue, audience: Audience) -> BTreeSet<String> {
    let types = catalogue.iter().filter(|one| one.audience.contains(&audience));
    types.map(|one| one.name.as_str().to_owned()).collect()
}

#[test]
fn catalogue_has_every_type_and_no_other() {
    let catalogue = catalogue().unwrap();
    let analytics: BTreeSet<_> = ANALYTICS.map(str::to_owned).into();
    assert_eq!(subscribable().len(), 58);
    assert_eq!(named(&catalogue, Audience::Notification), subscribable());
    assert_eq!(
        named(&catalogue, Audience::Telemetry),
        subscribable().union(&analytics).cloned().collect()
    );
    assert_eq!(
        named(&catalogue, Audience::Client),
        ["alert:shown", "confirm:shown", "view:loaded"].map(str::to_owned).into()
    );
    assert_eq!(catalogue.len(), 66);
}

#[test]
fn there_is_one_sample_of_each_type() {
    let names = |samples: Vec<Box<dyn tidings::Event>>| {
        let names: Vec<_> = samples.iter().map(|event| event.event_type().to_owned()).collect();
        let distinct: BTreeSet<_> = names.iter().cloned().collect();
        assert_eq!(distinct.len(), names.len());
        distinct
    };
    assert_eq!(names(samples("word")), subscribable());
    assert_eq!(names(event::analytics::samples("word")), ANALYTICS.map(str::to_owned).into());
}

#[test]
fn scope_leads_from_the_project_to_what_has_happened_in_it() {
    for one in &catalogue().unwrap() {
        let scopes: Vec<_> = one.scopes.iter().map(String::as_str).collect();
        let name = one.name.as_str();
        let expected: &[&str] = match name {
            _ if !name.starts_with("project:") => &[],
            _ if name.contains("-job:") => &["project", "job"],
            _ if name.contains(":pipeline:") => &["project", "pipeline"],
            _ if name.contains(":environment:") => &["project", "environment"],
            _ => &["project"],
        };
        assert_eq!(scopes, expected, "{name}");
    }
}

#[test]
fn table_in_the_readme_is_the_catalogue() {
    let readme = include_str!("../README.md");
    let row = |one: &tidings::catalogue::EventType| {
        let first = one.documentation.lines().next().unwrap_or_default();
        let path = format!("`{}`", one.layers.join(" → "));
        let layers = if one.layers.is_empty() { "none" } else { path.as_str() };
        format!("| `{}` | {layers} | {first} |", one.name)
    };
    let rows: Vec<_> = catalogue().unwrap().iter().map(row).collect();
    let missing: Vec<_> = rows.iter().filter(|row| !readme.contains(*row)).collect();
    assert!(missing.is_empty(), "the table in README.md lacks\n{missing:#?}");
    let (_, table) = readme.split_once("| Type | Layers | When |").unwrap();
    assert_eq!(table.matches("\n| `").count(), rows.len(), "the table has rows of no type");
}

/// What the original called it.
const NAMED_OTHERWISE: [&str; 2] = ["heartbeat-trigger", "debug-ping"];

#[test]
fn readme_says_what_was_called_otherwise() {
    let readme = include_str!("../README.md");
    for (original, ours) in NAMED_OTHERWISE.iter().zip(["heartbeat:triggered", "debug:pinged"]) {
        assert!(readme.contains(&format!("| `{original}` | `{ours}` |")), "{original}");
    }
}
