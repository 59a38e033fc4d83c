//! Receivers behind TLS. The certificate and its key were made for these tests and protect nothing.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::*;

/// For `receiver.test` and `127.0.0.1`, signed by itself.
pub(super) const CERTIFICATE: &[u8] = include_bytes!("receiver.crt");
pub(super) const KEY: &[u8] = include_bytes!("receiver.key");

fn certificate() -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(CERTIFICATE).unwrap()
}

/// Starts a receiver that answers each connection's first request with 200, and ends with the process.
pub(super) fn start() -> SocketAddr {
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate()], PrivateKeyDer::from_pem_slice(KEY).unwrap())
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
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
            }
        }
    });
    address
}

pub(super) fn trusting() -> Settings {
    Settings { trusted_certificates: vec![certificate().to_vec()], ..settings() }
}

#[tokio::test]
async fn trusted_certificate_is_spoken_to_by_name_and_by_address() {
    let address = start();
    for host in ["receiver.test", "127.0.0.1"] {
        let url = format!("https://{host}:{}/hook", address.port());
        let answer = deliver(&webhook(trusting()), &calling(&url)).await;
        assert_eq!(answer, Answer::delivered().with_status(200), "{host}");
    }
}

#[tokio::test]
async fn certificate_that_nobody_signed_is_not_trusted() {
    let address = start();
    let answer =
        deliver(&webhook(settings()), &calling(&format!("https://{address}/s3cr3t"))).await;
    assert_eq!((answer.verdict, answer.status), (Verdict::Retry, None));
    let expected = format!("the certificate of {address} is not trusted: ");
    assert!(
        error(&answer).starts_with(&expected) && !error(&answer).contains("s3cr3t"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn certificate_of_another_name_is_not_trusted() {
    let address = start();
    // `localhost` is not in the certificate.
    let webhook = Webhook::builder().settings(trusting()).build().unwrap();
    let url = format!("https://localhost:{}/s3cr3t", address.port());
    let answer = deliver(&webhook, &calling(&url)).await;
    let expected = format!("the certificate of localhost:{} is not trusted: ", address.port());
    assert!(
        error(&answer).starts_with(&expected) && !error(&answer).contains("s3cr3t"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn receiver_without_tls_is_told_from_one_that_is_not_trusted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        }
    });
    let answer =
        deliver(&webhook(trusting()), &calling(&format!("https://{address}/s3cr3t"))).await;
    assert!(error(&answer).starts_with(&format!("no TLS connection to {address}: ")), "{answer:?}");
}

#[tokio::test]
async fn handshake_that_never_ends_is_a_connection_that_was_not_made() {
    let receiver = Receiver::start([Script::Silent]).await;
    let webhook = webhook(Settings { connect_timeout: SHORT, ..trusting() });
    let answer = deliver(&webhook, &calling(&format!("https://{}/s3cr3t", receiver.address))).await;
    let expected = format!("timed out: no connection to {} within 150 ms", receiver.address);
    assert_eq!(error(&answer), expected);
}
