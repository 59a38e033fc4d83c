//! Clients that send without end, keep what was answered with 200, and repeat what was not.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Client;
use serde_json::{Value, json};
use tidings_tests::signal::watched;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::ledger::{Ledger, Sent};

/// How long a client waits for an answer: longer than a relay waits for a commit.
const PATIENCE: Duration = Duration::from_secs(15);

/// How soon a client comes again: sooner than it is asked to, so that there is a load.
const AGAIN: Duration = Duration::from_millis(20);

/// One in so many requests that were not answered is not sent again.
const GIVEN_UP: u32 = 5;

/// How many events a batch has.
const BATCH: usize = 4;

/// What clients have seen so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Answers with 200.
    pub(super) taken: u64,
    /// Those of them that knew the request, or an event of it, from before.
    pub(super) repeated: u64,
    /// Answers with 503, each with a time to come back.
    pub(super) unavailable: u64,
    /// Answers that did not come, or not whole.
    pub(super) broken: u64,
}

/// Clients at work.
pub(super) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    url: watch::Sender<String>,
    tally: watch::Sender<Tally>,
    ledger: Mutex<Ledger>,
    stop: CancellationToken,
}

/// A request, the same whenever it is sent.
struct Call {
    path: &'static str,
    body: String,
    names: Vec<String>,
}

/// What became of a try.
enum Answer {
    Taken { repeated: bool },
    Unavailable,
    Broken,
}

impl Load {
    /// Starts so many clients before a relay at this URL.
    pub(super) fn start(url: &str, clients: usize) -> Self {
        Self::with_patience(url, clients, PATIENCE)
    }

    /// Starts clients that wait so long for an answer.
    pub(super) fn with_patience(url: &str, clients: usize, patience: Duration) -> Self {
        // Whoever comes second finds it installed; nothing here is encrypted.
        drop(rustls::crypto::ring::default_provider().install_default());
        let shared = Arc::new(Shared {
            url: watch::Sender::new(url.to_owned()),
            tally: watch::Sender::default(),
            ledger: Mutex::default(),
            stop: CancellationToken::new(),
        });
        let clients =
            (0..clients).map(|n| tokio::spawn(send(n, Arc::clone(&shared), patience))).collect();
        Self { shared, clients }
    }

    /// Sends the clients to another relay.
    pub(super) fn redirect(&self, url: &str) {
        self.shared.url.send_replace(url.to_owned());
    }

    /// Returns what the clients have seen so far.
    pub(super) fn tally(&self) -> Tally {
        *self.shared.tally.borrow()
    }

    /// Waits until the clients have seen something.
    pub(super) async fn until(
        &self,
        within: Duration,
        what: &str,
        seen: impl Fn(&Tally) -> bool + Send,
    ) -> Tally {
        watched(self.shared.tally.subscribe(), within, what, seen).await
    }

    /// Waits until so many more requests have been answered with 200.
    pub(super) async fn more(&self, requests: u64, within: Duration) {
        let before = self.tally().taken;
        self.until(within, "requests are taken", |tally| tally.taken >= before + requests).await;
    }

    /// Lets every client finish what it is at, and returns what was sent.
    pub(super) async fn finish(self) -> Ledger {
        self.shared.stop.cancel();
        for client in self.clients {
            client.await.unwrap();
        }
        self.shared.ledger.lock().unwrap().clone()
    }
}

/// Sends one request after the other.
async fn send(sender: usize, shared: Arc<Shared>, patience: Duration) {
    let client = Client::builder().no_proxy().timeout(patience).build().unwrap();
    let mut random = StdRng::seed_from_u64(sender as u64);
    for n in 0.. {
        if shared.stop.is_cancelled() {
            return;
        }
        let call = Call::new(sender, n);
        let place = shared.note(&call);
        loop {
            let url = shared.url.borrow().clone();
            let answer = try_once(&client, &url, &call).await;
            shared.count(&answer);
            if let Answer::Taken { .. } = answer {
                shared.ledger.lock().unwrap().0[place].taken = true;
                break;
            }
            if random.random_range(0..GIVEN_UP) == 0 {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..10))).await;
    }
}

