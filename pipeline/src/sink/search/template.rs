//! The index template: which members of an event can be searched.
//!
//! Members that are not listed are kept in the document and not indexed (`dynamic: false`). So free `edata` can neither
//! blow up the mapping, nor make two events contradict each other about a type that the first of them has set.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::options::{Options, Storage};

/// The longest text that is indexed, in characters: at four bytes each it stays below what Lucene takes (32,766).
const KEYWORD_CHARS_MAX: u32 = 1024;

/// Above the templates that engines bring along (100), below those of operators who mean it.
const PRIORITY: u32 = 200;

/// The most fields of a mapping: several times what stands here, and an end for templates that are built on it.
const FIELDS_MAX: u32 = 500;

/// Which members of `edata` can be searched: the scalar ones of the specification's 17 kinds that people ask for.
const EDATA_KEYWORDS: [&str; 16] = [
    "type",
    "subtype",
    "pageid",
    "id",
    "mode",
    "uri",
    "err",
    "errtype",
    "state",
    "prevstate",
    "pass",
    "level",
    "dir",
    "commentid",
    "query",
    "message",
];

/// Those that are numbers. A text in their place is kept and not indexed.
const EDATA_NUMBERS: [&str; 9] = [
    "duration",
    "timespent",
    "score",
    "rating",
    "index",
    "size",
    "progress",
    "pageviews",
    "interactions",
];

impl Options {
    /// Returns the name of the template, and of the data stream.
    pub(super) fn stem(&self) -> String {
        format!("{}telemetry", self.prefix)
    }

    /// Returns the template, marked as ours.
    pub(super) fn template(&self) -> Value {
        let stem = self.stem();
        let pattern = match self.storage {
            Storage::Daily => format!("{stem}-*"),
            Storage::DataStream => stem,
        };
        let mut template = json!({
            "index_patterns": [pattern],
            "priority": PRIORITY,
            "template": {
                "settings": {
                    "index.number_of_shards": self.shards,
                    "index.number_of_replicas": self.replicas,
                    "index.mapping.total_fields.limit": FIELDS_MAX,
                },
                "mappings": mappings(),
            },
        });
        if self.storage == Storage::DataStream {
            template["data_stream"] = json!({});
        }
        let digest = Sha256::digest(template.to_string());
        let hash: u128 = digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u128::from(*byte));
        template["_meta"] = json!({"managed_by": "tidings", "hash": format!("{hash:016x}")});
        template
    }
}

/// What is to be done about a template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// It is as it should be.
    Keep,
    /// It is missing, or an older one of ours.
    Write,
    /// It is somebody else's.
    Leave,
}

/// Returns what is to be done, from what the engine says about the template of that name; `None` if there is none.
pub(super) fn step(ours: &Value, found: Option<&Value>) -> Step {
    let Some(found) = found else { return Step::Write };
    let meta = &found["index_templates"][0]["index_template"]["_meta"];
    if meta["managed_by"] != "tidings" {
        return Step::Leave;
    }
    if meta["hash"] == ours["_meta"]["hash"] { Step::Keep } else { Step::Write }
}

fn mappings() -> Value {
    let keyword = || json!({"type": "keyword", "ignore_above": KEYWORD_CHARS_MAX});
    let keywords = |names: &[&str]| -> Value {
        let fields = names.iter().map(|name| ((*name).to_owned(), keyword()));
        json!({"dynamic": false, "properties": Value::Object(fields.collect())})
    };
    let time = || json!({"type": "date", "format": "epoch_millis", "ignore_malformed": true});
    let mut edata = keywords(&EDATA_KEYWORDS);
    for name in EDATA_NUMBERS {
        edata["properties"][name] = json!({"type": "double", "ignore_malformed": true});
    }
    let mut context = keywords(&["channel", "env", "sid", "did"]);
    context["properties"]["pdata"] = keywords(&["id", "pid", "ver", "platform"]);
    context["properties"]["cdata"] = keywords(&["type", "id"]);
    context["properties"]["rollup"] = keywords(&["l1", "l2", "l3", "l4"]);
    let mut object = keywords(&["id", "type", "ver"]);
    object["properties"]["rollup"] = keywords(&["l1", "l2", "l3", "l4"]);
    let flag = || json!({"type": "boolean"});
    json!({
        "dynamic": false,
        "properties": {
            "@timestamp": {"type": "date"},
            "eid": keyword(),
            "ets": time(),
            "syncts": time(),
            "ver": keyword(),
            "mid": keyword(),
            "tags": keyword(),
            "actor": keywords(&["id", "type"]),
            "context": context,
            "object": object,
            "edata": edata,
            "flags": {
                "dynamic": false,
                "properties": {
                    "late": flag(), "future": flag(), "collision": flag(), "redacted": flag(),
                    "coerced": keyword(),
                },
            },
            "metadata": keywords(&[
                "id", "source", "channel", "profile", "message_id", "sender", "importer",
            ]),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        Options::new("os", reqwest::Url::parse("http://127.0.0.1:9200").unwrap())
    }

    #[test]
    fn every_object_of_the_mapping_is_closed_to_new_fields() {
        fn check(path: &str, object: &Value) {
            assert_eq!(object["dynamic"], false, "{path}");
            for (name, field) in object["properties"].as_object().unwrap() {
                let path = format!("{path}.{name}");
                match field["type"].as_str() {
                    Some("keyword") => assert_eq!(field["ignore_above"], 1024, "{path}"),
                    Some("double") => assert_eq!(field["ignore_malformed"], true, "{path}"),
                    Some(_) => {}
                    None => check(&path, field),
                }
            }
        }
        check("$", &options().template()["template"]["mappings"]);
    }

    #[test]
    fn only_an_older_template_of_ours_is_written_anew() {
        let ours = options().template();
        let found = |template: &Value| json!({"index_templates": [{"index_template": template}]});
        let other = Options { shards: 3, ..options() }.template();
        let table = [
            (None, Step::Write),
            (Some(found(&ours)), Step::Keep),
            (Some(found(&other)), Step::Write),
            (Some(found(&json!({"index_patterns": ["telemetry-*"]}))), Step::Leave),
        ];
        for (found, wanted) in table {
            assert_eq!(step(&ours, found.as_ref()), wanted, "{found:?}");
        }
    }

    #[test]
    fn template_is_for_days_or_for_the_one_stream() {
        let options = Options { prefix: "p-".to_owned(), ..options() };
        assert_eq!(options.template()["index_patterns"][0], "p-telemetry-*");
        let stream = Options { storage: Storage::DataStream, ..options }.template();
        assert_eq!(stream["index_patterns"][0], "p-telemetry");
        assert_eq!(stream["data_stream"], json!({}));
    }
}
