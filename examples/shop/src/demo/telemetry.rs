//! What became of telemetry: what the pipeline's ledger says, against what lies in files and stands in the table.
//!
//! The ledger is believed only as far as the other two bear it out, event by event.

use std::collections::HashSet;

use anyhow::{Context, Result};
use sqlx::PgPool;
use tidings_pipeline::ledger::account::{self, Account};

use super::{
    files::{self, Filed},
    phone::PRODUCER,
    pipeline::{FILES, Pipeline, TABLE},
};

/// What became of telemetry, at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Telemetry {
    /// Batches in the relay's log, of visits, clicks and what the phones tell.
    pub(crate) batches: i64,
    /// What the ledger says, by day.
    pub(crate) accounts: Vec<Account>,
    /// The files that are complete.
    pub(crate) files: Vec<Filed>,
    /// Rows in the table.
    pub(crate) rows: i64,
    /// Those of them that phones have told.
    pub(crate) of_phones: i64,
    /// Compared at the end only.
    pub(crate) difference: Difference,
}

/// What is wrong between the files and the table.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Difference {
    /// Events that files have more than once.
    pub(crate) repeated: usize,
    /// Events in files that are not in the table.
    pub(crate) untabled: usize,
    /// Events in the table that are in no file.
    pub(crate) unfiled: usize,
}

impl Telemetry {
    /// Looks at everything but into the files.
    pub(crate) async fn read(pool: &PgPool, pipeline: &Pipeline) -> Result<Self> {
        // First the batches, so that what is counted later has them all.
        let batches = sqlx::query_scalar(
            "select coalesce(sum(p.next_offset), 0)::bigint
             from tidings.log_partition p join tidings.log_topic t using (topic_id)
             where t.name = 'telemetry.raw'",
        );
        let batches = batches.fetch_one(pool).await.context("count the batches of telemetry")?;
        let days = sqlx::query_scalar("select distinct day from tidings.telemetry_day order by 1");
        let days = days.fetch_all(pool).await.context("read the days of telemetry")?;
        let mut accounts = Vec::new();
        let mut conn = pool.acquire().await.context("connect to the database")?;
        for day in days {
            accounts.push(account::of_day(&mut conn, day).await?);
        }
        drop(conn);
        let rows = sqlx::query_as(
            "select count(*), count(*) filter (where pdata_id = $1) from tidings.telemetry_event",
        );
        let rows = rows.bind(PRODUCER).fetch_one(pool).await;
        let (rows, of_phones) = rows.context("count the events in the table")?;
        let files = files::list(&pipeline.folder)?;
        let difference = Difference::default();
        Ok(Self { batches, accounts, files, rows, of_phones, difference })
    }

    /// Compares the events in the files with those in the table, one by one.
    pub(crate) async fn compare(&mut self, pool: &PgPool, pipeline: &Pipeline) -> Result<()> {
        let tabled = sqlx::query_scalar("select document_id from tidings.telemetry_event");
        let tabled = tabled.fetch_all(pool).await.context("read the events in the table")?;
        let filed = files::document_ids(&pipeline.folder, &self.files)?;
        self.difference = Difference::between(&filed, &tabled);
        Ok(())
    }

    /// Returns the sum over all days.
    pub(crate) fn sum(&self, number: fn(&Account) -> i64) -> i64 {
        self.accounts.iter().map(number).sum()
    }

    /// Returns how many events are in files.
    pub(crate) fn filed(&self) -> u64 {
        self.files.iter().map(|file| file.events).sum()
    }

    /// Returns how many bytes the files have.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Returns whether every day is balanced.
    pub(crate) fn is_balanced(&self) -> bool {
        self.accounts.iter().all(Account::is_balanced)
    }

    /// Returns whether nothing is on its way any more.
    pub(crate) fn is_settled(&self) -> bool {
        let unique = self.sum(|account| account.unique);
        self.batches == self.sum(|account| account.batches)
            && self.sum(|account| account.pending) == 0
            && [FILES, TABLE].iter().all(|sink| self.decided(sink) == unique)
    }

    /// Returns how many events a sink has decided about.
    fn decided(&self, name: &str) -> i64 {
        let sinks = self.accounts.iter().flat_map(|account| &account.sinks);
        let of_name = sinks.filter(|sink| sink.sink == name);
        of_name.map(|of| of.stored + of.already_there + of.rejected + of.filtered).sum()
    }

