//! Scope and ordering key.

use schemars::JsonSchema;
use serde::Serialize;
use tidings::{
    Event,
    scope::{Scope, ScopeError},
};

use crate::shop::{Project, job_failed, project};

#[derive(Event, Serialize, JsonSchema)]
#[event(
    name = "project:region:opened",
    version = 1,
    scope(project, region, r#type),
    layers(Project),
    ordering_key = region
)]
struct RegionOpened {
    region: String,
    project: Project,
    r#type: u8,
}

fn region_opened(region: &str) -> RegionOpened {
    RegionOpened { region: region.into(), project: project(), r#type: 9 }
}

#[test]
fn scope_is_made_of_layers_and_of_displayed_values_in_the_order_given() {
    assert_eq!(
        region_opened("eu west/1").scope().unwrap().as_str(),
        "project=00000000-0000-0000-0000-000000000001/region=eu%20west%2F1/type=9"
    );
    assert_eq!(RegionOpened::describe().scopes, ["project", "region", "type"]);
}

#[test]
fn value_that_a_scope_cannot_hold_is_an_error() {
    assert_eq!(region_opened("").scope(), Err(ScopeError::ValueEmpty { key: "region".into() }));
}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1, ordering_key = customer)]
struct OrderPlaced {
    customer: Option<u32>,
}

#[test]
fn ordering_key_is_a_layer_a_value_or_an_option_of_one() {
    assert_eq!(job_failed().ordering_key().as_deref(), Some("7"));
    assert_eq!(region_opened("eu").ordering_key().as_deref(), Some("eu"));
    assert_eq!(OrderPlaced { customer: Some(4) }.ordering_key().as_deref(), Some("4"));
    assert_eq!(OrderPlaced { customer: None }.ordering_key(), None);
    assert_eq!(OrderPlaced { customer: None }.scope(), Ok(Scope::root()));
}
