//! A glance at the events of a batch while it is read: how many there are, and what is plainly wrong.
//!
//! Nothing of an event is kept, so that a batch costs no more memory than its bytes.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// How many problems of one batch are told.
const PROBLEMS_MAX: usize = 100;

/// What stands under `events`.
#[derive(Debug)]
pub(super) enum Events {
    List(List),
    /// No array.
    Other,
}

/// An array of events.
#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) count: usize,
    pub(super) problems: Vec<Problem>,
}

/// What is plainly wrong with an event.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Problem {
    pub(super) index: usize,
    pub(super) code: &'static str,
}

impl<'de> Deserialize<'de> for Events {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EventsVisitor)
    }
}

/// Accepts every kind of value that is none of those looked for.
macro_rules! otherwise {
    ($value:expr; $($method:ident($argument:ty))*) => {$(
        fn $method<E>(self, _: $argument) -> Result<Self::Value, E> {
            Ok($value)
        }
    )*};
}

struct EventsVisitor;

impl<'de> Visitor<'de> for EventsVisitor {
    type Value = Events;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Events, A::Error> {
        let mut list = List::default();
        while let Some(Glance(problem)) = seq.next_element()? {
            if let Some(code) = problem.filter(|_| list.problems.len() < PROBLEMS_MAX) {
                list.problems.push(Problem { index: list.count, code });
            }
            list.count += 1;
        }
        Ok(Events::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Events, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Events::Other)
    }

    fn visit_unit<E>(self) -> Result<Events, E> {
        Ok(Events::Other)
    }

    otherwise! { Events::Other; visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_f64(f64) visit_str(&str) }
}

/// What is wrong with one event.
struct Glance(Option<&'static str>);

impl<'de> Deserialize<'de> for Glance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GlanceVisitor)
    }
}

struct GlanceVisitor;

const NOT_AN_OBJECT: Glance = Glance(Some("not_an_object"));

impl<'de> Visitor<'de> for GlanceVisitor {
    type Value = Glance;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Glance, A::Error> {
        let (mut eid, mut ets, mut mid) = (false, false, false);
        while let Some(Name(name)) = map.next_key()? {
            match &*name {
                "eid" => eid = map.next_value::<Kind>()? == Kind::Text,
                "mid" => mid = map.next_value::<Kind>()? == Kind::Text,
                "ets" => ets = map.next_value::<Kind>()? == Kind::Number,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Glance(match (eid, ets, mid) {
            (false, _, _) => Some("missing_eid"),
            (_, false, _) => Some("missing_ets"),
            (_, _, false) => Some("missing_mid"),
            _ => None,
        }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Glance, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(NOT_AN_OBJECT)
    }

    fn visit_unit<E>(self) -> Result<Glance, E> {
        Ok(NOT_AN_OBJECT)
    }

    otherwise! { NOT_AN_OBJECT; visit_bool(bool) visit_i64(i64) visit_u64(u64) visit_f64(f64) visit_str(&str) }
}

/// The name of a member, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// What kind of value a member has.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Number,
    Other,
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KindVisitor)
    }
}

struct KindVisitor;

impl<'de> Visitor<'de> for KindVisitor {
    type Value = Kind;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Kind, E> {
        Ok(if text.is_empty() { Kind::Other } else { Kind::Text })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Kind::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Kind::Other)
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Other)
    }

    otherwise! { Kind::Other; visit_bool(bool) }
    otherwise! { Kind::Number; visit_i64(i64) visit_u64(u64) visit_f64(f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> List {
        match serde_json::from_str(text).unwrap() {
            Events::List(list) => list,
            Events::Other => panic!("{text} is no list"),
        }
    }

    #[test]
    fn events_are_counted_and_what_is_wrong_is_named() {
        let found = list(
            r#"[{"eid":"START","ets":1,"mid":"a"},{"ets":1,"mid":"b"},{"eid":"END","mid":"c","ets":"1"},
                {"eid":"END","ets":1.5e12,"mid":""},7,null,["x"],"y",
                {"eid":{"a":[1]},"ets":[1],"mid":{"b":1}},{"\u0065id":"LOG","ets":2,"mid":"d","edata":{"eid":1}}]"#,
        );
        assert_eq!(found.count, 10);
        let problems: Vec<_> =
            found.problems.iter().map(|problem| (problem.index, problem.code)).collect();
        assert_eq!(
            problems,
            [
                (1, "missing_eid"),
                (2, "missing_ets"),
                (3, "missing_mid"),
                (4, "not_an_object"),
                (5, "not_an_object"),
                (6, "not_an_object"),
                (7, "not_an_object"),
                (8, "missing_eid"),
            ]
        );
    }

    #[test]
    fn whatever_is_no_array_is_no_list() {
        for text in ["{}", "null", "1", "-1", "1.5", "true", "\"x\"", "{\"a\":[1]}"] {
            assert!(matches!(serde_json::from_str(text).unwrap(), Events::Other), "{text}");
        }
    }

    #[test]
    fn problems_are_bounded() {
        let found = list(&format!("[{}]", vec!["1"; 500].join(",")));
        assert_eq!((found.count, found.problems.len()), (500, PROBLEMS_MAX));
    }
}
