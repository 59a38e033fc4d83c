//! Topics of Kafka as subscribers: what is asked for, and a ping.

use anyhow::Result;
use chrono::{DateTime, Utc};
use tidings::subscriber::Subscriber;
use tidings_worker::webhook::Ping;
use uuid::Uuid;

use crate::arguments::{kafka::Brokers, subscriber::Add};

/// The kind that this module is about.
pub(super) const KIND: &str = "kafka";

/// Returns the configuration of the topic that is asked for.
#[cfg(feature = "kafka")]
pub(super) fn config(add: &Add, topic: &str) -> Result<serde_json::Value> {
    use anyhow::Context as _;
    use tidings_pipeline::deliver::kafka::Config;

    let config = Config {
        format: add.format.unwrap_or_default(),
        brokers: add.brokers.clone(),
        timeout_ms: super::add::timeout_ms(add),
        ..Config::new(topic)
    };
    serde_json::to_value(config).context("write the configuration as JSON")
}

/// Checks a configuration as far as that is possible without a broker.
#[cfg(feature = "kafka")]
pub(super) fn check(config: &serde_json::Value) -> Result<()> {
    Ok(Brokers::default().deliverer().check(config)?)
}

/// Sends a test event with this id and time to the topic.
#[cfg(feature = "kafka")]
pub(super) async fn ping(
    brokers: &Brokers,
    topic: &Subscriber,
    (id, now): (Uuid, DateTime<Utc>),
) -> Result<Ping> {
    let ping = brokers.deliverer().ping(topic, id, now).await?;
    Ok(Ping {
        verdict: ping.answer.verdict,
        status: ping.answer.status,
        elapsed: ping.elapsed,
        body: String::new(),
        error: ping.answer.error,
    })
}

#[cfg(not(feature = "kafka"))]
pub(super) fn config(_: &Add, _: &str) -> Result<serde_json::Value> {
    Err(absent())
}

#[cfg(not(feature = "kafka"))]
pub(super) fn check(_: &serde_json::Value) -> Result<()> {
    Err(absent())
}

#[cfg(not(feature = "kafka"))]
pub(super) fn ping(
    _: &Brokers,
    _: &Subscriber,
    _: (Uuid, DateTime<Utc>),
) -> impl Future<Output = Result<Ping>> {
    std::future::ready(Err(absent()))
}

#[cfg(not(feature = "kafka"))]
fn absent() -> anyhow::Error {
    use crate::{exit::Exit, failure::Coded};

    let message = "this program was built without Kafka";
    let hint = "build it with the feature `kafka`, which is on by default";
    Coded::new(Exit::Usage, message).hint(hint).into()
}
