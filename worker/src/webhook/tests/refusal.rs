//! Requests that are never sent, and connections that are never made.

use super::*;

/// A receiver that must not be reached, and its port.
async fn unreachable() -> (Receiver, u16) {
    let receiver = Receiver::start([Script::status("200 OK", "", "")]).await;
    let port = receiver.address.port();
    (receiver, port)
}

fn strict() -> Settings {
    Settings { policy: Policy { https_only: false, allow: AllowList::default() }, ..settings() }
}

fn resolving(settings: Settings, addresses: &[&str]) -> Webhook {
    builder(settings).resolver(Names::of(addresses)).build().unwrap()
}

#[tokio::test]
async fn name_with_a_forbidden_address_is_refused_at_connect() {
    let (receiver, port) = unreachable().await;
    let subscriber = calling(&format!("http://receiver.test:{port}/s3cr3t"));
    let table: [(Settings, &[&str]); 5] = [
        (strict(), &["127.0.0.1"]),
        (strict(), &["::ffff:127.0.0.1"]),
        (strict(), &["64:ff9b::7f00:1"]),
        // The good address would work; the bad one refuses the name.
        (settings(), &["127.0.0.1", "10.0.0.1"]),
        (settings(), &["169.254.169.254", "127.0.0.1"]),
    ];
    for (settings, addresses) in table {
        let answer = deliver(&resolving(settings, addresses), &subscriber).await;
        assert_eq!((answer.verdict, answer.status), (Verdict::Retry, None));
        let expected = "the name receiver.test is refused as a whole, because its address ";
        assert!(error(&answer).starts_with(expected), "{answer:?}");
        assert!(!error(&answer).contains("s3cr3t"), "{answer:?}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn name_with_allowed_addresses_is_called_under_its_own_name() {
    let (receiver, port) = unreachable().await;
    let names = Names::of(&["127.0.0.1"]);
    let resolver: Arc<dyn Resolve> = Arc::<Names>::clone(&names);
    let webhook = builder(settings()).resolver(resolver).build().unwrap();
    let answer = deliver(&webhook, &calling(&format!("http://receiver.test:{port}/"))).await;
    assert_eq!(answer.verdict, Verdict::Delivered);
    assert_eq!(receiver.requests()[0].header("host"), Some(&*format!("receiver.test:{port}")));
    assert_eq!(*names.asked.lock().unwrap(), ["receiver.test"]);
}

#[tokio::test]
async fn name_is_checked_at_creation_with_the_addresses_that_it_has_then() {
    let check = async |addresses: &[&str], url: &str| {
        resolving(strict(), addresses).check(&json!({ "url": url })).await
    };
    let url = "https://receiver.test/s3cr3t";
    assert_eq!(check(&["8.8.8.8"], url).await, Ok(()));
    let error = check(&["8.8.8.8", "10.0.0.1"], url).await.unwrap_err();
    assert!(matches!(error, EndpointError::Name { .. }), "{error}");
    assert!(check(&[], "https://127.1/").await.is_err());
    assert!(check(&[], "https://receiver.test:25/").await.is_err());
    assert_eq!(check(&[], "https://8.8.8.8/").await, Ok(()));
    // Not made yet, perhaps.
    assert_eq!(check(&[], "https://unknown.test/").await, Ok(()));
}

#[tokio::test]
async fn name_that_becomes_private_after_creation_is_refused_at_delivery() {
    let (receiver, port) = unreachable().await;
    let subscriber = calling(&format!("http://receiver.test:{port}/"));
    assert_eq!(resolving(strict(), &["8.8.8.8"]).check(&subscriber.config).await, Ok(()));
    let answer = deliver(&resolving(strict(), &["127.0.0.1"]), &subscriber).await;
    assert!(error(&answer).contains("is refused as a whole"), "{answer:?}");
    assert_eq!(receiver.connections(), 0);
}

#[test]
fn literal_address_is_refused_when_the_destination_is_opened() {
    for host in ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]"] {
        let error = webhook(strict()).open(&calling(&format!("http://{host}/s3cr3t"))).unwrap_err();
        assert!(error.reason.contains("(loopback)") && !error.reason.contains("s3cr3t"), "{error}");
    }
}

