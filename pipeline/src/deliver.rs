//! Registered events on their way to logs: deliverers, which the worker calls like those of webhooks.
//!
//! | Kind | What gets there | Where |
//! |---|---|---|
//! | `kafka` | the notification or the telemetry view of each event, one record per event | topics of a Kafka cluster, by a template |
//! | `pipeline` | the telemetry view, in batches like those of front ends | `telemetry.raw` of any log |

#[cfg(feature = "kafka")]
pub mod kafka;
pub mod raw;

#[cfg(feature = "kafka")]
pub use self::kafka::Kafka;
pub use self::raw::Raw;