async fn try_once(client: &Client, url: &str, call: &Call) -> Answer {
    let request = client.post(format!("{url}{}", call.path)).body(call.body.clone());
    let Ok(response) = request.header("content-type", "application/json").send().await else {
        return Answer::Broken;
    };
    let status = response.status().as_u16();
    let retry_after = response.headers().contains_key("retry-after");
    // An answer that breaks off in the middle is none.
    let Ok(text) = response.text().await else {
        return Answer::Broken;
    };
    let body: Value = serde_json::from_str(&text).unwrap();
    match status {
        200 => {
            let (taken, repeated) = taken(&body);
            assert_eq!(taken, call.names.len() as u64, "{body}");
            Answer::Taken { repeated }
        }
        503 if retry_after => Answer::Unavailable,
        _ => panic!("{} was answered with {status} {body}", call.path),
    }
}

/// Returns how many events an answer says were taken, and whether it knew any from before.
fn taken(body: &Value) -> (u64, bool) {
    if let Some(events) = body["result"]["events"].as_u64() {
        return (events, body["result"]["repeated"] == true);
    }
    if let Some(status) = body["status"].as_str() {
        return (u64::from(status == "accepted" || status == "repeated"), status == "repeated");
    }
    let [accepted, repeated] = ["accepted", "repeated"].map(|name| body[name].as_u64().unwrap());
    (accepted + repeated, repeated > 0)
}

impl Shared {
    /// Notes a request before it is sent for the first time, and returns its place.
    fn note(&self, call: &Call) -> usize {
        let mut ledger = self.ledger.lock().unwrap();
        ledger.0.push(Sent { names: call.names.clone(), taken: false });
        ledger.0.len() - 1
    }

    fn count(&self, answer: &Answer) {
        self.tally.send_modify(|tally| match answer {
            Answer::Taken { repeated } => {
                tally.taken += 1;
                tally.repeated += u64::from(*repeated);
            }
            Answer::Unavailable => tally.unavailable += 1,
            Answer::Broken => tally.broken += 1,
        });
    }
}

impl Call {
    /// Returns the `n`-th request of a sender: each kind of door in turn.
    fn new(sender: usize, n: usize) -> Self {
        let names = |count| (0..count).map(|event| format!("s{sender}-{n}-{event}")).collect();
        let (path, names): (_, Vec<String>) = match n % 5 {
            0 => ("/analytics", names(1)),
            1 => ("/v1/telemetry", names(BATCH)),
            2 => ("/v1/batch", names(BATCH)),
            3 => ("/batch/", names(BATCH)),
            _ => ("/analytics", names(BATCH)),
        };
        let events: Vec<Value> = names.iter().map(|name| event(path, sender, name)).collect();
        let body = match path {
            "/v1/telemetry" => {
                json!({"id": "api.telemetry", "params": {"msgid": format!("s{sender}-{n}")}, "events": events})
            }
            "/analytics" if events.len() == 1 => events[0].clone(),
            _ => json!({"batch": events, "api_key": "none"}),
        };
        let names = match path {
            "/v1/telemetry" => names.iter().map(|name| format!("{name}@d{sender}")).collect(),
            _ => names,
        };
        Self { path, body: body.to_string(), names }
    }
}

/// Returns an event as the clients of a path write it.
fn event(path: &str, sender: usize, name: &str) -> Value {
    let properties = json!({"name": name});
    match path {
        "/v1/telemetry" => {
            json!({"eid": "LOG", "ets": 1, "mid": name, "ver": "3.0", "context": {"did": format!("d{sender}")}})
        }
        "/v1/batch" => {
            json!({"type": "track", "event": "view:loaded", "userId": "u", "messageId": name, "properties": properties})
        }
        "/batch/" => {
            json!({"event": "view:loaded", "uuid": name, "distinct_id": "u", "properties": properties})
        }
        _ => json!({"event": "view:loaded", "message_id": name, "properties": properties}),
    }
}
