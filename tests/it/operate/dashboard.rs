//! The dashboard that is imported into PostHog, read as PostHog reads it.
//!
//! `POST /api/projects/:id/dashboards/create_from_template_json/` takes `template`, of which it uses the members named
//! here; of a tile of the type `INSIGHT` it keeps the query as it is.

use std::{collections::BTreeSet, fs};

use serde_json::{Map, Value};

const TEMPLATE: [&str; 5] =
    ["dashboard_description", "dashboard_filters", "tags", "template_name", "tiles"];
const TILE: [&str; 6] = ["color", "description", "layouts", "name", "query", "type"];
const TRENDS: [&str; 6] =
    ["breakdownFilter", "dateRange", "interval", "kind", "series", "trendsFilter"];
const SERIES: [&str; 6] = ["event", "kind", "math", "math_property", "name", "properties"];
const MATHS: [&str; 5] = ["avg", "dau", "median", "sum", "total"];

fn root(path: &str) -> String {
    let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("{value}"))
}

/// Checks that an object has no member but these.
#[track_caller]
fn only(value: &Value, known: &[&str]) {
    for name in object(value).keys() {
        assert!(known.contains(&name.as_str()), "{name} in {value}");
    }
}

/// Returns the properties that a tile asks for.
fn properties(trends: &Value) -> BTreeSet<&str> {
    let series = trends["series"].as_array().unwrap().iter();
    let of_series = series.flat_map(|one| {
        let filters = one["properties"].as_array().into_iter().flatten();
        filters.filter_map(|filter| filter["key"].as_str()).chain(one["math_property"].as_str())
    });
    of_series.chain(trends["breakdownFilter"]["breakdown"].as_str()).collect()
}

#[test]
fn dashboard_has_the_members_that_posthog_reads_and_no_others() {
    let dashboard: Value =
        serde_json::from_str(&root("docs/assets/posthog-dashboard.json")).unwrap();
    only(&dashboard, &["template"]);
    let template = &dashboard["template"];
    let members: Vec<_> = object(template).keys().map(String::as_str).collect();
    assert_eq!(members.into_iter().collect::<BTreeSet<_>>(), TEMPLATE.into());
    assert!(template["template_name"].is_string() && template["dashboard_filters"].is_object());
    let tiles = template["tiles"].as_array().unwrap();
    assert!(tiles.len() > 5, "{tiles:?}");
    let mut names = BTreeSet::new();
    for tile in tiles {
        only(tile, &TILE);
        assert!(names.insert(tile["name"].as_str().unwrap()), "{tile}");
        assert_eq!(
            (&tile["type"], &tile["query"]["kind"]),
            (&"INSIGHT".into(), &"InsightVizNode".into())
        );
        for size in ["sm", "xs"] {
            let place = &tile["layouts"][size];
            assert!(["x", "y", "w", "h"].iter().all(|name| place[name].is_u64()), "{tile}");
        }
        let trends = &tile["query"]["source"];
        only(trends, &TRENDS);
        assert_eq!(trends["kind"], "TrendsQuery");
        for series in trends["series"].as_array().unwrap() {
            only(series, &SERIES);
            assert_eq!(series["kind"], "EventsNode");
            let math = series["math"].as_str().unwrap();
            assert!(MATHS.contains(&math), "{series}");
            // These calculate with a property, and the others do not.
            let needs = matches!(math, "avg" | "median" | "sum");
            assert_eq!(series["math_property"].is_string(), needs, "{series}");
        }
    }
}

#[test]
fn dashboard_asks_for_what_the_sink_sends() {
    let dashboard: Value =
        serde_json::from_str(&root("docs/assets/posthog-dashboard.json")).unwrap();
    let reference = root("docs/reference/telemetry-events.md");
    for tile in dashboard["template"]["tiles"].as_array().unwrap() {
        let trends = &tile["query"]["source"];
        for series in trends["series"].as_array().unwrap() {
            let event = series["event"].as_str().unwrap();
            let head = format!("| `{event}` |");
            let row = reference.lines().find(|line| line.starts_with(&head));
            let row = row.unwrap_or_else(|| panic!("{event} is no kind of event"));
            for property in properties(trends) {
                let member =
                    property.strip_prefix("edata.").unwrap_or_else(|| panic!("{property}"));
                assert!(row.contains(&format!("`{member}`")), "{event} has no {property}");
            }
        }
    }
}
