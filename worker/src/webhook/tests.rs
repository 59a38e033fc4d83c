use std::{net::IpAddr, sync::Mutex};

use serde_json::json;
use tidings::{
    address::AllowList,
    deliverer::{Answer, BoxFuture},
    delivery::{Delivery, RegisteredEvent},
    secret::Secret,
};

use self::receiver::{Receiver, Script};
use super::*;

mod arrival;
mod authority;
mod hostile;
mod keys;
mod receiver;
mod refusal;
mod tls;

/// The time of every attempt: long enough for any machine to answer on loopback, where it should.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The time of an attempt that is meant to run out.
const SHORT: Duration = Duration::from_millis(150);

/// A resolver with one name, `receiver.test`, and what it counts of being asked.
#[derive(Debug)]
struct Names {
    addresses: Vec<IpAddr>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn of(addresses: &[&str]) -> Arc<Self> {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Arc::new(Self { addresses, asked: Mutex::default() })
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, LookupError>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let found = match name {
            "receiver.test" => Ok(self.addresses.clone()),
            _ => Err(LookupError::Failed { name: name.to_owned(), reason: "unknown".to_owned() }),
        };
        Box::pin(std::future::ready(found))
    }
}

fn settings() -> Settings {
    let policy = Policy { https_only: false, allow: AllowList::loopback() };
    Settings { policy, timeout: TIMEOUT, connect_timeout: TIMEOUT, ..Settings::default() }
}

fn builder(settings: Settings) -> Builder {
    Webhook::builder()
        .settings(settings)
        .resolver(Names::of(&["127.0.0.1"]))
        .clock(Arc::new(|| DateTime::from_timestamp(1_700_000_000, 0).unwrap()))
}

fn webhook(settings: Settings) -> Webhook {
    builder(settings).build().unwrap()
}

fn secret() -> Secret {
    Secret::from_bytes(&[7; 32]).unwrap()
}

fn subscriber(config: Value) -> Subscriber {
    Subscriber {
        subscriber_id: 1,
        tenant: String::new(),
        name: "shop".to_owned(),
        kind: KIND.to_owned(),
        config,
        secrets: vec![secret().into()],
        credentials: None,
    }
}

fn calling(url: &str) -> Subscriber {
    subscriber(json!({ "url": url }))
}

fn delivery(payload: &str) -> Delivery {
    let event = RegisteredEvent {
        event_id: Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001),
        event_type: "order:placed".to_owned(),
        version: 1,
        tenant: String::new(),
        scope: String::new(),
        ordering_key: None,
        occurred_at: DateTime::from_timestamp(1_600_000_000, 0).unwrap(),
        payload: payload.to_owned(),
        headers: None,
    };
    Delivery {
        delivery_id: 1,
        subscriber_id: 1,
        subscription_id: None,
        attempt: 1,
        first_due_at: event.occurred_at,
        call: None,
        event,
    }
}

/// Delivers one event to `subscriber` and returns the answer.
async fn deliver(webhook: &Webhook, subscriber: &Subscriber) -> Answer {
    let destination = webhook.open(subscriber).unwrap();
    let mut answers = destination.deliver(&[delivery("{}")]).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

/// Delivers one event to a receiver that follows `script`, within [`TIMEOUT`].
async fn answer_to(script: Script) -> Answer {
    let receiver = Receiver::start([script]).await;
    deliver(&webhook(settings()), &calling(&format!("http://{}/hook", receiver.address))).await
}

fn error(answer: &Answer) -> &str {
    answer.error.as_deref().unwrap_or_default()
}
