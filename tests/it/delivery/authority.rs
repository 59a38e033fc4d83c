//! Endpoints of a private authority, through a worker and back.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::json;
use tidings::{
    Error,
    subscriber::{self, NewSubscriber},
};
use tidings_tests::{Draft, SOON, eventually};

use super::webhook::{Hooks, TYPE, random};

/// Of a receiver on loopback, signed by itself; made for tests, and protects nothing.
const CERTIFICATE: &str = include_str!("../../../worker/src/webhook/tests/receiver.crt");
const KEY: &[u8] = include_bytes!("../../../worker/src/webhook/tests/receiver.key");

/// Another one for the same names.
const OTHER: &str = include_str!("../../../worker/src/webhook/tests/other.crt");

/// Starts a receiver behind TLS that answers each connection's first request with 204, and ends with the process.
fn start() -> SocketAddr {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::from_pem_slice(KEY).unwrap())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            // A client that does not trust us goes away here.
            if matches!(stream.read(&mut [0; 8_192]), Ok(read) if read > 0) {
                stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").unwrap();
            }
        }
    });
    address
}

fn calling(name: &str, address: SocketAddr, ca: &str) -> NewSubscriber {
    let retry = Some(json!({"delays_s": [0, 3600]}));
    let config = json!({"url": format!("https://{address}/hook"), "ca": ca});
    NewSubscriber { retry, ..NewSubscriber::new(name, "webhook", config) }
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_is_trusted_by_its_own_authority_and_by_no_other() {
    let hooks = Hooks::new().await;
    let address = start();
    let right = hooks.add_new(calling("right", address, CERTIFICATE)).await.subscriber_id;
    let wrong = hooks.add_new(calling("wrong", address, OTHER)).await.subscriber_id;
    let _worker = hooks.worker().await;
    let event = hooks.world.register(Draft::new(TYPE)).await;
    eventually(SOON, "both are attempted", || async {
        let log = "select count(*) from tidings.attempt";
        (hooks.world.value::<i64>(log).await == 2).then_some(())
    })
    .await;
    let (_, outcome, status, _) = hooks.attempts(event, right).await.remove(0);
    assert_eq!((outcome.as_str(), status), ("delivered", Some(204)));
    let (_, outcome, status, error) = hooks.attempts(event, wrong).await.remove(0);
    assert_eq!((outcome.as_str(), status), ("retry", None));
    let expected = format!("the certificate of {address} is not trusted: ");
    assert!(error.unwrap().starts_with(&expected));
}

#[tokio::test]
async fn private_key_in_place_of_a_certificate_is_refused_and_nothing_is_stored() {
    let hooks = Hooks::new().await;
    let key = String::from_utf8(KEY.to_vec()).unwrap();
    let new = calling("leaky", start(), &format!("{CERTIFICATE}{key}"));
    let mut tx = hooks.world.pool.begin().await.unwrap();
    let (keyring, policy) = (Some(&hooks.keyring), &hooks.settings.policy);
    let error = subscriber::add(&mut tx, keyring, &mut random(), policy, new).await.unwrap_err();
    assert!(matches!(error, Error::Endpoint(_)), "{error}");
    assert!(error.to_string().contains("ca contains a private key"), "{error}");
    tx.commit().await.unwrap();
    let stored = "select count(*) from tidings.subscriber where kind = 'webhook'";
    assert_eq!(hooks.world.value::<i64>(stored).await, 0);
}
