//! Simulated phones with the shop's app, which tell the relay in batches what is done with them.
//!
//! They speak as Sunbird's clients do, and know nothing else of us. What each of them sends follows from its number.

use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::future::try_join_all;
use reqwest::{Client, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{customer, receiver};

/// How many there are.
pub(crate) const PHONES: u32 = 4;

/// Whose telemetry it is, as each event says.
pub(crate) const PRODUCER: &str = "shop.app";

/// How many batches each of them sends.
const BATCHES: u32 = 5;

/// How many events are in a batch.
const EVENTS: u32 = 10;

/// Slow enough for several files, and over before the customers are.
const PAUSE: Duration = Duration::from_millis(2_200);

/// How often a phone tries to get rid of a batch.
const TRIES_MAX: u32 = 10;

/// How long it waits between two tries.
const PATIENCE: Duration = Duration::from_secs(1);

/// The batch that is sent twice, by phone and number.
const REPEATED: (u32, u32) = (1, 2);

/// The event that is broken, by phone, batch and number.
const BROKEN: (u32, u32, u32) = (2, 3, 4);

/// The phones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phones;

impl Phones {
    /// Returns how many different events they are to have told that can be read, when all have been sent.
    pub(crate) const fn told() -> u64 {
        (PHONES * BATCHES * EVENTS - 1) as u64
    }

    /// Has them send everything to the relay at `url`, and waits until the last answer.
    ///
    /// # Errors
    ///
    /// A batch was not taken.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future switches them off.
    pub(crate) async fn tell(self, url: &str) -> Result<()> {
        let (client, began) = (customer::client()?, Instant::now());
        try_join_all((0..PHONES).map(|phone| talk(&client, url, phone, began))).await?;
        Ok(())
    }
}

async fn talk(client: &Client, url: &str, phone: u32, began: Instant) -> Result<()> {
    for number in 0..BATCHES {
        // Each a little after the other.
        tokio::time::sleep_until(began + PAUSE * number + PAUSE / PHONES * phone).await;
        let ets_ms = receiver::now_us() / 1_000;
        let mut events: Vec<_> =
            (0..EVENTS).map(|event| event_of(phone, number, event, ets_ms)).collect();
        post(client, url, &batch(&format!("{phone}-{number}"), &events)).await?;
        if (phone, number) == REPEATED {
            // It has lost the answer, and packs what it has left into a new batch: nothing but the events is the same.
            events.reverse();
            post(client, url, &batch(&format!("{phone}-{number}-again"), &events)).await?;
        }
    }
    Ok(())
}

/// Posts a batch until it is taken; a relay that is busy says so, and knows a batch that comes again.
async fn post(client: &Client, url: &str, batch: &Value) -> Result<()> {
    let (url, text) = (format!("{url}/v1/telemetry"), batch.to_string());
    let mut tries = 1;
    loop {
        let request = client.post(&url).header(CONTENT_TYPE, "application/json");
        let status = request.body(text.clone()).send().await?.status();
        if status.is_success() {
            return Ok(());
        }
        if !status.is_server_error() || tries == TRIES_MAX {
            bail!("a phone's batch of telemetry was answered with {status}");
        }
        tries += 1;
        tokio::time::sleep(PATIENCE).await;
    }
}

fn batch(message_id: &str, events: &[Value]) -> Value {
    json!({
        "id": "api.sunbird.telemetry",
        "ver": "3.0",
        "params": {"msgid": message_id},
        "events": events,
    })
}

/// Returns an event: somebody looks at teas, takes some of them, and looks for others.
fn event_of(phone: u32, batch: u32, event: u32, ets_ms: i64) -> Value {
    let tea = (phone * 11 + batch * 5 + event) % 40 + 1;
    let (eid, edata) = match event {
        7 => ("SEARCH", json!({"query": "green tea", "size": 3, "topn": []})),
        _ if event.is_multiple_of(3) => {
            ("INTERACT", json!({"type": "TOUCH", "id": "take", "pageid": "tea"}))
        }
        _ => {
            let uri = format!("/tea/{tea}");
            ("IMPRESSION", json!({"type": "view", "pageid": "tea", "uri": uri}))
        }
    };
    let mut said = json!({
        "eid": eid,
        "ets": ets_ms + i64::from(event),
        "ver": "3.0",
        "mid": format!("{eid}:{phone}-{batch}-{event}"),
        "actor": {"id": format!("drinker-{phone}"), "type": "User"},
        "context": {
            "channel": "shop",
            "pdata": {"id": PRODUCER, "pid": "phone", "ver": "1.4.0"},
            "env": "shop",
            "did": format!("phone-{phone}"),
        },
        "object": {"id": tea.to_string(), "type": "Tea"},
        "edata": edata,
    });
    if (phone, batch, event) == BROKEN
        && let Some(said) = said.as_object_mut()
    {
        // Nobody can know what has happened.
        said.remove("eid");
    }
    said
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_event_has_an_id_of_its_own_and_one_says_not_what_it_is() {
        let mut ids = HashSet::new();
        let mut broken = 0;
        for number in 0..PHONES * BATCHES * EVENTS {
            let (phone, rest) = (number / (BATCHES * EVENTS), number % (BATCHES * EVENTS));
            let event = event_of(phone, rest / EVENTS, rest % EVENTS, 0);
            assert!(ids.insert(event["mid"].to_string()), "{event}");
            broken += u64::from(event["eid"].is_null());
        }
        assert_eq!((broken, ids.len() as u64 - broken), (1, Phones::told()));
    }
}
