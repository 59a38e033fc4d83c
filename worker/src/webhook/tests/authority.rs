//! Endpoints that are trusted by certificates of their own, and by no others.

use super::{
    tls::{CERTIFICATE, KEY, start, trusting},
    *,
};

/// For the same names as the receiver's, signed by itself; nobody has its key.
const OTHER: &str = include_str!("other.crt");

fn pem() -> &'static str {
    std::str::from_utf8(CERTIFICATE).unwrap()
}

fn with_ca(url: &str, ca: &str) -> Subscriber {
    subscriber(json!({ "url": url, "ca": ca }))
}

#[tokio::test]
async fn authority_of_the_endpoint_is_trusted_where_the_machine_knows_nothing_of_it() {
    let address = start();
    for ca in [pem().to_owned(), format!("the receiver's own:\n{}{OTHER}", pem())] {
        for host in ["receiver.test", "127.0.0.1"] {
            let url = format!("https://{host}:{}/hook", address.port());
            let answer = deliver(&webhook(settings()), &with_ca(&url, &ca)).await;
            assert_eq!(answer, Answer::delivered().with_status(200), "{host}");
        }
    }
}

#[tokio::test]
async fn authority_of_the_endpoint_stands_alone_and_is_trusted_by_no_other_endpoint() {
    let address = start();
    let url = format!("https://{address}/s3cr3t");
    // The operator trusts the receiver, and the endpoint says that it must not.
    let answer = deliver(&webhook(trusting()), &with_ca(&url, OTHER)).await;
    let expected = format!("the certificate of {address} is not trusted: ");
    assert!(error(&answer).starts_with(&expected), "{answer:?}");

    let webhook = webhook(settings());
    let trusted = deliver(&webhook, &with_ca(&url, pem())).await;
    assert_eq!(trusted.verdict, Verdict::Delivered);
    let answer = deliver(&webhook, &calling(&url)).await;
    assert!(error(&answer).starts_with(&expected), "{answer:?}");
}

#[tokio::test]
async fn certificates_that_cannot_be_trusted_are_refused_before_anything_is_sent() {
    let webhook = webhook(settings());
    let garbage = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
    let key = std::str::from_utf8(KEY).unwrap();
    for (ca, expected) in [
        (garbage.to_owned(), "certificate number 1 of ca cannot be used"),
        (format!("{}{garbage}", pem()), "certificate number 2 of ca cannot be used"),
        (format!("{}{key}", pem()), "ca contains a private key"),
        ("no certificate".to_owned(), "-----BEGIN CERTIFICATE-----"),
    ] {
        let subscriber = with_ca("https://receiver.test/", &ca);
        let checked = webhook.check(&subscriber.config).await.unwrap_err().to_string();
        assert!(checked.contains(expected), "{checked}");
        let opened = webhook.open(&subscriber).unwrap_err().to_string();
        assert!(opened.contains(expected), "{opened}");
    }
}

#[test]
fn client_is_made_once_for_the_same_certificates_and_few_are_kept() {
    let inner = webhook(settings()).inner;
    let mut text = pem().to_owned();
    for _ in 0..3 {
        inner.client_trusting(&text).unwrap();
    }
    assert_eq!(inner.own.len(), 1);
    for _ in 0..100 {
        text.push('\n');
        inner.client_trusting(&text).unwrap();
    }
    assert_eq!(inner.own.len(), 64);
}
