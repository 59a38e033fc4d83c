//! What the worker signs, verified by the public libraries of Standard Webhooks; and `v1a`, which they do not know yet.

use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tidings::{
    address::AllowList,
    endpoint::Policy,
    secret::{KeyPair, Keyring, Secret},
};
use tidings_tests::{Draft, Receiver, SOON, World};
use tidings_worker::{Webhook, Worker, webhook::Settings};

use super::toolchain::Program;

const TYPE: &str = "order:placed";

/// The folders of the programs that verify.
const PYTHON: &str = "tests/languages/python";
const NODE: &str = "tests/languages/node";

/// A signed request, as a receiver has it before it believes anything.
#[derive(Clone, Debug)]
struct Request {
    id: String,
    timestamp: String,
    signature: String,
    body: Vec<u8>,
}

impl Request {
    fn of(headers: &HeaderMap, body: &[u8]) -> Self {
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let header = |name: &str| headers.get(name).map(text).unwrap();
        Self {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
            body: body.to_vec(),
        }
    }

    /// Returns the request with one part of it changed, each part in turn.
    fn tampered(&self) -> Vec<Self> {
        let mut body = self.clone();
        let last = body.body.len() - 2;
        body.body[last] ^= 1;
        let mut longer = self.clone();
        longer.body.push(b' ');
        let mut id = self.clone();
        id.id.push('0');
        let mut timestamp = self.clone();
        timestamp.timestamp = (self.timestamp.parse::<i64>().unwrap() - 1).to_string();
        let mut signature = self.clone();
        let at = signature.signature.find(',').unwrap() + 1;
        let other = if signature.signature[at..].starts_with('A') { "B" } else { "A" };
        signature.signature.replace_range(at..=at, other);
        vec![body, longer, id, timestamp, signature]
    }

    fn json(&self) -> Value {
        let headers = json!({
            "webhook-id": self.id,
            "webhook-timestamp": self.timestamp,
            "webhook-signature": self.signature,
        });
        json!({"headers": headers, "body": base64(&self.body)})
    }
}

/// Delivers one event with a worker, and returns the secret of the subscriber and the request as it came over the wire.
async fn delivered() -> (String, Request) {
    let world = World::new(&[TYPE]).await;
    let keyring = Keyring::generate(&mut rand::rng());
    let receiver = Receiver::accepting().await;
    let (id, secret) = world.webhook(&keyring, "one", &receiver.url()).await;
    world.subscribe(id, TYPE, "", false).await;
    let policy = Policy { allow: AllowList::loopback(), ..Policy::default() };
    let settings = Settings { policy, ..Settings::default() };
    let webhook = Webhook::builder().settings(settings).build().unwrap();
    let builder = Worker::builder(world.pool.clone()).deliverer(webhook).keyring(keyring);
    let _worker = world.worker_with(builder).await;
    let mut draft = Draft::new(TYPE);
    // More than one byte per character, which a library that signs characters gets wrong.
    draft.payload = json!({"customer": "Zoë 山田", "total": 12.50});
    world.register(draft).await;
    let received = receiver.wait_for(1, SOON).await.remove(0);
    world.drained().await;
    (secret, Request::of(&received.headers, &received.body))
}

/// Returns a key set and a request that its key has signed, among signatures of other versions and keys.
///
/// It stands for a delivery of a subscriber with a key pair: a receiver sees no difference.
fn signed_by_key_pair() -> (Value, Request) {
    let mut rng = rand::rng();
    let (pair, other) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
    let body =
        r#"{"type":"order:placed","timestamp":"2026-11-22T14:00:00Z","data":{"customer":"Zoë"}}"#;
    let (id, timestamp) = ("01a203bf-ff96-7677-8306-d4660c2d00cb", "1795356000");
    let message = format!("{id}.{timestamp}.{body}");
    let v1a = |pair: &KeyPair| format!("v1a,{}", base64(&pair.sign(message.as_bytes())));
    let request = Request {
        id: id.to_owned(),
        timestamp: timestamp.to_owned(),
        signature: v1a(&pair),
        body: body.as_bytes().to_vec(),
    };
    (json!({"keys": [other.public_key().to_jwk(), pair.public_key().to_jwk()]}), request)
}

/// Returns what a program says to each of the requests.
async fn verdicts(program: &Program, key: &Value, requests: &[Request]) -> Vec<String> {
    let requests: Vec<Value> = requests.iter().map(Request::json).collect();
    let input = json!({"key": key, "requests": requests}).to_string();
    serde_json::from_str(&program.run("", &input).await).unwrap()
}

/// Checks that a program verifies a request with its key, and refuses it with another and when it was tampered with.
async fn check(program: Program, key: Value, other_key: Value, request: Request) {
    let mut requests = vec![request.clone()];
    requests.extend(request.tampered());
    let found = verdicts(&program, &key, &requests).await;
    assert_eq!(found.len(), 6);
    assert_eq!(found[0], "verified");
    for (verdict, tampered) in found[1..].iter().zip(&requests[1..]) {
        assert_ne!(verdict, "verified", "{tampered:?}");
        assert!(verdict.to_lowercase().contains("no matching signature"), "{verdict}");
    }
    assert_ne!(verdicts(&program, &other_key, &[request]).await, ["verified"]);
}

/// Returns a secret that has nothing to do with anything.
fn other_secret() -> Value {
    Value::from(Secret::generate(&mut rand::rng()).to_text().as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn library_for_python_verifies_a_delivery_and_refuses_it_tampered_with() {
    let (secret, request) = delivered().await;
    let program = Program::python(PYTHON, "verify.py").await;
    check(program, secret.into(), other_secret(), request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn library_for_node_verifies_a_delivery_and_refuses_it_tampered_with() {
    let (secret, request) = delivered().await;
    let program = Program::node(NODE, "verify.js").await;
    check(program, secret.into(), other_secret(), request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_verifies_v1a_by_the_published_keys_and_refuses_it_tampered_with() {
    let (keys, request) = signed_by_key_pair();
    let program = Program::node(NODE, "verify_v1a.js").await;
    let other_keys = json!({"keys": [KeyPair::generate(&mut rand::rng()).public_key().to_jwk()]});
    check(program, keys, other_keys, request).await;
}

fn base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}
