//! The items of a SHARE event as events of their own, as Sunbird's pipeline makes them.
//!
//! Where the original drew a random id for each, which made a replay count twice, the id here is that of the SHARE
//! event and the place of the item.

use serde_json::Number;

use crate::value::{Object, Value};

/// The kind of what is made.
pub const KIND: &str = "SHARE_ITEM";

/// The most events that one SHARE event makes: each repeats its context, and a stranger must not turn 1 MB into 1 GB.
pub const ITEMS_MAX: usize = 1000;

/// What the items of a SHARE event have become.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Items<'a> {
    /// The events, in the order of the items.
    pub events: Vec<Value<'a>>,
    /// How many more there would have been, beyond [`ITEMS_MAX`].
    pub left_out: usize,
}

/// Returns an event for each item of a SHARE event, or for each transfer of an item that tells of several; nothing for
/// other events.
///
/// Its `mid` is that of the SHARE event, a colon, and its place, counted from zero.
#[must_use]
pub fn items<'a>(event: &Value<'a>) -> Items<'a> {
    let mut items = Items::default();
    if event.get("eid").and_then(Value::as_str) != Some("SHARE") {
        return items;
    }
    let Some(mid) = event.get("mid").and_then(Value::as_str) else { return items };
    let list = event.at(&["edata", "items"]).and_then(Value::as_list).unwrap_or_default();
    let type_of_share = event.at(&["edata", "type"]).cloned();
    for item in list.iter().filter(|item| item.as_object().is_some()) {
        let transfers = item.get("params").and_then(Value::as_list).unwrap_or_default();
        let transfers = transfers.iter().map(|transfer| {
            let word = if number(transfer.get("transfers")) == 0.0 { "download" } else { "import" };
            (Some(Value::from(word)), number(transfer.get("size")))
        });
        let mut transfers = transfers.peekable();
        // An item that tells of no transfer is one all the same.
        let whole = transfers.peek().is_none().then(|| (type_of_share.clone(), 0.0));
        for (kind, size) in transfers.chain(whole) {
            let place = items.events.len();
            if place == ITEMS_MAX {
                items.left_out += 1;
                continue;
            }
            let edata = edata(event, kind, size);
            items.events.push(derived(event, format!("{mid}:{place}"), edata, object(event, item)));
        }
    }
    items
}

/// Returns a number, or a text of one; everything else counts as 0, as in the original.
fn number(value: Option<&Value<'_>>) -> f64 {
    let number = match value {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::Text(text)) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| number.is_finite()).unwrap_or_default()
}

fn edata<'a>(event: &Value<'a>, kind: Option<Value<'a>>, size: f64) -> Object<'a> {
    let mut edata = Object::new();
    if let Some(dir) = event.at(&["edata", "dir"]) {
        edata.set("dir", dir.clone());
    }
    if let Some(kind) = kind {
        edata.set("type", kind);
    }
    // Sizes are bytes, and numbers of the original are floats: whole ones stay whole here.
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53 is exact")]
    let size = if size.fract() == 0.0 && size.abs() < 9e15 {
        Some(Number::from(size as i64))
    } else {
        Number::from_f64(size)
    };
    edata.set("size", size.map_or(Value::Null, Value::Number));
    edata
}

fn object<'a>(event: &Value<'a>, item: &Value<'a>) -> Object<'a> {
    let mut object = Object::new();
    for name in ["id", "ver", "type"] {
        if let Some(value) = item.get(name) {
            object.set(name, value.clone());
        }
    }
    if let Some(parent) = event.at(&["object", "id"]) {
        object.set("rollup", Object::from_iter([("l1", parent.clone())]));
    }
    object
}

fn derived<'a>(event: &Value<'a>, mid: String, edata: Object<'a>, object: Object<'a>) -> Value<'a> {
    let mut derived = Object::new();
    derived.set("eid", KIND);
    derived.set("mid", mid);
    derived.set("ver", "3.0");
    for name in ["ets", "actor", "context", "tags"] {
        if let Some(value) = event.get(name) {
            derived.set(name, value.clone());
        }
    }
    derived.set("edata", edata);
    derived.set("object", object);
    Value::Object(derived)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(event: &str) -> Vec<String> {
        let event = Value::parse(event.as_bytes()).unwrap();
        let items = items(&event);
        assert_eq!(items.left_out, 0);
        items.events.iter().map(|event| String::from_utf8(event.to_bytes()).unwrap()).collect()
    }

    #[test]
    fn each_transfer_of_a_share_becomes_an_event_with_an_id_that_a_replay_repeats() {
        let event = r#"{"eid":"SHARE","mid":"m","ets":1,"actor":{"id":"u","type":"User"},"context":{"did":"d"},"object":{"id":"book"},"edata":{"dir":"In","type":"File","items":[{"id":"a","ver":"1","type":"Content","params":[{"transfers":0,"size":10},{"transfers":"2","size":"1.5"}]},{"id":"b"},7]}}"#;
        let expected = [
            r#"{"eid":"SHARE_ITEM","mid":"m:0","ver":"3.0","ets":1,"actor":{"id":"u","type":"User"},"context":{"did":"d"},"edata":{"dir":"In","type":"download","size":10},"object":{"id":"a","ver":"1","type":"Content","rollup":{"l1":"book"}}}"#,
            r#"{"eid":"SHARE_ITEM","mid":"m:1","ver":"3.0","ets":1,"actor":{"id":"u","type":"User"},"context":{"did":"d"},"edata":{"dir":"In","type":"import","size":1.5},"object":{"id":"a","ver":"1","type":"Content","rollup":{"l1":"book"}}}"#,
            r#"{"eid":"SHARE_ITEM","mid":"m:2","ver":"3.0","ets":1,"actor":{"id":"u","type":"User"},"context":{"did":"d"},"edata":{"dir":"In","type":"File","size":0},"object":{"id":"b","rollup":{"l1":"book"}}}"#,
        ];
        assert_eq!(texts(event), expected);
        assert_eq!(texts(event), texts(event));
    }

    #[test]
    fn other_events_make_none() {
        for event in [
            r#"{"eid":"START","mid":"m","edata":{"items":[{"id":"a"}]}}"#,
            r#"{"eid":"SHARE","edata":{"items":[{"id":"a"}]}}"#,
            r#"{"eid":"SHARE","mid":"m","edata":{"items":"a"}}"#,
            r#"{"eid":"SHARE","mid":"m"}"#,
            "[]",
        ] {
            assert_eq!(texts(event), Vec::<String>::new(), "{event}");
        }
    }

    #[test]
    fn share_of_very_many_items_stays_bounded_and_says_what_it_left_out() {
        let list = vec!["{}"; ITEMS_MAX + 5].join(",");
        let event = format!(r#"{{"eid":"SHARE","mid":"m","edata":{{"items":[{list}]}}}}"#);
        let event = Value::parse(event.as_bytes()).unwrap();
        let items = items(&event);
        assert_eq!((items.events.len(), items.left_out), (ITEMS_MAX, 5));
    }
}
