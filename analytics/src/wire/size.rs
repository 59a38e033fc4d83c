//! How large an event is once it is encoded, and which of its fields make it so.

use std::{fmt, io};

use serde_json::{Map, Value as Json};

/// How many fields are named; the first ones are nearly always the culprits.
const NAMED_MAX: usize = 3;

/// An event that is larger than a service takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TooLarge {
    /// Whose limit it is.
    pub service: &'static str,
    /// How large the encoded event is, in bytes.
    pub bytes: usize,
    /// How large it may be.
    pub bytes_max: usize,
    /// The largest fields, with their path and their size in bytes, largest first.
    pub largest: Vec<(String, usize)>,
}

impl TooLarge {
    /// Returns what is said about an event with these properties.
    pub(super) fn new(
        service: &'static str,
        bytes: usize,
        bytes_max: usize,
        properties: &Map<String, Json>,
    ) -> Self {
        Self { service, bytes, bytes_max, largest: largest(properties) }
    }
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, bytes, bytes_max, largest } = self;
        write!(f, "the event takes {bytes} bytes and {service} takes {bytes_max}")?;
        let mut lead = ": leave out or count what is in ";
        for (path, bytes) in largest {
            write!(f, "{lead}`{path}` ({bytes} bytes)")?;
            lead = ", ";
        }
        Ok(())
    }
}

impl std::error::Error for TooLarge {}

/// Returns the largest fields with their paths and sizes, largest first.
///
/// An object is looked into as long as one of its members makes up at least half of it; otherwise it is named itself.
pub(super) fn largest(properties: &Map<String, Json>) -> Vec<(String, usize)> {
    let mut fields = Vec::new();
    for (key, value) in properties {
        descend(key.clone(), value, &mut fields);
    }
    fields.sort_by(|(left, left_bytes), (right, right_bytes)| {
        right_bytes.cmp(left_bytes).then_with(|| left.cmp(right))
    });
    fields.truncate(NAMED_MAX);
    fields
}

fn descend(path: String, value: &Json, fields: &mut Vec<(String, usize)>) {
    let bytes = bytes(value);
    match value {
        Json::Object(map) if map.values().any(|member| self::bytes(member) * 2 >= bytes) => {
            for (key, member) in map {
                descend(format!("{path}.{key}"), member, fields);
            }
        }
        _ => fields.push((path, bytes)),
    }
}

/// Returns how many bytes `value` takes as JSON.
pub(crate) fn bytes(value: &Json) -> usize {
    let mut count = Count(0);
    // Counting cannot go wrong.
    serde_json::to_writer(&mut count, value).ok();
    count.0
}

/// Counts what is written.
struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(json: &Json) -> Map<String, Json> {
        json.as_object().unwrap().clone()
    }

    #[test]
    fn fields_that_make_it_large_are_named_by_their_paths() {
        let many: Map<String, Json> =
            (0..100).map(|number| (format!("n{number}"), Json::from(number))).collect();
        let properties = map(&json!({
            "event_properties": {"project": {"notes": "x".repeat(1000), "draft": true}},
            "derived_properties": {"counts": many},
            "app_properties": {"version": "1"},
        }));
        let error = TooLarge::new("Segment", 2000, 1500, &properties);
        assert_eq!(
            error.to_string(),
            "the event takes 2000 bytes and Segment takes 1500: leave out or count what is in \
             `event_properties.project.notes` (1002 bytes), `derived_properties.counts` (881 bytes), \
             `app_properties` (15 bytes)"
        );
    }

    #[test]
    fn event_without_fields_is_still_described() {
        let error = TooLarge::new("PostHog", 2, 1, &Map::new());
        assert_eq!(error.to_string(), "the event takes 2 bytes and PostHog takes 1");
    }
}
