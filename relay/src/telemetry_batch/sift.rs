//! Leaves out of a batch what is above the level in force; the rest stays byte by byte.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use tidings_analytics::Level;

use crate::kind;

/// What is left of a batch.
#[derive(Debug, PartialEq)]
pub(crate) struct Sifted {
    /// The batch without what was left out; `None` where nothing is left of it.
    pub(crate) body: Option<Bytes>,
    /// Where in the batch the events stood that were left out.
    pub(crate) above: Vec<usize>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    events: &'a RawValue,
}

/// Sifts a batch, whose `events` are an array.
///
/// # Errors
///
/// It is no such batch.
pub(crate) fn sift(body: &Bytes, level: Level) -> Result<Sifted, serde_json::Error> {
    let list = serde_json::from_slice::<Envelope<'_>>(body)?.events;
    let events: Vec<&RawValue> = serde_json::from_str(list.get())?;
    let (mut kept, mut above) = (Vec::new(), Vec::new());
    for (index, event) in events.into_iter().enumerate() {
        if level.allows(kind::level(event)) {
            kept.push(event.get());
        } else {
            above.push(index);
        }
    }
    let body = match (kept.is_empty(), above.is_empty()) {
        (true, _) => None,
        (_, true) => Some(body.clone()),
        _ => Some(replaced(body, list.get(), &kept.join(","))),
    };
    Ok(Sifted { body, above })
}

/// Puts other events into the array of a body, which is a part of it.
fn replaced(body: &[u8], list: &str, events: &str) -> Bytes {
    let begin = list.as_ptr().addr() - body.as_ptr().addr();
    let (before, rest) = body.split_at(begin);
    [before, b"[", events.as_bytes(), b"]", &rest[list.len()..]].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "{ \"id\":1,\"events\" : [ {\"eid\":\"LOG\", \"a\":1.0} ,{\"eid\":\"SEARCH\"}, {\"eid\":\"ERROR\"}, 7 ], \"é\":[]}";

    #[test]
    fn what_is_above_the_level_is_left_out_and_the_rest_stays_as_it_is() {
        let body = Bytes::from_static(BODY.as_bytes());
        for (level, left, above) in [
            (Level::Full, Some(BODY), &[][..]),
            (
                Level::Enhanced,
                Some(
                    "{ \"id\":1,\"events\" : [{\"eid\":\"LOG\", \"a\":1.0},{\"eid\":\"SEARCH\"},{\"eid\":\"ERROR\"}], \"é\":[]}",
                ),
                &[3],
            ),
            (
                Level::Security,
                Some("{ \"id\":1,\"events\" : [{\"eid\":\"ERROR\"}], \"é\":[]}"),
                &[0, 1, 3],
            ),
            (Level::Off, None, &[0, 1, 2, 3]),
        ] {
            let sifted = sift(&body, level).unwrap();
            let expected = Sifted { body: left.map(Bytes::from), above: above.to_vec() };
            assert_eq!(sifted, expected, "{level}");
        }
    }
}
