//! The steps with what they look up.

use std::{sync::Arc, time::Instant};

use tokio_util::sync::CancellationToken;

use crate::{
    Record, Result, bundle, check,
    gate::{Gate, Rules},
    hop,
    lookup::{Keys, Loader, Snapshot},
    provenance::Provenance,
    steps::Steps,
    value::Value,
};

/// The steps with what they look up.
#[derive(Debug)]
pub(crate) struct Gear {
    pub(super) steps: Arc<Steps>,
    /// The rows of the batch at hand.
    pub(super) snapshot: Snapshot,
    /// What may be kept.
    pub(super) rules: Arc<Rules>,
    loading: Option<Loading>,
}

#[derive(Debug)]
struct Loading {
    loader: Option<Loader>,
    gate: Gate,
    shutdown: CancellationToken,
}

impl Gear {
    /// Returns the steps; without a database nothing is looked up, and everything is permitted.
    pub(crate) fn new(steps: Arc<Steps>, database: Option<(Gate, CancellationToken)>) -> Self {
        let lookups = steps.lookups();
        let loader = || (!lookups.is_empty()).then(|| Loader::new(Arc::clone(lookups)));
        let loading = database.map(|(gate, shutdown)| Loading { loader: loader(), gate, shutdown });
        Self { steps, snapshot: Snapshot::default(), rules: Arc::default(), loading }
    }

    /// Returns it with these rules.
    #[cfg(test)]
    pub(crate) fn by(mut self, rules: Rules) -> Self {
        self.rules = Arc::new(rules);
        self
    }

    /// Fetches the rows for the events of these records; returns whether to go on, which is not so if the shutdown has
    /// come while rows were waited for: nothing may be taken for missing then.
    pub(super) async fn load(&mut self, records: &[Record]) -> Result<bool> {
        let Some(loading) = &mut self.loading else { return Ok(true) };
        self.rules = loading.gate.refresh().await?;
        let Loading { loader: Some(loader), gate, shutdown } = loading else { return Ok(true) };
        let mut keys = Vec::new();
        for record in records {
            let Some(provenance) = Provenance::of_events(record) else { continue };
            for (_, text) in bundle::read(record).unwrap_or_default() {
                // What panics here panics again where it is told.
                let found = hop::caught(|| gather(&self.steps, text.get(), &provenance));
                keys.extend(found.into_iter().flatten());
            }
        }
        let Some(snapshot) = loader.load(gate.pool(), &keys, Instant::now(), shutdown).await?
        else {
            return Ok(false);
        };
        self.snapshot = snapshot;
        Ok(true)
    }
}

/// Returns the keys of an event, as it will be when it is looked up.
fn gather<'a>(steps: &Steps, text: &'a str, provenance: &Provenance) -> Vec<Keys<'a>> {
    let mut keys = Vec::new();
    if let Ok(mut event) = Value::parse(text.as_bytes())
        && check::check(&mut event, provenance).is_ok()
    {
        steps.gather(&event, &provenance.channel, &mut keys);
    }
    keys
}
