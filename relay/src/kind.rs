//! At which level the kinds of Sunbird's events are collected.
//!
//! The table is that of the browser client (`web/src/level.ts`): what a client leaves out by itself, the relay leaves
//! out of what others send.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use tidings_analytics::Level;
pub(crate) use tidings_pipeline::level::required;

/// What of an event decides.
#[derive(Deserialize)]
struct Glance {
    eid: Option<Value>,
    edata: Option<Value>,
}

/// Returns the lowest level at which an event is collected; the highest for what is no event of Sunbird's.
pub(crate) fn level(event: &RawValue) -> Level {
    let Ok(event) = serde_json::from_str::<Glance>(event.get()) else { return Level::Full };
    let eid = event.eid.as_ref().and_then(Value::as_str).unwrap_or_default();
    let part = event.edata.as_ref().and_then(|edata| edata.get("type")).and_then(Value::as_str);
    required(eid, part)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The client's own words for it.
    const CLIENT: &str = include_str!("../../web/src/level.ts");

    #[test]
    fn table_is_the_clients() {
        let table = CLIENT.split_once("const ADDED = [").unwrap().1.split_once(']').unwrap().0;
        let rows: Vec<_> = table.split('"').skip(1).step_by(2).collect();
        assert_eq!(rows.len(), Level::ALL.len());
        for (kinds, level) in rows.iter().zip(Level::ALL) {
            for eid in kinds.split_whitespace() {
                assert_eq!(required(eid, None), level, "{eid}");
            }
        }
        assert_eq!(rows.concat().split_whitespace().count(), 14, "{rows:?}");
    }

    #[test]
    fn level_of_an_event_is_read_from_its_kind() {
        for (event, expected) in [
            (r#"{"eid":"ERROR"}"#, Level::Security),
            (r#"{"edata":{"type":"CLICK"},"eid":"INTERACT"}"#, Level::Enhanced),
            (r#"{"eid":"INTERACT","edata":{"type":"MOUSE"}}"#, Level::Full),
            (r#"{"eid":"INTERACT","edata":[1]}"#, Level::Enhanced),
            (r#"{"eid":"EXDATA"}"#, Level::Full),
            (r#"{"eid":"OE_START"}"#, Level::Full),
            (r#"{"eid":7}"#, Level::Full),
            (r#"{"mid":"a"}"#, Level::Full),
            ("7", Level::Full),
        ] {
            let event = RawValue::from_string(event.to_owned()).unwrap();
            assert_eq!(level(&event), expected, "{event}");
        }
    }
}
