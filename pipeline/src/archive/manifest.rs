//! The list of what is in a zip: `manifest.json`.
//!
//! Every value of it is taken for what somebody says, and a value of the wrong kind for one that is not there.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{ITEMS_MAX, Problem, batch::text};

/// Its name, at the root or in the one folder of an archive.
pub(super) const NAME: &str = "manifest.json";

/// The largest manifest, in bytes: [`ITEMS_MAX`] items are less than that.
pub(super) const BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the manifests of telemetry say that they are.
const ID: &str = "sunbird.data.archive";

/// What is said of one file.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) object_type: Option<String>,
    pub(super) file: Option<String>,
    pub(super) encoding: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) exploded_size: Option<u64>,
    pub(super) mid: Option<String>,
    pub(super) events: Option<u64>,
}

#[derive(Deserialize)]
struct Manifest<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    archive: Option<Contents<'a>>,
}

#[derive(Deserialize)]
struct Contents<'a> {
    #[serde(borrow)]
    count: Option<&'a RawValue>,
    #[serde(borrow)]
    items: Option<Items<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow)]
    object_type: Option<&'a RawValue>,
    #[serde(borrow)]
    file: Option<&'a RawValue>,
    #[serde(borrow)]
    content_encoding: Option<&'a RawValue>,
    #[serde(borrow)]
    size: Option<&'a RawValue>,
    #[serde(borrow)]
    exploded_size: Option<&'a RawValue>,
    #[serde(borrow)]
    mid: Option<&'a RawValue>,
    #[serde(borrow)]
    events_count: Option<&'a RawValue>,
}

/// Lines of the list, as they stand.
struct Items<'a>(Vec<&'a RawValue>);

/// Reads a manifest.
///
/// # Errors
///
/// It is no JSON, or has no list of items, or too long a one.
pub(super) fn read(bytes: &[u8], notes: &mut Vec<Problem>) -> Result<Vec<Listed>, Problem> {
    let malformed = |what: String| {
        let message = format!("{NAME} is no list of telemetry: {what}");
        Problem::new("malformed_manifest", message)
    };
    let manifest: Manifest<'_> =
        serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
    let contents = manifest.archive.ok_or_else(|| malformed("`archive` is missing".to_owned()))?;
    let Items(lines) =
        contents.items.ok_or_else(|| malformed("`archive.items` is missing".to_owned()))?;
    if lines.len() > ITEMS_MAX {
        let message = format!("it lists more than {ITEMS_MAX} items; share it in parts");
        return Err(Problem::new("too_many_items", message));
    }
    if manifest.id.and_then(text).as_deref() != Some(ID) {
        notes.push(Problem::new("id_differs", format!("the `id` of {NAME} is not `{ID}`")));
    }
    if let Some(said) = contents.count.and_then(number).filter(|said| *said != lines.len() as u64) {
        let message = format!("it is said to have {said} items, and lists {}", lines.len());
        notes.push(Problem::new("count_differs", message));
    }
    Ok(lines.into_iter().map(Listed::read).collect())
}

impl Listed {
    fn read(line: &RawValue) -> Self {
        let line: Option<Line<'_>> = serde_json::from_str(line.get()).ok();
        let text = |of: fn(&Line<'_>) -> Option<String>| line.as_ref().and_then(of);
        let count = |of: fn(&Line<'_>) -> Option<u64>| line.as_ref().and_then(of);
        Self {
            object_type: text(|line| line.object_type.and_then(self::text)),
            file: text(|line| line.file.and_then(self::text)),
            encoding: text(|line| line.content_encoding.and_then(self::text)),
            size: count(|line| line.size.and_then(number)),
            exploded_size: count(|line| line.exploded_size.and_then(number)),
            mid: text(|line| line.mid.and_then(self::text)),
            events: count(|line| line.events_count.and_then(number)),
        }
    }
}

fn number(raw: &RawValue) -> Option<u64> {
    serde_json::from_str(raw.get()).ok()
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ItemsVisitor)
    }
}

struct ItemsVisitor;

impl<'de> Visitor<'de> for ItemsVisitor {
    type Value = Items<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut lines = Vec::new();
        while let Some(line) = items.next_element()? {
            lines.push(line);
            // A list of nothing but ones would be many times as large as its text; one more tells that it is too long.
            if lines.len() > ITEMS_MAX {
                while items.next_element::<IgnoredAny>()?.is_some() {}
            }
        }
        Ok(Items(lines))
    }
}
