//! An event as a row of the table.

use chrono::{DateTime, Datelike, Utc};

use super::words::{Words, column};
use crate::{reason::Reason, sink::event::Event, store::event::Events, value::Value};

/// Where the texts of the columns stand in an event; of two places the first that has one counts.
const TEXTS: [&[&[&str]]; 7] = [
    &[&["eid"]],
    &[&["mid"]],
    &[&["context", "did"], &["actor", "id"]],
    &[&["actor", "id"]],
    &[&["context", "channel"]],
    &[&["context", "pdata", "id"]],
    &[&["context", "env"]],
];

/// What an event is found by: what comes first is kept, if there are too many words.
const WORDS: [&[&str]; 6] = [
    &["eid"],
    &["context", "env"],
    &["context", "pdata", "id"],
    &["object", "type"],
    &["object", "id"],
    &["edata"],
];

/// An event and what stands beside it in the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) event: Event,
    ets: DateTime<Utc>,
    syncts: DateTime<Utc>,
    texts: [Option<String>; 7],
    words: String,
}

impl Row {
    /// Reads an event.
    ///
    /// # Errors
    ///
    /// The event, with the reason why the table cannot hold it.
    pub(super) fn read(event: Event) -> Result<Self, Box<(Event, Reason)>> {
        let tree = match Value::parse(&event.record.value) {
            Ok(tree) => tree,
            Err(error) => {
                let reason = Reason::new("$", "unreadable", error.to_string());
                return Err(Box::new((event, reason)));
            }
        };
        let midnight = event.day.and_time(chrono::NaiveTime::MIN).and_utc();
        let syncts = moment(tree.get("syncts")).unwrap_or(midnight);
        let ets = moment(tree.get("ets")).unwrap_or(syncts);
        let text = |places: &[&[&str]]| {
            let found = places.iter().find_map(|place| tree.at(place)?.as_str());
            found.map(|text| column(text).into_owned())
        };
        let texts = TEXTS.map(text);
        let mut words = Words::default();
        for place in WORDS {
            if let Some(value) = tree.at(place) {
                words.add(value);
            }
        }
        let words = words.join();
        drop(tree);
        Ok(Self { event, ets, syncts, texts, words })
    }

    /// Adds it to others that are stored together with it.
    pub(super) fn lay<'a>(&'a self, events: &mut Events<'a>) {
        events.days.push(self.event.day);
        // Both were read before as texts.
        events.document_ids.push(str::from_utf8(&self.event.id).unwrap_or_default());
        events.bodies.push(str::from_utf8(&self.event.record.value).unwrap_or_default());
        events.ets.push(self.ets);
        events.syncts.push(self.syncts);
        for (column, text) in events.texts.iter_mut().zip(&self.texts) {
            column.push(text.as_deref());
        }
        events.words.push(&self.words);
    }
}

/// Returns a time in milliseconds; none that the database or a calendar does not have.
fn moment(value: Option<&Value<'_>>) -> Option<DateTime<Utc>> {
    let number = value?.as_number()?;
    #[expect(clippy::cast_possible_truncation, reason = "it saturates, and then it is no time")]
    let ms = number.as_i64().or_else(|| number.as_f64().map(|ms| ms as i64))?;
    let at = DateTime::from_timestamp_millis(ms)?;
    (1..=9999).contains(&at.year()).then_some(at)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::record::{Headers, Record};

    fn event(value: &Json) -> Event {
        Event::read(Record {
            partition: 0,
            offset: 0,
            appended_at: DateTime::UNIX_EPOCH,
            key: None,
            headers: Headers::new(),
            value: Bytes::from(value.to_string()),
        })
        .unwrap()
    }

    fn row(value: &Json) -> Row {
        Row::read(event(value)).unwrap()
    }

    fn full() -> Json {
        json!({
            "eid": "IMPRESSION", "ets": 1_700_000_000_123_i64, "mid": "m1", "syncts": 1_700_000_001_000_i64,
            "actor": {"id": "a1"}, "object": {"id": "do_1", "type": "Course"},
            "context": {"channel": "c1", "env": "home", "did": "d1", "pdata": {"id": "portal.web"}},
            "edata": {"type": "view", "pageid": "Class 7", "visits": [{"objid": "x9", "index": 3}]},
            "metadata": {"id": "ab"},
        })
    }

    #[test]
    fn columns_and_words_are_those_of_the_event() {
        let row = row(&full());
        let texts = row.texts.each_ref().map(|text| text.as_deref().unwrap());
        assert_eq!(texts, ["IMPRESSION", "m1", "d1", "a1", "c1", "portal.web", "home"]);
        assert_eq!(row.ets.to_rfc3339(), "2023-11-14T22:13:20.123+00:00");
        assert_eq!(row.syncts.to_rfc3339(), "2023-11-14T22:13:21+00:00");
        let words = "impression home portal web course do 1 class 7 view x9";
        assert_eq!(row.words, words);
    }

    #[test]
    fn device_is_the_actor_where_there_is_no_other() {
        let mut value = full();
        value["context"]["did"] = Json::Null;
        assert_eq!(row(&value).texts[2].as_deref(), Some("a1"));
        value["actor"] = json!({"id": 7});
        assert_eq!(row(&value).texts[2], None);
    }

    #[test]
    fn time_that_is_none_is_the_relays() {
        for ets in [
            json!(null),
            json!("soon"),
            json!(1e300),
            json!(-1e300),
            json!(i64::MAX),
            json!(253_402_300_800_000_i64),
        ] {
            let mut value = full();
            value["ets"] = ets.clone();
            let row = row(&value);
            assert_eq!(row.ets, row.syncts, "{ets}");
        }
        let mut value = full();
        value["ets"] = json!(1_700_000_000_123.9);
        assert_eq!(row(&value).ets.timestamp_millis(), 1_700_000_000_123);
    }

    #[test]
    fn what_the_database_cannot_hold_in_a_column_is_made_fit() {
        let mut value = full();
        value["mid"] = json!("a\0b");
        value["eid"] = json!("é".repeat(300));
        let row = row(&value);
        assert_eq!(row.texts[1].as_deref(), Some("a\u{fffd}b"));
        assert_eq!(row.texts[0].as_deref(), Some("é".repeat(128).as_str()));
    }

    #[test]
    fn event_that_nests_too_deeply_is_rejected_with_the_reason() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let text = format!(r#"{{"syncts":1700000000000,"metadata":{{"id":"a"}},"edata":{deep}}}"#);
        let mut event = event(&full());
        event.record.value = Bytes::from(text);
        let (_, reason) = *Row::read(event).unwrap_err();
        assert_eq!(reason.code, "unreadable");
    }
}
