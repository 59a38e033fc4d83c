//! What the worker signs, verified by the public libraries of Standard Webhooks; and `v1a`, which they do not know yet.

use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tidings::secret::{KeyPair, Secret};

use super::toolchain::Program;
use crate::receiving::{Delivered, delivered};

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
    fn of(delivered: &Delivered) -> Self {
        let headers: &HeaderMap = &delivered.headers;
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let header = |name: &str| headers.get(name).map(text).unwrap();
        Self {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
            body: delivered.body.to_vec(),
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
        // The first character of each.
        let changed = self.signature.split(' ').map(|signature| {
            let (version, encoded) = signature.split_once(',').unwrap();
            let other = if encoded.starts_with('A') { 'B' } else { 'A' };
            format!("{version},{other}{}", &encoded[1..])
        });
        signature.signature = changed.collect::<Vec<_>>().join(" ");
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

/// Returns what a program says to each of the requests.
async fn verdicts(program: &Program, key: &Value, requests: &[Request]) -> Vec<String> {
    let requests: Vec<Value> = requests.iter().map(Request::json).collect();
    let input = json!({"key": key, "requests": requests}).to_string();
    serde_json::from_str(&program.run("", &input).await).unwrap()
}

/// Checks that a program verifies a request with its key, and refuses it with another and when it was tampered with.
async fn check(program: Program, key: Value, other_key: Value, delivered: &Delivered) {
    let request = Request::of(delivered);
    assert!(request.signature.contains("v1,") && request.signature.contains("v1a,"));
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
    let delivered = delivered().await;
    let program = Program::python(PYTHON, "verify.py").await;
    check(program, delivered.secret.as_str().into(), other_secret(), &delivered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn library_for_node_verifies_a_delivery_and_refuses_it_tampered_with() {
    let delivered = delivered().await;
    let program = Program::node(NODE, "verify.js").await;
    check(program, delivered.secret.as_str().into(), other_secret(), &delivered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_verifies_v1a_by_the_published_keys_and_refuses_it_tampered_with() {
    let delivered = delivered().await;
    let program = Program::node(NODE, "verify_v1a.js").await;
    let other_keys = json!({"keys": [KeyPair::generate(&mut rand::rng()).public_key().to_jwk()]});
    check(program, delivered.jwks.clone(), other_keys, &delivered).await;
}

fn base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}
