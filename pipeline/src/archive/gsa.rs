//! The `.gsa` of older Android apps: an `SQLite` database with a batch in each row.
//!
//! It is read from memory, by a connection that can do nothing else: it writes nothing, attaches nothing, and runs
//! neither triggers nor views nor functions that the file brings.

use std::fmt;

use bytes::Bytes;
use rusqlite::{
    Connection, OptionalExtension, Row, config::DbConfig, limits::Limit, types::ValueRef,
};

use super::{
    ITEMS_MAX, Item, Limits, Problem, batch,
    batch::Found,
    inflate::{self, Budget},
};

/// What every `SQLite` database begins with.
pub(super) const MAGIC: &[u8] = b"SQLite format 3\0";

/// Where the header says how the file is read and written: 1 with a rollback journal, 2 with a write-ahead log.
const VERSIONS: std::ops::Range<usize> = 18..20;

/// The longest text that is made of the file's schema, in bytes.
const SQL_BYTES_MAX: i32 = 100_000;

/// A database of batches.
pub(super) struct Gsa {
    conn: Connection,
    did: Option<String>,
    /// The last row that was read.
    row: i64,
    left: usize,
}

/// One row without its data.
struct Listed {
    row: i64,
    mid: Option<String>,
    events: Option<u64>,
}

impl Gsa {
    /// Opens the database and counts its batches.
    pub(super) fn open(bytes: &Bytes, limits: &Limits) -> Result<Self, Problem> {
        let conn = connect(bytes, limits).map_err(|_| broken())?;
        if !has_table(&conn, "processed_telemetry").map_err(|_| broken())? {
            let message =
                "the database has no table `processed_telemetry`: it is no archive of telemetry";
            return Err(Problem::new("manifest_missing", message));
        }
        // What describes it may be missing or wrong: the batches count.
        let did = device(&conn).unwrap_or_default();
        // One more than may be, because a file can be made in which counting all would never end.
        let counting = "select count(*) from (select 1 from main.processed_telemetry limit ?1)";
        let many = i64::try_from(ITEMS_MAX).unwrap_or(i64::MAX).saturating_add(1);
        let left: i64 = conn.query_row(counting, [many], |row| row.get(0)).map_err(|_| broken())?;
        let left = usize::try_from(left).unwrap_or_default();
        if left > ITEMS_MAX {
            let message = format!("it has more than {ITEMS_MAX} batches; share it in parts");
            return Err(Problem::new("too_many_items", message));
        }
        Ok(Self { conn, did, row: i64::MIN, left })
    }

    /// Returns how many items are left.
    pub(super) const fn len(&self) -> usize {
        self.left
    }

    /// Reads the next row.
    pub(super) fn next(&mut self, limits: &Limits, budget: &mut Budget) -> Option<Item> {
        self.left = self.left.checked_sub(1)?;
        let Ok(listed) = self.listed() else {
            // Where the next row begins is not known.
            self.left = 0;
            let file = format!("processed_telemetry after row {}", self.row);
            return Some(Item::of(&file, (None, None), Err(broken()), Vec::new()));
        };
        let Some(listed) = listed else {
            self.left = 0;
            return None;
        };
        self.row = listed.row;
        let found = self.find(listed.row, limits, budget);
        let file = format!("processed_telemetry/{}", listed.row);
        Some(Item::of(&file, (listed.mid, listed.events), found, Vec::new()))
    }

    fn listed(&self) -> rusqlite::Result<Option<Listed>> {
        let sql = "select rowid, msg_id, event_count from main.processed_telemetry
            where rowid > ?1 order by rowid limit 1";
        let read = |row: &Row<'_>| {
            Ok(Listed { row: row.get(0)?, mid: text(row, 1)?, events: number(row, 2)? })
        };
        self.conn.query_row(sql, [self.row], read).optional()
    }

    fn find(&self, row: i64, limits: &Limits, budget: &mut Budget) -> Result<Found, Problem> {
        let sql = "select data from main.processed_telemetry where rowid = ?1";
        let read = |row: &Row<'_>| match row.get_ref(0)? {
            ValueRef::Blob(data) => Ok(inflate::gunzip(data, limits, budget)),
            _ => Ok(Err(Problem::new("broken_file", "its `data` is no gzip; share it again"))),
        };
        let plain = self.conn.query_row(sql, [row], read).map_err(|error| {
            match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::TooBig) => {
                    Problem::new("item_too_large", "its `data` is larger than any batch")
                }
                _ => broken(),
            }
        })??;
        batch::look(plain, self.did.as_deref(), limits)
    }
}

impl fmt::Debug for Gsa {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Gsa").field("left", &self.left).finish_non_exhaustive()
    }
}

/// Opens the bytes as a database that nobody can write to.
fn connect(bytes: &Bytes, limits: &Limits) -> rusqlite::Result<Connection> {
    let mut copy = bytes.to_vec();
    // A log beside the file is not there, and without this it would be asked for.
    if let Some(versions) = copy.get_mut(VERSIONS) {
        versions.fill(1);
    }
    let mut conn = Connection::open_in_memory()?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    let length = i32::try_from(limits.batch_bytes_max).unwrap_or(i32::MAX);
    conn.set_limit(Limit::SQLITE_LIMIT_LENGTH, length)?;
    conn.set_limit(Limit::SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX)?;
    conn.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    conn.deserialize_read_exact("main", &*copy, copy.len(), true)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    conn.pragma_update(None, "query_only", true)?;
    Ok(conn)
}

/// Returns whether there is a plain table of this name: a virtual one would run code, and has no page of its own.
fn has_table(conn: &Connection, name: &str) -> rusqlite::Result<bool> {
    let sql =
        "select 1 from main.sqlite_schema where type = 'table' and name = ?1 and rootpage > 0";
    Ok(conn.query_row(sql, [name], |_| Ok(())).optional()?.is_some())
}

/// Returns the device that `meta_data` names: in a column of its one row, or under a key.
fn device(conn: &Connection) -> rusqlite::Result<Option<String>> {
    if !has_table(conn, "meta_data")? {
        return Ok(None);
    }
    let column = conn.prepare("select did from main.meta_data limit 1");
    let mut statement = match column {
        Ok(statement) => statement,
        Err(_) => conn.prepare("select value from main.meta_data where key = 'did' limit 1")?,
    };
    Ok(statement.query_row([], |row| text(row, 0)).optional()?.flatten())
}

/// Returns a text that is not empty.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    let text = row.get_ref(column)?.as_str_or_null().unwrap_or_default();
    Ok(text.filter(|text| !text.is_empty()).map(str::to_owned))
}

/// Returns a number, which may be written as text.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => number.try_into().ok(),
        ValueRef::Text(text) => str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        _ => None,
    })
}

fn broken() -> Problem {
    Problem::new("broken_archive", "the database cannot be read; share it again")
}
