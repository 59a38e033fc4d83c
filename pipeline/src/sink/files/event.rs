//! A unique event as a file needs it: its day, its line, its columns.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::codec::Codec;

/// The beginning of 2000 in milliseconds: an earlier `syncts` is a mistake, such as seconds where milliseconds are due.
const SYNCTS_MIN: i64 = 946_684_800_000;

/// The end of 9999, the last day that has a name of the same form.
const SYNCTS_MAX: i64 = 253_402_300_799_999;

/// The columns of text, in their order.
pub(super) const TEXTS: [&str; 14] = [
    "id",
    "mid",
    "eid",
    "device",
    "actor",
    "channel",
    "pdata_id",
    "pid",
    "env",
    "sid",
    "object_id",
    "object_type",
    "edata",
    "event",
];

/// A unique event.
#[derive(Debug)]
pub(super) struct Event {
    bytes: Bytes,
    pub(super) syncts: Option<i64>,
    pub(super) columns: Option<Box<Columns>>,
}

/// What stands in the columns beside `syncts`.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) ets: Option<i64>,
    pub(super) texts: [Option<Bytes>; TEXTS.len()],
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    syncts: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    eid: Option<&'a RawValue>,
    #[serde(borrow)]
    mid: Option<&'a RawValue>,
    #[serde(borrow)]
    ets: Option<&'a RawValue>,
    #[serde(borrow)]
    syncts: Option<&'a RawValue>,
    #[serde(borrow)]
    actor: Option<&'a RawValue>,
    #[serde(borrow)]
    context: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    edata: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    pid: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Context<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    did: Option<&'a RawValue>,
    #[serde(borrow)]
    env: Option<&'a RawValue>,
    #[serde(borrow)]
    sid: Option<&'a RawValue>,
    #[serde(borrow)]
    pdata: Option<&'a RawValue>,
}

impl Event {
    /// Reads a record's value as far as the codec needs it.
    ///
    /// # Errors
    ///
    /// It is no JSON object; in words.
    pub(super) fn read(bytes: Bytes, codec: Codec) -> Result<Self, String> {
        let says = |error: serde_json::Error| error.to_string();
        // Of an array serde would take the items for the members in their order.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err("it is no JSON object".to_owned());
        }
        if codec == Codec::Parquet {
            let members: Members<'_> = serde_json::from_slice(&bytes).map_err(says)?;
            let (syncts, columns) = (integer(members.syncts), members.columns(&bytes));
            return Ok(Self { syncts, columns: Some(Box::new(columns)), bytes });
        }
        let head: Head<'_> = serde_json::from_slice(&bytes).map_err(says)?;
        Ok(Self { syncts: integer(head.syncts), columns: None, bytes })
    }

    /// Returns the day, in UTC, on which the relay took it; the day of its record where it does not say.
    pub(super) fn day(&self, appended_at: DateTime<Utc>) -> NaiveDate {
        let syncts = self.syncts.filter(|ms| (SYNCTS_MIN..=SYNCTS_MAX).contains(ms));
        syncts.and_then(DateTime::from_timestamp_millis).unwrap_or(appended_at).date_naive()
    }

    /// Adds it to `lines` as one line, whatever stands between its members.
    pub(super) fn write_line(&self, lines: &mut Vec<u8>) {
        let start = lines.len();
        lines.extend_from_slice(&self.bytes);
        // Within strings line ends are escaped.
        for byte in &mut lines[start..] {
            if *byte == b'\n' || *byte == b'\r' {
                *byte = b' ';
            }
        }
        lines.push(b'\n');
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl Members<'_> {
    fn columns(&self, event: &Bytes) -> Columns {
        let context: Context<'_> = within(self.context);
        let (actor, object, pdata, metadata): (Named<'_>, Named<'_>, Named<'_>, Named<'_>) =
            (within(self.actor), within(self.object), within(context.pdata), within(self.metadata));
        let text = |raw: Option<&RawValue>| text(event, raw);
        let edata = self.edata.map(|raw| event.slice_ref(raw.get().as_bytes()));
        let texts = [
            text(metadata.id),
            text(self.mid),
            text(self.eid),
            text(context.did).or_else(|| text(actor.id)),
            text(actor.id),
            text(context.channel),
            text(pdata.id),
            text(pdata.pid),
            text(context.env),
            text(context.sid),
            text(object.id),
            text(object.kind),
            edata,
            Some(event.clone()),
        ];
        Columns { ets: integer(self.ets), texts }
    }
}

