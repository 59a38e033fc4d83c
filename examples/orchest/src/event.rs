//! Everything that can happen, by the level of the hierarchy at which it does.
//!
//! An event is its layers, and the name says what has happened to the innermost one.
//! [`project`] shows what an event looks like when it is written out; the others are families, in which each event is a
//! line.

pub mod analytics;
pub mod cron_job;
pub mod environment;
pub mod jupyter;
pub mod one_off_job;
pub mod pipeline;
pub mod project;

use tidings::{Catalogue, Event, catalogue, catalogue::CatalogueError};

/// Returns every type: the 58 that can be subscribed to, and the 8 that only analytics see.
///
/// # Errors
///
/// Two types of one name and version, which a test rules out.
pub fn catalogue() -> Result<Catalogue, CatalogueError> {
    catalogue![
        ;
        project::catalogue()?,
        environment::catalogue()?,
        pipeline::catalogue()?,
        one_off_job::catalogue()?,
        cron_job::catalogue()?,
        jupyter::catalogue()?,
        analytics::catalogue()?
    ]
}

/// Returns one event of each type that can be subscribed to, with `word` in whatever a person could have typed.
#[must_use]
pub fn samples(word: &str) -> Vec<Box<dyn Event>> {
    let families = [
        project::samples(word),
        environment::samples(word),
        pipeline::samples(word),
        one_off_job::samples(word),
        cron_job::samples(word),
        jupyter::samples(word),
    ];
    families.into_iter().flatten().collect()
}
