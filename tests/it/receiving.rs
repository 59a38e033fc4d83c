//! The receiver crate on the other end of real deliveries: verified, taken once, and acknowledged.

mod inbox;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use axum::{
    Router,
    body::Bytes,
    extract::{FromRef, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
    routing::post,
};
use rand::{SeedableRng as _, rngs::StdRng};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgPool;
use tidings::{
    address::AllowList,
    endpoint::Policy,
    secret::{KeyPair, Keyring, Secret},
    subscriber::{self, KeyOwner, NewSubscriber},
};
use tidings_receiver::{Endpoint, Key, VERIFIED_BY, Verifier, Webhook, acknowledge};
use tidings_tests::{Database, Draft, Receiver, SOON, World, world::Guard};
use tidings_worker::{Worker, webhook::Settings};
use tokio::{net::TcpListener, sync::mpsc};

const TYPE: &str = "order:placed";

/// At once, and then after a tenth of a second.
const QUICK: &str = r#"{"delays_s": [0, 0.1, 0.1, 0.1]}"#;

#[derive(Deserialize)]
struct Order {
    n: i64,
}

/// An application that writes an invoice for every order, and whose answers get lost at first.
#[derive(Clone)]
struct Shop {
    endpoint: Endpoint,
    pool: PgPool,
    answers_lost: Arc<AtomicUsize>,
    taken: mpsc::UnboundedSender<(String, bool)>,
}

impl FromRef<Shop> for Endpoint {
    fn from_ref(shop: &Shop) -> Self {
        shop.endpoint.clone()
    }
}

async fn take(State(shop): State<Shop>, webhook: Webhook<Order>) -> StatusCode {
    let mut tx = shop.pool.begin().await.unwrap();
    let first = tidings_receiver::inbox::once(&mut tx, &webhook.id).await.unwrap();
    if first {
        let insert = "insert into invoice (n) values ($1)";
        sqlx::query(insert).bind(webhook.data.n).execute(&mut *tx).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(webhook.event_type, TYPE);
    shop.taken.send((webhook.id, first)).unwrap();
    // The work is done and the sender does not hear of it.
    let lost = shop
        .answers_lost
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    if lost.is_ok() { StatusCode::BAD_GATEWAY } else { StatusCode::NO_CONTENT }
}

/// Hears what the endpoint answers about the key, as the sender does.
async fn listen(
    State(heard): State<mpsc::UnboundedSender<String>>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let by = response.headers().get(VERIFIED_BY).map(|by| by.to_str().unwrap().to_owned());
    heard.send(by.unwrap_or_default()).unwrap();
    response
}

/// A delivery that came over the wire, and what its receiver knows of the sender.
pub(crate) struct Delivered {
    /// The secret that signs `v1`.
    pub(crate) secret: String,
    /// The published keys of the pair that signs `v1a`.
    pub(crate) jwks: Value,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Delivers one event with a worker, signed by both versions.
pub(crate) async fn delivered() -> Delivered {
    let world = World::new(&[TYPE]).await;
    let keyring = Keyring::generate(&mut rand::rng());
    let receiver = Receiver::accepting().await;
    let config = json!({"url": receiver.url(), "signatures": ["v1", "v1a"]});
    let mut new = NewSubscriber::new("one", "webhook", config);
    new.key_pair = Some(KeyPair::generate(&mut rand::rng()));
    let policy = Policy { allow: AllowList::loopback(), ..Policy::default() };
    let mut random = StdRng::from_rng(&mut rand::rng());
    let mut tx = world.pool.begin().await.unwrap();
    let added = subscriber::add(&mut tx, Some(&keyring), &mut random, &policy, new).await.unwrap();
    tx.commit().await.unwrap();
    let id = added.subscriber_id;
    world.subscribe(id, TYPE, "", false).await;
    let _worker = worker(&world, &keyring).await;
    let mut draft = Draft::new(TYPE);
    // More than one byte per character, which a library that signs characters gets wrong.
    draft.payload = json!({"customer": "Zoë 山田", "total": 12.50});
    world.register(draft).await;
    let received = receiver.wait_for(1, SOON).await.remove(0);
    world.drained().await;
    let mut conn = world.pool.acquire().await.unwrap();
    let jwks = subscriber::jwks(&mut conn, KeyOwner::Subscriber(id)).await.unwrap().unwrap();
    let secret = added.secret.unwrap().to_string();
    Delivered { secret, jwks, headers: received.headers, body: received.body }
}

async fn worker(world: &World, keyring: &Keyring) -> Guard {
    let policy = Policy { allow: AllowList::loopback(), ..Policy::default() };
    let settings = Settings { policy, ..Settings::default() };
    let webhook = tidings_worker::Webhook::builder().settings(settings).build().unwrap();
    let builder = Worker::builder(world.pool.clone()).deliverer(webhook);
    world.worker_with(builder.keyring(keyring.clone())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn delivery_that_is_repeated_because_the_answer_was_lost_is_acted_on_once() {
    let world = World::new(&[TYPE]).await;
    let keyring = Keyring::generate(&mut rand::rng());
    let shop_database = Database::blank().await;
    let pool = shop_database.pool().clone();
    sqlx::query("create table invoice (n bigint not null)").execute(&pool).await.unwrap();
    tidings_receiver::inbox::create(&mut pool.acquire().await.unwrap()).await.unwrap();

    // The address is needed for the subscriber, and its secret for the endpoint: so the router comes second.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (id, secret) = world.webhook(&keyring, "shop", &url).await;
    world.set_retry(id, QUICK).await;
    world.subscribe(id, TYPE, "", false).await;
    let (taken, mut all_taken) = mpsc::unbounded_channel();
    let (acknowledged, mut acknowledgements) = mpsc::unbounded_channel();
    let key = Key::parse(&secret).unwrap();
    let fingerprint = key.fingerprint().to_string();
    let shop = Shop {
        // Retries of this test may come within the same second, which signs them alike.
        endpoint: Endpoint::new(Verifier::new([Key::secret(&[9; 32]).unwrap(), key]).unwrap())
            .accept_replays(),
        pool: pool.clone(),
        answers_lost: Arc::new(AtomicUsize::new(2)),
        taken,
    };
    let router = Router::new()
        .route("/hook", post(take))
        .layer(from_fn(acknowledge))
        .layer(from_fn_with_state(acknowledged, listen))
        .with_state(shop);
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let _worker = worker(&world, &keyring).await;

    let event = world.register(Draft::new(TYPE).number(7)).await.to_string();
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(tokio::time::timeout(SOON, all_taken.recv()).await.unwrap().unwrap());
    }
    world.drained().await;
    assert_eq!(heard, [(event.clone(), true), (event.clone(), false), (event, false)]);
    let invoices: Vec<i64> =
        sqlx::query_scalar("select n from invoice").fetch_all(&pool).await.unwrap();
    assert_eq!(invoices, [7]);
    for _ in 0..3 {
        assert_eq!(acknowledgements.recv().await.unwrap(), fingerprint);
    }
    serving.abort();
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the worker has signed by this clock")]
async fn each_of_the_keys_verifies_a_delivery_that_is_signed_by_both() {
    let Delivered { secret, jwks, headers, body } = delivered().await;
    let keys = Key::from_jwks(&jwks.to_string()).unwrap();
    for key in [vec![Key::parse(&secret).unwrap()], keys] {
        let name = key[0].fingerprint();
        let verifier = Verifier::new(key).unwrap();
        let verified = verifier.verify(&headers, &body, SystemTime::now()).unwrap();
        assert_eq!(verified.fingerprint, name);
        assert!(verifier.verify(&headers, &body[1..], SystemTime::now()).is_err());
    }
}

#[test]
fn both_ends_call_a_key_by_the_same_name() {
    let mut rng = rand::rng();
    let (secret, pair) = (Secret::generate(&mut rng), KeyPair::generate(&mut rng));
    let name = |text: &str| Key::parse(text).unwrap().fingerprint().to_string();
    assert_eq!(name(&secret.to_text()), secret.fingerprint());
    let public_key = pair.public_key();
    assert_eq!(name(&public_key.to_text()), public_key.fingerprint());
    let published = json!({"keys": [public_key.to_jwk()]}).to_string();
    let read = Key::from_jwks(&published).unwrap();
    assert_eq!(read[0].fingerprint().to_string(), public_key.fingerprint());
}
