//! Fetching the rows of a batch.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{AssertSqlSafe, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    KeyType, Keys, Lookup, Lookups, Miss, Row, Snapshot,
    cache::{Cache, Known},
};
use crate::{
    Error, Result,
    value::{Object, Value},
};

/// How long it takes until rows that are waited for are asked for again.
const PAUSE: Duration = Duration::from_millis(250);

/// Fetches the rows of batches, and remembers them for a while.
#[derive(Debug)]
pub struct Loader {
    lookups: Arc<Lookups>,
    caches: Vec<Cache>,
}

impl Loader {
    /// Returns a loader that remembers nothing yet.
    #[must_use]
    pub fn new(lookups: Arc<Lookups>) -> Self {
        let cache = |lookup: &Lookup| Cache::new(lookup.cache_entries, lookup.cache);
        let caches = lookups.0.iter().map(cache).collect();
        Self { lookups, caches }
    }

    /// Asks each table once, so that a wrong name is found at the start and not by the first event.
    ///
    /// # Errors
    ///
    /// A table or column that is not there or may not be read, or a database that does not answer.
    pub async fn check(&self, pool: &PgPool) -> Result<()> {
        for (index, lookup) in self.lookups.0.iter().enumerate() {
            fetch(lookup, pool, &[]).await.map_err(|error| match error {
                Error::Unanswered { source: sqlx::Error::Database(source), .. } => {
                    let place = format!("enrich.lookup[{}]", index + 1);
                    let message = format!(
                        "the database says: {}; check table, key_column, key_type, columns and rights",
                        source.message()
                    );
                    Error::setting(place, message)
                }
                other => other,
            })?;
        }
        Ok(())
    }

    /// Fetches what is not remembered of the keys of a batch, by one query a look-up, and waits for rows where it is
    /// set so; `None` if `stop` was cancelled meanwhile.
    ///
    /// `now` is a time that does not go back; it decides what is still fresh.
    ///
    /// # Errors
    ///
    /// The database does not answer; nothing is remembered of it.
    pub async fn load(
        &mut self,
        pool: &PgPool,
        keys: &[Keys<'_>],
        now: Instant,
        stop: &CancellationToken,
    ) -> Result<Option<Snapshot>> {
        let mut snapshot = Snapshot::default();
        for (index, lookup) in self.lookups.0.iter().enumerate() {
            let cache = &mut self.caches[index];
            let mut known = HashMap::new();
            let mut unknown = HashSet::new();
            for key in keys.iter().filter_map(|keys| keys.get(index)) {
                if known.contains_key(key) || unknown.contains(key) {
                    continue;
                }
                match cache.get(key, now) {
                    Some(Known(row)) => drop(known.insert(key.to_owned(), row)),
                    None => drop(unknown.insert(key.to_owned())),
                }
            }
            let unknown = unknown.into_iter().collect();
            let Some(found) = wait(lookup, pool, unknown, stop).await? else { return Ok(None) };
            for (key, row) in found {
                cache.set(key.clone(), row.clone(), now);
                known.insert(key, row);
            }
            snapshot.0.push(known);
        }
        Ok(Some(snapshot))
    }
}

/// Returns each key with its row, if it has one; `None` if it was stopped while it waited.
async fn wait(
    lookup: &Lookup,
    pool: &PgPool,
    mut missing: Vec<String>,
    stop: &CancellationToken,
) -> Result<Option<HashMap<String, Option<Row>>>> {
    let mut rows = HashMap::with_capacity(missing.len());
    let mut left = if lookup.miss == Miss::Wait { lookup.wait } else { Duration::ZERO };
    while !missing.is_empty() {
        for (key, row) in fetch(lookup, pool, &missing).await? {
            rows.insert(key, Some(row));
        }
        missing.retain(|key| !rows.contains_key(key));
        if missing.is_empty() || left.is_zero() {
            break;
        }
        let pause = left.min(PAUSE);
        tokio::select! {
            () = stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(pause) => left -= pause,
        }
    }
    rows.extend(missing.into_iter().map(|key| (key, None)));
    Ok(Some(rows))
}

async fn fetch(lookup: &Lookup, pool: &PgPool, keys: &[String]) -> Result<Vec<(String, Row)>> {
    // Every identifier in it was quoted when it was compiled; the keys are bound.
    let query = sqlx::query_as::<_, (String, String)>(AssertSqlSafe(Arc::clone(&lookup.query)));
    let query = match lookup.key_type {
        KeyType::Text => query.bind(keys.to_vec()),
        KeyType::Uuid => {
            query.bind(keys.iter().filter_map(|key| Uuid::try_parse(key).ok()).collect::<Vec<_>>())
        }
        KeyType::Bigint => {
            query.bind(keys.iter().filter_map(|key| key.parse().ok()).collect::<Vec<i64>>())
        }
    };
    let rows =
        query.fetch_all(pool).await.map_err(Error::unanswered("look up what events name"))?;
    Ok(rows.into_iter().map(|(key, json)| (key, Arc::new(row(&json)))).collect())
}

/// Reads a row, and puts `a.b` as `b` into `a`.
fn row(json: &str) -> Object<'static> {
    let Ok(Value::Object(flat)) = Value::parse(json.as_bytes()).map(Value::into_owned) else {
        // The database makes objects only.
        return Object::new();
    };
    let mut row = Object::new();
    for (name, value) in flat.iter() {
        let value = value.clone();
        match name.split_once('.') {
            None => row.set(name.to_owned(), value),
            Some((outer, inner)) => {
                if row.get(outer).and_then(Value::as_object).is_none() {
                    row.set(outer.to_owned(), Object::new());
                }
                if let Some(outer) = row.get_mut(outer).and_then(Value::as_object_mut) {
                    outer.set(inner.to_owned(), value);
                }
            }
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_with_a_dot_go_into_an_object() {
        let row = row(r#"{"state":"Goa","userdeclared.state":"Goa","userdeclared.district":null}"#);
        let text = Value::Object(row).to_bytes();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            r#"{"state":"Goa","userdeclared":{"state":"Goa","district":null}}"#
        );
    }
}
