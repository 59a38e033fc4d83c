//! The whole pipeline as processes, under kills and outages: each accepted event is once in the files, and once in the
//! index or among what it has rejected; and everything that came is accounted for.
//!
//! What is expected is computed from the raw log by a reading of its own (`traffic`), what is there is read from the
//! log, the manifests, the index and the ledger (`evidence`), and whatever differs is said.

mod erasure;
mod evidence;
mod killed;
mod outage;
mod poison;
mod postgres;
mod registered;
mod sessions;
mod stage;
mod step;
mod traffic;
