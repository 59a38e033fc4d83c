//! Ready-made look-ups: Sunbird's members, and the types of questions.

use super::settings::{Columns, Entry, Preset};
use crate::condition::{Plain, When};

/// Sunbird's `devicedata`, and the columns of its device profiles.
const DEVICE: [(&str, &str); 12] = [
    ("countrycode", "country_code"),
    ("country", "country"),
    ("statecode", "state_code"),
    ("state", "state"),
    ("city", "city"),
    ("statecustomcode", "state_code_custom"),
    ("statecustomname", "state_custom"),
    ("districtcustom", "district_custom"),
    ("devicespec", "device_spec"),
    ("firstaccess", "first_access"),
    ("userdeclared.state", "user_declared_state"),
    ("userdeclared.district", "user_declared_district"),
];

/// Sunbird's `userdata`.
const USER: [&str; 8] = [
    "usertype",
    "grade",
    "language",
    "subject",
    "state",
    "district",
    "usersignintype",
    "userlogintype",
];

/// Sunbird's `contentdata`.
const CONTENT: [&str; 17] = [
    "name",
    "objecttype",
    "contenttype",
    "mediatype",
    "language",
    "medium",
    "mimetype",
    "framework",
    "board",
    "status",
    "version",
    "pkgversion",
    "channel",
    "keywords",
    "lastsubmittedon",
    "lastupdatedon",
    "lastpublishedon",
];

impl Preset {
    /// Fills in what the settings have left out.
    pub(super) fn fill(self, entry: &mut Entry) {
        match self {
            Self::Device => {
                put(&mut entry.key_column, "device_id");
                fill(entry, "device", "$.context.did", Some("devicedata"));
                columns(entry, DEVICE);
            }
            Self::User => {
                put(&mut entry.key_column, "id");
                fill(entry, "user", "$.actor.id", Some("userdata"));
                columns(entry, USER.map(|name| (name, name)));
                if entry.defaults.is_empty() {
                    let defaults = [("usersignintype", "Anonymous"), ("userlogintype", "NA")];
                    entry.defaults =
                        defaults.map(|(name, word)| (name.to_owned(), word.to_owned())).into();
                }
                if entry.except.is_empty() {
                    entry.except = vec!["anonymous".to_owned()];
                }
                if entry.when == When::default() {
                    let words = ["User", "user", "USER"].map(|word| Plain::Text(word.to_owned()));
                    entry.when.equals.insert("$.actor.type".to_owned(), words.into());
                }
            }
            Self::Content => {
                put(&mut entry.key_column, "identifier");
                fill(entry, "content", "$.object.id", Some("contentdata"));
                columns(entry, CONTENT.map(|name| (name, name)));
            }
            Self::Question => {
                put(&mut entry.key_column, "identifier");
                fill(entry, "question", "$.edata.item.id", None);
                if entry.key.len() == 1 {
                    entry.key.push("$.edata.target.id".to_owned());
                }
                columns(entry, [("questiontype", "questiontype")]);
                if entry.when == When::default() {
                    entry.when.eid = vec!["ASSESS".to_owned(), "RESPONSE".to_owned()];
                }
            }
        }
    }
}

fn fill(entry: &mut Entry, name: &str, key: &str, into: Option<&str>) {
    put(&mut entry.name, name);
    if entry.key.is_empty() {
        entry.key = vec![key.to_owned()];
    }
    if entry.into.is_none() {
        entry.into = into.map(str::to_owned);
    }
}

fn put(text: &mut String, default: &str) {
    if text.is_empty() {
        default.clone_into(text);
    }
}

fn columns<const N: usize>(entry: &mut Entry, names: [(&str, &str); N]) {
    if entry.columns.is_empty() {
        let named = names.map(|(member, column)| (member.to_owned(), column.to_owned()));
        entry.columns = Columns::Named(named.into());
    }
}
