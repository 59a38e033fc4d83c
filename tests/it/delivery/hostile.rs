//! Receivers that do what no HTTP library would let them do, more often than they have slots: each costs its own
//! attempts, and then it gets its deliveries.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tidings::subscriber::{NewSubscriber, State};
use tidings_tests::{Draft, Receiver, Reply, SOON, eventually};
use tidings_worker::{Worker, health::Rules};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    health::{RESTLESS, becomes, resume},
    webhook::{Hooks, TYPE},
};

/// How many of a subscriber may be in flight.
const SLOTS: usize = 2;

/// How often each receiver misbehaves.
const TIMES: usize = 3 * SLOTS;

/// How many events there are.
const EVENTS: usize = 8;

/// The time of an attempt: long enough for those that behave.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Sixty thousand letters `x`, zipped.
const ZIPPED: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xed\xc11\x01\0\0\0\xc2\xa0\xda\x8bo\r\x0f\xa0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xbe\x0c\xfd}\x8f\xd2`\xea\0\0";

/// What comes after the head of an answer.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The next request.
    Next,
    /// The end of the connection.
    Close,
    /// One byte every tenth of a second, for ever.
    Dribble,
    /// As many bytes as the client takes.
    Endless,
    /// Nothing more.
    Silence,
}

/// A receiver that misbehaves a few times, and then takes what comes.
#[derive(Debug)]
struct Hostile {
    address: SocketAddr,
    requests: AtomicUsize,
    written: AtomicUsize,
    head: Vec<u8>,
    then: Then,
}

impl Hostile {
    async fn start(head: impl Into<Vec<u8>>, then: Then) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hostile = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            requests: AtomicUsize::new(0),
            written: AtomicUsize::new(0),
            head: head.into(),
            then,
        });
        let accepting = Arc::clone(&hostile);
        // It ends with the runtime of the test.
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let hostile = Arc::clone(&accepting);
                tokio::spawn(async move { hostile.serve(stream).await });
            }
        });
        hostile
    }

    /// Answers until the client has gone.
    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        loop {
            read_request(&mut stream).await?;
            if self.requests.fetch_add(1, Ordering::SeqCst) >= TIMES {
                stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.ok()?;
                continue;
            }
            stream.write_all(&self.head).await.ok()?;
            match self.then {
                Then::Next => {}
                Then::Close => return None,
                Then::Silence => std::future::pending().await,
                Then::Dribble => loop {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    stream.write_all(b"x").await.ok()?;
                },
                Then::Endless => loop {
                    let written = stream.write(&[b'x'; 16_384]).await.ok()?;
                    self.written.fetch_add(written, Ordering::SeqCst);
                },
            }
        }
    }
}

/// Reads a request to its end; `None` when the client has gone.
async fn read_request(stream: &mut TcpStream) -> Option<()> {
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        if bytes.len() == end + 4 + length {
            return Some(());
        }
    }
}

/// A behaviour by its name: the beginning of the answer, and what comes then.
type Behaviour = (&'static str, Vec<u8>, Then);

/// What is no answer, or one that says no.
fn failing() -> Vec<Behaviour> {
    let busy = |value: &str| {
        let head = format!("HTTP/1.1 503 Busy\r\nretry-after: {value}\r\n");
        (head + "content-length: 0\r\n\r\n").into_bytes()
    };
    let odd = |status: &str| [b"HTTP/1.1 ", status.as_bytes(), EMPTY].concat();
    let binary = [&b"HTTP/1.1 500 \xff\r\nx-odd: \xff\xfe"[..], EMPTY].concat();
    let body = |head: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 500 Oops\r\n{head}content-length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    vec![
        ("asks to wait for ever", busy("inf"), Then::Next),
        ("asks to wait for no number", busy("NaN"), Then::Next),
        ("asks to have waited", busy("-1"), Then::Next),
        ("asks to wait exponentially", busy("1e15"), Then::Next),
        ("asks to wait for longer than that", busy("1e30"), Then::Next),
        ("asks to wait at length", busy(&"9".repeat(10_240)), Then::Next),
        ("answers below its range", odd("199 Odd"), Then::Close),
        ("answers beyond its range", odd("600 Odd"), Then::Next),
        ("has headers that are no text", binary, Then::Next),
        ("has a body that is no text", body("", b"caf\xe9\0"), Then::Next),
        ("zips its body", body("content-encoding: gzip\r\n", ZIPPED), Then::Next),
        ("is silent", Vec::new(), Then::Silence),
        ("hangs up at once", Vec::new(), Then::Close),
        ("dribbles its head", b"HTTP/1.1 200 OK\r\nx: ".to_vec(), Then::Dribble),
        ("dribbles a failure", large("500 Oops"), Then::Dribble),
        ("floods with a failure", large("500 Oops"), Then::Endless),
        ("hangs up within a failure", large("500 Oops"), Then::Close),
    ]
}

/// What has said yes before it goes wrong.
fn succeeding() -> Vec<Behaviour> {
    vec![
        ("dribbles a success", large("200 OK"), Then::Dribble),
        ("floods with a success", large("200 OK"), Then::Endless),
        ("hangs up within a success", large("200 OK"), Then::Close),
    ]
}

/// The end of a head without a body.
const EMPTY: &[u8] = b"\r\ncontent-length: 0\r\n\r\n";

/// The beginning of an answer of a gibibyte.
fn large(status: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: 1073741824\r\n\r\nbusy").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn receiver_that_misbehaves_more_often_than_it_has_slots_gets_its_deliveries_afterwards() {
    let mut hooks = Hooks::new().await;
    hooks.settings.timeout = TIMEOUT;
    hooks.settings.body_timeout = TIMEOUT / 4;
    let mut receivers = Vec::new();
    let failing = failing().into_iter().map(|behaviour| (behaviour, true));
    let behaviours = failing.chain(succeeding().into_iter().map(|behaviour| (behaviour, false)));
    for (n, ((name, head, then), fails)) in behaviours.enumerate() {
        let hostile = Hostile::start(head, then).await;
        let url = format!("http://{}/", hostile.address);
        let mut new = NewSubscriber::webhook(format!("hostile-{n}"), url);
        new.retry = Some(serde_json::from_str(RESTLESS).unwrap());
        new.in_flight_max = Some(i32::try_from(SLOTS).unwrap());
        let id = hooks.add_new(new).await.subscriber_id;
        receivers.push((name, id, hostile, fails));
    }
    let world = &hooks.world;
    // Slots are lost or not whatever is done about a destination that is not well.
    let builder = Worker::builder(world.pool.clone()).deliverer(hooks.webhook());
    let builder = builder.keyring(hooks.keyring.clone()).health(Rules::OFF);
    let _worker = world.worker_with(builder).await;
    for n in 0..EVENTS {
        world.register(Draft::new(TYPE).number(n.try_into().unwrap())).await;
    }
    world.drained().await;
    // Once more, now that all behave.
    world.register(Draft::new(TYPE)).await;
    world.drained().await;
    for (name, id, hostile, fails) in receivers {
        let (delivered, failed, words): (i64, i64, Option<String>) = sqlx::query_as(
            "select count(*) filter (where outcome = 'delivered'), count(*) filter (where outcome = 'retry'),
               max(error) from tidings.attempt where subscriber_id = $1",
        )
        .bind(id)
        .fetch_one(&world.pool)
        .await
        .unwrap();
        let events = i64::try_from(EVENTS).unwrap() + 1;
        assert_eq!(delivered, events, "{name}");
        let times = if fails { i64::try_from(TIMES).unwrap() } else { 0 };
        assert!(failed >= times, "{name}: {failed} attempts have failed");
        let written = hostile.written.load(Ordering::SeqCst);
        assert!(written <= TIMES * 16 * 1024 * 1024, "{name}: {written} bytes");
        let words = words.unwrap_or_default();
        assert!(words.chars().count() <= 1_000, "{name}: {words}");
        match name {
            "has a body that is no text" => {
                assert_eq!(words, "answered 500 Internal Server Error: caf\u{fffd}\u{fffd}");
            }
            "zips its body" => {
                assert!(words.starts_with("answered 500 ") && !words.contains("xx"), "{words}");
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_beyond_all_measure_is_a_day_and_a_person_ends_it_as_often_as_it_is_asked_for() {
    for value in ["1000000000000000", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let hooks = Hooks::new().await;
        let busy = Reply::status(503).header("retry-after", value);
        let receiver = Receiver::start(move |_| busy.clone()).await;
        let (id, _) = hooks.add("busy", &receiver, RESTLESS).await;
        hooks.world.set_in_flight_max(id, 1).await;
        let _worker = hooks.worker().await;
        hooks.world.register(Draft::new(TYPE)).await;
        for times in 1..=3 {
            let summary = becomes(&hooks.world, id, State::HeldBack).await;
            let left = "select extract(epoch from max(retry_after_until) - clock_timestamp())::float8 / 3600 from tidings.subscriber";
            let left: f64 = hooks.world.value(left).await;
            assert!((23.9..=24.0).contains(&left), "{value}: {left} hours, {summary:?}");
            assert_eq!(receiver.received().len(), times, "{value}");
            if times == 3 {
                receiver.set(|_| Reply::status(204));
            }
            // The attempt's own next time is a day away as well.
            eventually(SOON, "the attempt is settled", || async {
                let failed = "select coalesce(max(attempt), 0)::int from tidings.delivery where due_at > clock_timestamp() + interval '23 h'";
                let failed: i32 = hooks.world.value(failed).await;
                (usize::try_from(failed).unwrap() == times).then_some(())
            })
            .await;
            resume(&hooks.world, id).await;
            hooks.world.execute("select tidings.retry(delivery_id) from tidings.delivery").await;
        }
        hooks.world.drained().await;
    }
}
