//! Tests of a catalogue: against the one before, and against the database.

use std::{fs, path::Path};

use sqlx::{Connection as _, PgTransaction};

use crate::{
    Catalogue,
    catalogue::{Entry, Snapshot, StoredType, TypeVersion, export::sample},
    name,
    store::testing as rows,
};

/// Asserts that no consumer of the events breaks: that whatever is in the file `baseline` is still declared, and that
/// its schema has not changed in a way that needs a new version.
///
/// [`compare`](crate::catalogue::compare) says what breaks.
/// Types that were added need not be in the file, and are not checked until they are, so write it at each release:
/// with [`update_baseline`], or with `tidings catalogue check --baseline FILE --update` for the types of a database.
///
/// # Panics
///
/// Something breaks: the message says what, of which type and where. Also if the file cannot be read.
///
/// # Examples
///
/// ```
/// use schemars::JsonSchema;
/// use serde::Serialize;
/// use tidings::{Event, catalogue, testing::{assert_compatible, update_baseline}};
///
/// #[derive(Event, Serialize, JsonSchema)]
/// #[event(name = "order:placed", version = 1)]
/// struct OrderPlaced { order: u64 }
///
/// # let folder = std::env::temp_dir().join(format!("tidings-baseline-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let baseline = folder.join("events.json");
/// let catalogue = catalogue![OrderPlaced]?;
/// // Once, and at each release; the file is committed.
/// update_baseline(&catalogue, &baseline);
/// // In a test.
/// assert_compatible(&catalogue, &baseline);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn assert_compatible(catalogue: &Catalogue, baseline: impl AsRef<Path>) {
    let path = baseline.as_ref().display();
    let text = match fs::read_to_string(&baseline) {
        Ok(text) => text,
        Err(error) => panic!("read the baseline {path}, which `update_baseline` writes: {error}"),
    };
    let old = match Snapshot::from_json(&text) {
        Ok(old) => old,
        Err(error) => panic!("read the baseline {path}: {error}"),
    };
    let found = old.compare(&catalogue.snapshot());
    let breaking: Vec<_> = found
        .iter()
        .filter(|difference| difference.breaking)
        .map(|difference| format!("\n  {difference}"))
        .collect();
    assert!(
        breaking.is_empty(),
        "consumers of these events break; give the type a new version, or update the baseline {path} if nobody \
         consumes it yet:{}",
        breaking.concat()
    );
}

/// Writes the catalogue to the file `baseline`, for [`assert_compatible`] to compare with.
///
/// The text is sorted and has a value on each line, so that a review sees what changes.
///
/// # Panics
///
/// The file cannot be written.
#[track_caller]
pub fn update_baseline(catalogue: &Catalogue, baseline: impl AsRef<Path>) {
    if let Err(error) = fs::write(&baseline, catalogue.snapshot().to_json()) {
        panic!("write the baseline {}: {error}", baseline.as_ref().display());
    }
}

/// Asserts that the catalogue and the database agree: each type that is declared can be registered, and each type that
/// the database knows is declared.
///
/// One event of each type is registered in the open transaction, made up from its schema; roll it back.
/// Retired types and Tidings' own are left out.
///
/// # Panics
///
/// They do not agree: the message has a line for each type. Also if the database does not answer.
pub async fn assert_registrable(tx: &mut PgTransaction<'_>, catalogue: &Catalogue) {
    let mut faults = Vec::new();
    let snapshot = catalogue.snapshot();
    for entry in snapshot.iter() {
        if let Err(fault) = register(tx, entry).await {
            faults.push(format!("\n  {}: {fault}", entry.id));
        }
    }
    let stored = match Catalogue::stored(tx).await {
        Ok(stored) => stored,
        Err(error) => panic!("read the types of the database: {error:?}"),
    };
    let is_stray = |known: &&StoredType| {
        known.retired_at.is_none()
            && !name::is_reserved(&known.event_type)
            && snapshot.get(&known.event_type, known.version).is_none()
    };
    faults.extend(stored.iter().filter(is_stray).map(|known| {
        let id = TypeVersion::new(&known.event_type, known.version);
        format!("\n  {id}: known to the database, and not declared")
    }));
    assert!(faults.is_empty(), "the catalogue and the database do not agree:{}", faults.concat());
}

/// Registers one event of the type, and says why that is refused.
async fn register(tx: &mut PgTransaction<'_>, entry: &Entry) -> Result<(), String> {
    let Some(payload) = sample(entry) else {
        return Err("its schema allows no value".to_owned());
    };
    let elements: Vec<_> = entry.scopes.iter().map(|key| format!("{key}=1")).collect();
    // A refusal ends with the savepoint, and not with the transaction.
    let mut savepoint = tx.begin().await.map_err(|error| error.to_string())?;
    let done = rows::register(&mut savepoint, &entry.id, &payload, &elements.join("/")).await;
    match done {
        Ok(()) => savepoint.commit().await.map_err(|error| error.to_string()),
        Err(error) => {
            savepoint.rollback().await.map_err(|error| error.to_string())?;
            Err(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, panic, process};

    use serde_json::json;

    use super::*;
    use crate::{catalogue::EventType, event::Audience, name::Name};

    fn placed(version: i16, order: &str) -> EventType {
        EventType {
            name: Name::from_static("order:placed"),
            version,
            audience: [Audience::Notification].into(),
            level: crate::Level::Basic,
            call: crate::analytics::wire::Call::Track,
            scopes: Vec::new(),
            layers: Vec::new(),
            schema: json!({
                "type": "object",
                "properties": {"order": {"type": order}},
                "required": ["order"],
            }),
            telemetry: false,
            documentation: String::new(),
            ordering_key: None,
            rust_type: "shop::Placed",
        }
    }

    fn catalogue(types: impl IntoIterator<Item = EventType>) -> Catalogue {
        Catalogue::collect(types, []).unwrap()
    }

    fn failure(check: impl FnOnce() + panic::UnwindSafe) -> String {
        *panic::catch_unwind(check).unwrap_err().downcast::<String>().unwrap()
    }

    #[test]
    fn schema_that_breaks_fails_the_test_unless_it_has_a_version_of_its_own() {
        let folder = env::temp_dir().join(format!("tidings-testing-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("events.json");
        update_baseline(&catalogue([placed(1, "integer")]), &path);
        assert_compatible(&catalogue([placed(1, "integer"), placed(2, "string")]), &path);
        let said = failure(|| assert_compatible(&catalogue([placed(1, "string")]), &path));
        let expected =
            "\n  `order:placed` version 1, `$.order`: type changed from integer to string";
        assert!(said.ends_with(expected), "{said}");
        fs::remove_dir_all(&folder).unwrap();
        let said = failure(|| assert_compatible(&catalogue([]), &path));
        assert!(said.contains("which `update_baseline` writes"), "{said}");
    }
}
