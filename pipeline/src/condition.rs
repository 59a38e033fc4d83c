//! Which events a rule is about: by kind, channel, producer, or what stands at a path.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Deserialize;

use crate::{Error, Result, path::Path, value::Value};

/// Which events a rule is about; what is left out is no condition, and all of what is there has to hold.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Kinds (`eid`), in any case.
    pub eid: Vec<String>,
    /// Kinds that it is not about, in any case.
    pub except_eid: Vec<String>,
    /// Channels: that of the key under which it came, or the one that the event names.
    pub channel: Vec<String>,
    /// Producers (`context.pdata.id`).
    pub pdata: Vec<String>,
    /// What has to stand at a path: one of several values.
    pub equals: BTreeMap<String, Vec<Plain>>,
}

/// A value without children.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Plain {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(i64),
    /// A text; letters count as they are.
    Text(String),
}

/// A compiled condition.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    eid: Box<[String]>,
    except_eid: Box<[String]>,
    channel: Box<[String]>,
    pdata: Box<[String]>,
    equals: Box<[(Path, Vec<Plain>)]>,
}

impl Condition {
    /// Compiles a condition; `place` is where it stands in the settings.
    ///
    /// # Errors
    ///
    /// A path that is none, or a list without values.
    pub fn compile(when: &When, place: &str) -> Result<Self> {
        let mut equals = Vec::with_capacity(when.equals.len());
        for (text, values) in &when.equals {
            let at = || format!("{place}.equals");
            let path =
                Path::parse(text).map_err(|error| Error::setting(at(), error.to_string()))?;
            if values.is_empty() {
                let message = format!("`{text}` has no values, so nothing would match; name some");
                return Err(Error::setting(at(), message));
            }
            equals.push((path, values.clone()));
        }
        Ok(Self {
            eid: when.eid.clone().into(),
            except_eid: when.except_eid.clone().into(),
            channel: when.channel.clone().into(),
            pdata: when.pdata.clone().into(),
            equals: equals.into(),
        })
    }

    /// Returns whether it holds for an event that came under a key of `channel`; what is not known does not hold.
    #[must_use]
    pub fn holds(&self, event: &Value<'_>, channel: &str) -> bool {
        self.test(event, channel, false)
    }

    /// Returns whether it may hold: what is not known, or is of another type than a condition can ask for, counts as
    /// if it did.
    #[must_use]
    pub fn may_hold(&self, event: &Value<'_>, channel: &str) -> bool {
        self.test(event, channel, true)
    }

    fn test(&self, event: &Value<'_>, channel: &str, unknown: bool) -> bool {
        let one_of = |names: &[String], path: &[&str]| {
            event
                .at(path)
                .and_then(Value::as_str)
                .map_or(unknown, |text| names.iter().any(|name| name.eq_ignore_ascii_case(text)))
        };
        let excepted = |names: &[String]| {
            event
                .get("eid")
                .and_then(Value::as_str)
                .map_or(!unknown, |eid| names.iter().any(|name| name.eq_ignore_ascii_case(eid)))
        };
        (self.eid.is_empty() || one_of(&self.eid, &["eid"]))
            && (self.except_eid.is_empty() || !excepted(&self.except_eid))
            && (self.pdata.is_empty() || one_of(&self.pdata, &["context", "pdata", "id"]))
            && self.test_channel(event, channel, unknown)
            && self.equals.iter().all(|(path, values)| test_equal(path, values, event, unknown))
    }

    fn test_channel(&self, event: &Value<'_>, channel: &str, unknown: bool) -> bool {
        if self.channel.is_empty() {
            return true;
        }
        let named = event.at(&["context", "channel"]).and_then(Value::as_str);
        let known = [Some(channel), named].into_iter().flatten().filter(|name| !name.is_empty());
        let mut some = false;
        for name in known {
            if self.channel.iter().any(|wanted| wanted == name) {
                return true;
            }
            some = true;
        }
        !some && unknown
    }
}

/// Returns whether one of the values stands at the path.
fn test_equal(path: &Path, values: &[Plain], event: &Value<'_>, unknown: bool) -> bool {
    let mut some = false;
    let found = path.find(event, |value| {
        let known = matches!(value, Value::Bool(_) | Value::Number(_) | Value::Text(_));
        some |= known;
        known && values.iter().any(|plain| plain.is(value))
    });
    found.is_some() || (!some && unknown)
}

impl Plain {
    fn is(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Bool(wanted), Value::Bool(found)) => wanted == found,
            (Self::Number(wanted), Value::Number(found)) => found.as_i64() == Some(*wanted),
            (Self::Text(wanted), Value::Text(found)) => Cow::Borrowed(wanted.as_str()) == *found,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(toml: &str) -> Condition {
        Condition::compile(&toml::from_str(toml).unwrap(), "when").unwrap()
    }

    #[test]
    fn condition_holds_for_what_it_names_and_may_hold_for_what_is_not_known() {
        let event =
            r#"{"eid":"ASSESS","context":{"channel":"c","pdata":{"id":"p"}},"edata":{"n":[1,2]}}"#;
        let cases = [
            ("", event, (true, true)),
            ("eid = ['assess']", event, (true, true)),
            ("eid = ['START']", event, (false, false)),
            ("eid = ['START']", "{}", (false, true)),
            ("eid = ['START']", r#"{"eid":7}"#, (false, true)),
            ("except_eid = ['START']", event, (true, true)),
            ("except_eid = ['assess']", event, (false, false)),
            ("except_eid = ['START']", "{}", (false, true)),
            ("channel = ['key']", event, (true, true)),
            ("channel = ['c']", event, (true, true)),
            ("channel = ['d']", event, (false, false)),
            ("pdata = ['p']", event, (true, true)),
            ("pdata = ['q']", event, (false, false)),
            ("pdata = ['q']", "{}", (false, true)),
            ("[equals]\n'$.edata.n[*]' = [2]", event, (true, true)),
            ("[equals]\n'$.edata.n[*]' = [3, 'x', true]", event, (false, false)),
            ("[equals]\n'$.edata.m' = [3]", event, (false, true)),
            ("eid = ['ASSESS']\npdata = ['q']", event, (false, false)),
        ];
        for (toml, event, expected) in cases {
            let event = Value::parse(event.as_bytes()).unwrap();
            let condition = condition(toml);
            let found = (condition.holds(&event, "key"), condition.may_hold(&event, "key"));
            assert_eq!(found, expected, "{toml} {event:?}");
        }
        let nameless = Value::parse(b"{}").unwrap();
        assert!(condition("channel = ['c']").may_hold(&nameless, ""));
        assert!(!condition("channel = ['c']").holds(&nameless, ""));
    }

    #[test]
    fn condition_that_nothing_could_meet_is_refused() {
        let when = toml::from_str("[equals]\n'$.a' = []").unwrap();
        let error = Condition::compile(&when, "route.rule[1].when").unwrap_err().to_string();
        assert_eq!(
            error,
            "route.rule[1].when.equals: `$.a` has no values, so nothing would match; name some"
        );
        assert!(toml::from_str::<When>("eids = ['START']").is_err());
    }
}