#[tokio::test]
async fn literal_address_is_checked_again_before_every_request() {
    let (receiver, port) = unreachable().await;
    let subscriber = calling(&format!("http://127.0.0.1:{port}/"));
    let mut target = Target::open(webhook(settings()).inner, &subscriber).unwrap();
    target.caller.inner = webhook(strict()).inner;
    let attempt = target.attempt(target.format.message(&delivery("{}").event)).await;
    assert!(error(&attempt.answer).contains("127.0.0.1 is forbidden"), "{attempt:?}");
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn connection_to_a_forbidden_peer_is_dropped_unread() {
    let (receiver, port) = unreachable().await;
    let subscriber = calling(&format!("http://receiver.test:{port}/s3cr3t"));
    let permissive = webhook(settings()).inner;
    let mut target = Target::open(Arc::clone(&permissive), &subscriber).unwrap();
    // As if the resolver had let the address pass.
    target.caller.inner = Arc::new(Inner {
        client: permissive.client.clone(),
        own: Own::default(),
        trusts: true,
        settings: strict(),
        guard: permissive.guard.clone(),
        clock: Arc::clone(&permissive.clock),
    });
    let attempt = target.attempt(target.format.message(&delivery("{}").event)).await;
    assert_eq!((attempt.answer.verdict, attempt.answer.status), (Verdict::Retry, None));
    let expected = "the answer was left unread: its sender 127.0.0.1 is forbidden";
    assert!(error(&attempt.answer).starts_with(expected), "{attempt:?}");
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn configuration_that_cannot_be_used_is_an_error_that_teaches() {
    let table = [
        (json!({}), "needs a url"),
        (json!({ "url": "https://example.com", "colour": 1 }), "no field \"colour\""),
        (json!({ "url": "ftp://example.com/" }), "has to begin with https://"),
        (json!({ "url": "https://example.com/", "timeout_ms": 1 }), "between 1000 and 60000"),
        (
            json!({ "url": "https://example.com/", "headers": { "webhook-id": "1" } }),
            "choose another name",
        ),
        (json!({ "url": "https://example.com/", "headers": { "a": "\n" } }), "printable ASCII"),
    ];
    for (config, expected) in table {
        let error = webhook(settings()).open(&subscriber(config)).unwrap_err();
        assert!(error.reason.contains(expected), "{error}");
    }
}

#[test]
fn plain_http_is_refused_where_https_is_asked_for() {
    let webhook = webhook(Settings { policy: Policy::default(), ..settings() });
    let error = webhook.open(&calling("http://example.com/")).unwrap_err();
    assert!(error.reason.contains("use https://"), "{error}");
}

#[test]
fn nothing_is_sent_without_a_secret() {
    let mut subscriber = calling("https://example.com/");
    subscriber.secrets.clear();
    let error = webhook(settings()).open(&subscriber).unwrap_err();
    assert!(error.reason.contains("no signing secret"), "{error}");
}

#[tokio::test]
async fn each_way_not_to_connect_has_its_own_words() {
    let (closed, port) = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (address, address.port())
    };
    let answer = deliver(&webhook(settings()), &calling(&format!("http://{closed}/s3cr3t"))).await;
    assert_eq!(error(&answer), format!("no connection to 127.0.0.1:{port}: connection refused"));

    let answer = deliver(&webhook(settings()), &calling("http://unknown.test/s3cr3t")).await;
    assert_eq!(error(&answer), "the name unknown.test cannot be resolved: unknown");

    let answer =
        deliver(&resolving(settings(), &[]), &calling("http://receiver.test/s3cr3t")).await;
    assert_eq!(error(&answer), "the name receiver.test has no address");
}

#[tokio::test]
async fn name_that_hangs_is_reported_as_such() {
    #[derive(Debug)]
    struct Hanging;
    impl Resolve for Hanging {
        fn resolve<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Vec<IpAddr>, LookupError>> {
            Box::pin(std::future::pending())
        }
    }
    let settings = Settings { connect_timeout: SHORT, ..settings() };
    let webhook = builder(settings).resolver(Arc::new(Hanging)).build().unwrap();
    let answer = deliver(&webhook, &calling("http://receiver.test/s3cr3t")).await;
    assert_eq!(error(&answer), "the name receiver.test was not resolved within 120 ms");
}

#[test]
fn settings_that_cannot_be_sent_are_refused() {
    let user_agent = "a\nb".to_owned();
    let error = builder(Settings { user_agent, ..settings() }).build().unwrap_err();
    assert!(matches!(error, BuildError::UserAgent));
    let trusted_certificates = vec![b"no certificate".to_vec()];
    let error = builder(Settings { trusted_certificates, ..settings() }).build().unwrap_err();
    assert!(matches!(error, BuildError::Certificate { number: 1, .. }));
}
