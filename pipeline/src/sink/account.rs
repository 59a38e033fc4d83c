//! What a sink has done with what it has taken, in numbers that belong to one commit.

use std::{collections::BTreeMap, fmt, sync::Arc};

use chrono::NaiveDate;

use crate::record::Output;

/// What became of the events of a day: taken = stored + already there + rejected + filtered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// They are in the sink now.
    pub stored: u64,
    /// They were in the sink before.
    pub already_there: u64,
    /// The sink could not take them; they are in `telemetry.failed`.
    pub rejected: u64,
    /// They were not to leave.
    pub filtered: u64,
}

/// What one commit of a sink has to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Account<'a> {
    /// The name of the sink.
    pub sink: &'a str,
    /// The partition.
    pub partition: i32,
    /// By the day, in UTC, on which the relay took the events.
    pub days: &'a BTreeMap<NaiveDate, Counts>,
}

/// Makes records of an account, which are written in the transaction that moves the sink's position.
#[derive(Clone)]
pub struct Ledger(Arc<Write>);

type Write = dyn Fn(&Account<'_>) -> Vec<Output> + Send + Sync;

impl Ledger {
    /// Returns a ledger that `write` keeps.
    pub fn new(write: impl Fn(&Account<'_>) -> Vec<Output> + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Returns the records of an account.
    #[must_use]
    pub fn write(&self, account: &Account<'_>) -> Vec<Output> {
        (self.0)(account)
    }
}

impl Default for Ledger {
    /// Writes nothing down.
    fn default() -> Self {
        Self::new(|_| Vec::new())
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ledger")
    }
}
