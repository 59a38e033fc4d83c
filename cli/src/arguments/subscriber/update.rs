//! What `subscriber update` understands.

use std::{str::FromStr, time::Duration};

use clap::Args;
use serde_json::Value;
use tidings::endpoint::{TIMEOUT_MAX, TIMEOUT_MIN};

use super::{Named, header, json};
use crate::duration;

/// A subscriber that is to be changed.
#[derive(Args, Debug)]
pub(crate) struct Update {
    #[command(flatten)]
    pub(crate) subscriber: Named,

    #[command(flatten)]
    pub(crate) changes: Changes,

    /// Only if it has this version, which `tidings subscriber show` tells
    #[arg(long, value_name = "N")]
    pub(crate) if_version: Option<i32>,
}

/// What is to be changed; one at least.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(crate) struct Changes {
    /// Another name
    #[arg(long, value_name = "NAME")]
    pub(crate) rename: Option<String>,

    /// Where a webhook is called
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,

    /// A header that is sent along, in place of one of that name; repeatable
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,

    /// A header that is not sent any more; repeatable
    #[arg(long = "remove-header", value_name = "NAME")]
    pub(crate) removed_headers: Vec<String>,

    /// How long one attempt may take, 1s to 1m, or `default`
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    pub(crate) timeout: Option<Setting<Duration>>,

    /// Changes of the configuration as a JSON merge patch: members replace those that are there, null removes
    #[arg(long, value_name = "JSON", value_parser = json, conflicts_with_all = ["url", "headers", "removed_headers", "timeout"])]
    pub(crate) config: Option<Value>,

    /// How many deliveries may be in flight, 1 to 100000, or `default`
    #[arg(long, value_name = "N", value_parser = setting::<i32>)]
    pub(crate) in_flight: Option<Setting<i32>>,

    /// How many deliveries may start per second, above 0 and at most 1000000, or `default` for no limit
    #[arg(long, value_name = "PER_SECOND", value_parser = setting::<f64>)]
    pub(crate) rate: Option<Setting<f64>>,

    /// When failed deliveries come again, as `subscriber add` takes it, or `default`
    #[arg(long, value_name = "JSON", value_parser = setting::<Value>)]
    pub(crate) retry: Option<Setting<Value>>,
}

/// A value, or what stands where there is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Setting<T> {
    /// That of the kind.
    Default,
    /// This one.
    To(T),
}

impl<T> Setting<T> {
    /// Returns the value, if there is one.
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Self::Default => None,
            Self::To(value) => Some(value),
        }
    }
}

fn setting<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<Setting<T>, String> {
    match text {
        "default" => Ok(Setting::Default),
        text => text.parse().map(Setting::To).map_err(|error: T::Err| error.to_string()),
    }
}

fn timeout(text: &str) -> Result<Setting<Duration>, String> {
    match text {
        "default" => Ok(Setting::Default),
        text => duration::within(TIMEOUT_MIN..=TIMEOUT_MAX)(text).map(Setting::To),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_a_value_of_its_own() {
        assert_eq!(setting::<i32>("default"), Ok(Setting::Default));
        assert_eq!(setting::<i32>("7"), Ok(Setting::To(7)));
        assert!(setting::<i32>("many").is_err());
        assert_eq!(timeout("2s"), Ok(Setting::To(Duration::from_secs(2))));
        assert!(timeout("2h").unwrap_err().contains("outside the range"));
    }
}
