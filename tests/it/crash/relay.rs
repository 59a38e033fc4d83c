//! The relay under kills and faults: what it answered with 200 is there once, what it did not answer at most once, and
//! nothing twice by (mid, device) or by message id.
//!
//! The relay is the program `tidings relay`; who sends to it repeats what was not answered, or gives it up.

mod cut;
mod killed;
mod ledger;
mod load;
mod outage;
mod toxiproxy;
mod worker;

use serde_json::json;
use tidings_tests::{Database, Process};

use self::ledger::Ledger;
use crate::binary::{PATIENCE, at};

/// A database of its own that knows what a front end may send.
struct Stage {
    database: Database,
}

/// A relay that runs.
struct Relay {
    process: Process,
    url: String,
}

impl Stage {
    async fn on(database: Database) -> Self {
        let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
        let types = json!([{"type": "view:loaded", "version": 1, "audience": ["telemetry", "client"],
            "scopes": [], "level": "basic", "schema": schema, "documentation": ""}]);
        let statement = "select tidings.sync_catalogue_v3($1::text::json, '[]'), tidings.make_group('segment', 4)";
        sqlx::query(statement).bind(types.to_string()).execute(database.pool()).await.unwrap();
        Self { database }
    }

    /// Starts a relay on the database.
    async fn relay(&self) -> Relay {
        Relay::start(&self.database.url()).await
    }

    /// Counts what is there, and says what is wrong with it, given what was sent and answered.
    async fn check(&self, ledger: &Ledger) {
        let found = found(&self.database).await;
        let faults = ledger.faults(&found);
        assert!(
            faults.is_empty(),
            "{} faults, the first: {:#?}",
            faults.len(),
            &faults[..faults.len().min(5)]
        );
    }
}

impl Relay {
    /// Starts a relay on the database of this URL, which may lead through a proxy.
    async fn start(database_url: &str) -> Self {
        let listen = ["relay", "--anonymous", "--listen", "127.0.0.1:0"];
        let process = at(database_url).args(listen).start();
        let line = process.line("listening", PATIENCE).await;
        let url = line.split_whitespace().last().unwrap().trim_end_matches('/').to_owned();
        Self { process, url }
    }

    /// Returns the port on which it listens.
    fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Returns the most memory that the process has had so far, in bytes; nothing where the system does not say.
    fn memory_bytes_max(&self) -> Option<u64> {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.process.pid())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    }
}

/// Returns every event that is stored, by the name that its sender knows it by: the registered ones by the name among
/// their properties, which is their message id as well; those of the raw log by mid and device.
async fn found(database: &Database) -> Vec<String> {
    let names = "
        select payload->>'name' from tidings.event
        union all
        select (e->>'mid') || '@' || (e#>>'{context,did}')
        from tidings.log_record, json_array_elements(convert_from(value, 'UTF8')::json->'events') e";
    sqlx::query_scalar(names).fetch_all(database.pool()).await.unwrap()
}
