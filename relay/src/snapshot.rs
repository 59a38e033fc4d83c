//! What a relay knows of the database, as it was when it was read last: event types, channels and keys.

use std::{collections::HashMap, sync::Arc};

use tidings_analytics::{Level, wire::Call};

use crate::{
    channel::ANONYMOUS,
    key,
    schema::Schema,
    store::{ChannelRow, TypeRow},
    telemetry,
};

/// One version of an event type.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) name: Arc<str>,
    pub(crate) version: i16,
    /// Whether clients may send it.
    pub(crate) for_clients: bool,
    /// The lowest level at which it is collected.
    pub(crate) level: Level,
    pub(crate) call: Call,
    /// `None` where it cannot be used.
    pub(crate) schema: Option<Arc<Schema>>,
    /// The schema as it is stored, to know whether it has changed.
    text: String,
}

/// A channel, as far as the door needs it.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) id: i32,
    pub(crate) name: String,
    pub(crate) profile: String,
    pub(crate) events_per_minute: Option<u32>,
}

/// Types, channels and keys.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    /// By name; the versions ascend.
    types: HashMap<Arc<str>, Vec<Type>>,
    keys: HashMap<[u8; 32], Arc<Channel>>,
    anonymous: Option<Arc<Channel>>,
}

impl Snapshot {
    /// Takes the rows, and from `before` the schemas that have not changed, which are then not compiled again.
    pub(crate) fn new(types: Vec<TypeRow>, channels: Vec<ChannelRow>, before: &Self) -> Self {
        let mut snapshot = Self::default();
        for row in types {
            let known = before.types.get(&*row.event_type).into_iter().flatten();
            let known = known
                .into_iter()
                .find(|known| known.version == row.version && known.text == row.schema);
            let schema = match known {
                Some(known) => known.schema.clone(),
                None => compile(&row),
            };
            let name: Arc<str> = row.event_type.into();
            snapshot.types.entry(Arc::clone(&name)).or_default().push(Type {
                name,
                version: row.version,
                for_clients: row.audience.iter().any(|audience| audience == "client"),
                // A word of a later version is taken for the highest level: rather too little leaves than too much.
                level: row.level.parse().unwrap_or(Level::Full),
                call: row.call.parse().unwrap_or_default(),
                schema,
                text: row.schema,
            });
        }
        for versions in snapshot.types.values_mut() {
            versions.sort_by_key(|known| known.version);
        }
        for row in channels {
            let channel = Arc::new(Channel {
                id: row.channel_id,
                name: row.name,
                profile: row.profile,
                events_per_minute: row.events_per_minute.and_then(|quota| quota.try_into().ok()),
            });
            let keys = row.keys.into_iter().filter_map(|sha256| sha256.try_into().ok());
            snapshot.keys.extend(keys.map(|sha256| (sha256, Arc::clone(&channel))));
            if channel.name == ANONYMOUS {
                snapshot.anonymous = Some(channel);
            }
        }
        snapshot
    }

    /// Returns a type by its name: this version of it, or else the latest that clients may send.
    pub(crate) fn named(&self, name: &str, version: Option<i16>) -> Option<&Type> {
        let versions = self.types.get(name)?;
        match version {
            Some(version) => versions.iter().find(|known| known.version == version),
            None => versions.iter().rev().find(|known| known.for_clients).or(versions.last()),
        }
    }

    /// Returns the one type for clients that is this call, by the latest version; `None` where there are none or
    /// several.
    pub(crate) fn only(&self, call: Call) -> Option<&Type> {
        let latest = self.types.values().filter_map(|versions| {
            versions.iter().rev().find(|known| known.for_clients && known.call == call)
        });
        let mut latest = latest;
        let first = latest.next();
        if latest.next().is_some() { None } else { first }
    }

    /// Returns the channel of a key.
    pub(crate) fn channel(&self, key: &str) -> Option<Arc<Channel>> {
        self.keys.get(&key::hash(key)).cloned()
    }

    /// Returns the channel of what comes without a key.
    pub(crate) fn anonymous(&self) -> Option<Arc<Channel>> {
        self.anonymous.clone()
    }

    /// Returns how many types and keys there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.types.values().map(Vec::len).sum(), self.keys.len())
    }
}

fn compile(row: &TypeRow) -> Option<Arc<Schema>> {
    // Nobody asks for the others.
    if !row.audience.iter().any(|audience| audience == "client") {
        return None;
    }
    let parsed = serde_json::from_str(&row.schema).map_err(|error| error.to_string());
    match parsed.and_then(Schema::compile) {
        Ok(schema) => Some(Arc::new(schema)),
        Err(error) => {
            telemetry::unusable_schema(&row.event_type, row.version, &error);
            None
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A type as the database has it.
    pub(crate) fn row(name: &str, version: i16, audience: &str, schema: &Value) -> TypeRow {
        TypeRow {
            event_type: name.to_owned(),
            version,
            audience: vec![audience.to_owned()],
            level: "basic".to_owned(),
            call: "track".to_owned(),
            schema: schema.to_string(),
        }
    }

    #[test]
    fn latest_version_for_clients_is_taken_where_none_is_named() {
        let rows = [(1, "client"), (3, "notification"), (2, "client")]
            .map(|(version, audience)| row("view:loaded", version, audience, &json!({})));
        let snapshot = Snapshot::new(rows.into(), Vec::new(), &Snapshot::default());
        let version = |version| snapshot.named("view:loaded", version).map(|known| known.version);
        assert_eq!((version(None), version(Some(1)), version(Some(4))), (Some(2), Some(1), None));
        assert!(snapshot.named("view:shown", None).is_none());
    }

    #[test]
    fn call_is_answered_by_the_one_type_that_is_it() {
        let mut rows = vec![row("user:identified", 1, "client", &json!({}))];
        rows[0].call = "identify".to_owned();
        let one = Snapshot::new(rows, Vec::new(), &Snapshot::default());
        assert_eq!(one.only(Call::Identify).map(|known| &*known.name), Some("user:identified"));
        assert!(one.only(Call::Group).is_none());
        let rows = ["user:identified", "device:identified"].map(|name| TypeRow {
            call: "identify".to_owned(),
            ..row(name, 1, "client", &json!({}))
        });
        let two = Snapshot::new(rows.into(), Vec::new(), &Snapshot::default());
        assert!(two.only(Call::Identify).is_none());
    }

    #[test]
    fn schema_is_compiled_once_until_it_changes() {
        let rows = |schema: &Value| vec![row("view:loaded", 1, "client", schema)];
        let schema = |snapshot: &Snapshot| {
            Arc::clone(snapshot.named("view:loaded", None).unwrap().schema.as_ref().unwrap())
        };
        let first = Snapshot::new(rows(&json!({})), Vec::new(), &Snapshot::default());
        let same = Snapshot::new(rows(&json!({})), Vec::new(), &first);
        let other = Snapshot::new(rows(&json!({"type": "object"})), Vec::new(), &first);
        assert!(Arc::ptr_eq(&schema(&first), &schema(&same)));
        assert!(!Arc::ptr_eq(&schema(&first), &schema(&other)));
    }
}