/// Reads an object, or nothing where there is something else.
fn within<'a, T: Default + Deserialize<'a>>(raw: Option<&'a RawValue>) -> T {
    let object = raw.map(RawValue::get).filter(|text| text.starts_with('{'));
    object.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Reads a whole number; of a fraction, what is before the point.
fn integer(raw: Option<&RawValue>) -> Option<i64> {
    let text = raw?.get();
    #[expect(clippy::cast_possible_truncation, reason = "what is too large is no time anyway")]
    text.parse().ok().or_else(|| Some(text.parse::<f64>().ok()? as i64))
}

/// Returns what a string says, or the JSON of anything else; a part of `event` wherever it stands there as it is.
fn text(event: &Bytes, raw: Option<&RawValue>) -> Option<Bytes> {
    let json = raw?.get();
    let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Some(event.slice_ref(json.as_bytes()));
    };
    if !inner.contains('\\') {
        return Some(event.slice_ref(inner.as_bytes()));
    }
    let unescaped: Cow<'_, str> = serde_json::from_str::<String>(json).ok()?.into();
    Some(Bytes::from(unescaped.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(json: &'static str) -> Event {
        Event::read(Bytes::from_static(json.as_bytes()), Codec::Parquet).unwrap()
    }

    /// Secor filed a valid event without the time under 1970.
    #[test]
    fn event_without_a_time_is_filed_under_the_day_of_its_record() {
        let appended_at: DateTime<Utc> = "2026-11-22T23:59:59.999Z".parse().unwrap();
        for (json, day) in [
            (r#"{"syncts":1763769600000}"#, "2025-11-22"),
            (r#"{"syncts":1763769599999}"#, "2025-11-21"),
            (r#"{"syncts":1763769600000.7}"#, "2025-11-22"),
            ("{}", "2026-11-22"),
            (r#"{"syncts":null}"#, "2026-11-22"),
            (r#"{"syncts":"1763769600000"}"#, "2026-11-22"),
            (r#"{"syncts":0}"#, "2026-11-22"),
            (r#"{"syncts":1763769600}"#, "2026-11-22"),
            (r#"{"syncts":1e300}"#, "2026-11-22"),
        ] {
            assert_eq!(event(json).day(appended_at).to_string(), day, "{json}");
        }
    }

    #[test]
    fn columns_are_what_the_event_says_and_nothing_where_it_says_something_else() {
        let json = r#"{"eid":"START","mid":"a\"b","ets":5,"syncts":6,"actor":{"id":7},
            "context":{"channel":"c","env":null,"pdata":[1],"sid":"s"},"object":"none",
            "edata":{"x": [1]},"metadata":{"id":"f00d"}}"#;
        let columns = event(json).columns.unwrap();
        let texts =
            columns.texts.map(|text| text.map(|text| String::from_utf8(text.into()).unwrap()));
        let shown: Vec<_> = texts.iter().map(Option::as_deref).collect();
        let expected = [
            Some("f00d"),
            Some("a\"b"),
            Some("START"),
            Some("7"),
            Some("7"),
            Some("c"),
            None,
            None,
            None,
            Some("s"),
            None,
            None,
            Some(r#"{"x": [1]}"#),
            Some(json),
        ];
        assert_eq!((shown.as_slice(), columns.ets), (expected.as_slice(), Some(5)));
    }

    #[test]
    fn what_is_no_object_is_no_event() {
        for json in ["", "[]", "1", "{", "{}x", r#"["1"]"#] {
            for codec in Codec::ALL {
                assert!(Event::read(Bytes::from_static(json.as_bytes()), codec).is_err(), "{json}");
            }
        }
    }

    #[test]
    fn event_is_one_line() {
        let mut lines = Vec::new();
        event("{\r\n\"mid\":\"a\\nb\"}").write_line(&mut lines);
        assert_eq!(lines, b"{  \"mid\":\"a\\nb\"}\n");
    }
}