    /// Returns everything that is wrong, if the phones have told so many different events that can be read.
    pub(crate) fn complaints(&self, told: u64) -> Vec<String> {
        let unique = self.sum(|account| account.unique);
        let between = |one: u64, other: i64| one.abs_diff(u64::try_from(other).unwrap_or_default());
        let counts = [
            (between(0, self.batches - self.sum(|account| account.batches)), "batches not taken"),
            (between(0, self.sum(|account| account.pending)), "events still pending"),
            (between(told, self.of_phones), "events of phones too few or too many in the table"),
            (between(self.filed(), unique), "unique events too few or too many in files"),
            (self.rows.abs_diff(unique), "unique events too few or too many in the table"),
            (self.difference.repeated as u64, "events that are in files more than once"),
            (self.difference.untabled as u64, "events in files that are not in the table"),
            (self.difference.unfiled as u64, "events in the table that are in no file"),
        ];
        let wrong = counts.iter().filter(|(count, _)| *count > 0);
        let mut complaints: Vec<_> =
            wrong.map(|(count, what)| format!("telemetry: {what}: {count}")).collect();
        if !self.is_balanced() {
            complaints.push("telemetry: the numbers of the ledger do not agree".to_owned());
        }
        complaints
    }
}

impl Difference {
    fn between(filed: &[String], tabled: &[String]) -> Self {
        let in_files: HashSet<_> = filed.iter().collect();
        let in_table: HashSet<_> = tabled.iter().collect();
        Self {
            repeated: filed.len() - in_files.len(),
            untabled: in_files.difference(&in_table).count(),
            unfiled: in_table.difference(&in_files).count(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use sqlx::types::chrono::NaiveDate;
    use tidings_pipeline::ledger::account::SinkAccount;

    use super::*;

    /// What became of telemetry where everything went well.
    pub(crate) fn good() -> Telemetry {
        let sink = |name: &str| SinkAccount {
            sink: name.to_owned(),
            stored: 252,
            already_there: 0,
            rejected: 0,
            filtered: 0,
            pending: 0,
        };
        let account = Account {
            day: NaiveDate::default(),
            batches: 27,
            batches_failed: 0,
            bytes_failed: 0,
            received: 263,
            derived: 0,
            unique: 252,
            collisions: 0,
            duplicate: 10,
            failed: 1,
            filtered: 0,
            pending: 0,
            sinks: vec![sink(FILES), sink(TABLE)],
        };
        let filed = |path: &str, events| Filed { path: path.to_owned(), events, bytes: 9_500 };
        Telemetry {
            batches: 27,
            accounts: vec![account],
            files: vec![filed("a", 200), filed("b", 52)],
            rows: 252,
            of_phones: 199,
            difference: Difference::default(),
        }
    }

    #[test]
    fn telemetry_is_settled_when_both_sinks_have_decided_about_every_event() {
        assert!(good().is_settled());
        let mut one_sink = good();
        one_sink.accounts[0].sinks.pop();
        let mut another_batch = good();
        another_batch.batches += 1;
        let mut pending = good();
        pending.accounts[0].pending = 1;
        assert!(![one_sink, another_batch, pending].iter().any(Telemetry::is_settled));
        assert!(!Telemetry { batches: 1, ..Telemetry::default() }.is_settled());
    }

    #[test]
    fn whatever_differs_between_ledger_files_and_table_is_said() {
        assert_eq!(good().complaints(199), [""; 0]);
        let mut bad = good();
        bad.batches += 1;
        bad.rows = 250;
        bad.files.pop();
        bad.accounts[0].duplicate = 9;
        bad.difference = Difference { repeated: 3, untabled: 4, unfiled: 5 };
        assert_eq!(
            bad.complaints(198),
            [
                "telemetry: batches not taken: 1",
                "telemetry: events of phones too few or too many in the table: 1",
                "telemetry: unique events too few or too many in files: 52",
                "telemetry: unique events too few or too many in the table: 2",
                "telemetry: events that are in files more than once: 3",
                "telemetry: events in files that are not in the table: 4",
                "telemetry: events in the table that are in no file: 5",
                "telemetry: the numbers of the ledger do not agree",
            ]
        );
    }

    #[test]
    fn events_in_files_and_in_the_table_are_compared_one_by_one() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let (filed, tabled) = (ids(&["a", "b", "b", "c"]), ids(&["b", "c", "d", "e"]));
        let expected = Difference { repeated: 1, untabled: 1, unfiled: 2 };
        assert_eq!(Difference::between(&filed, &tabled), expected);
    }
}
