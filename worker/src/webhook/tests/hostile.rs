//! Receivers that misbehave: none costs more than its own attempt.

use tokio::time::Instant;

use super::*;

fn close(bytes: &[u8]) -> Script {
    Script::Close(bytes.to_vec())
}

#[tokio::test]
async fn status_decides_and_the_body_explains() {
    let table = [
        ("200 OK", Verdict::Delivered, ""),
        ("201 Created", Verdict::Delivered, ""),
        ("299 Odd", Verdict::Delivered, ""),
        ("304 Not Modified", Verdict::Retry, "answered 304 Not Modified, a redirect to nowhere"),
        ("400 Bad Request", Verdict::Retry, "answered 400 Bad Request: no such order"),
        ("410 Gone", Verdict::Gone, "answered 410 Gone: it wants no more events: no such order"),
        ("500 Oops", Verdict::Retry, "answered 500 Internal Server Error: no such order"),
        ("600 Odd", Verdict::Retry, "answered 600: no such order"),
        ("999 Odd", Verdict::Retry, "answered 999: no such order"),
    ];
    for (line, verdict, explained) in table {
        let answer = answer_to(Script::status(line, "", "no such order\r\n")).await;
        assert_eq!(answer.verdict, verdict, "{line}");
        assert_eq!(answer.status, Some(line[..3].parse().unwrap()));
        assert!(error(&answer).starts_with(explained), "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_answer_is_a_failed_attempt() {
    for bytes in [
        &b""[..],
        b"HTTP/1.1 199 Odd\r\n\r\n",
        b"HTTP/1.1 1000 Odd\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\n\r\n",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nx",
        b"HTTP/1.1 200 OK\r\n\0\x01garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
        b"220 mail.example.com ESMTP\r\n",
        b"\x16\x03\x01\x02\x00",
        &b"x".repeat(100_000),
    ] {
        let answer = answer_to(close(bytes)).await;
        assert_eq!((answer.verdict, answer.status), (Verdict::Retry, None), "{answer:?}");
        assert!(error(&answer).starts_with("no usable answer from 127.0.0.1:"), "{answer:?}");
    }
}

#[tokio::test]
async fn headers_that_are_not_utf8_are_no_harm() {
    let answer = answer_to(close(b"HTTP/1.1 200 OK\r\nx-odd: \xff\xfe\r\n\r\n")).await;
    assert_eq!(answer.verdict, Verdict::Delivered);
    let answer =
        answer_to(close(b"HTTP/1.1 302 F\r\nlocation: \xff\r\nretry-after: \xff\r\n\r\n")).await;
    assert_eq!((answer.verdict, answer.status), (Verdict::Retry, Some(302)));
}

#[tokio::test]
async fn body_that_is_not_text_is_kept_as_far_as_it_is() {
    let head = b"HTTP/1.1 500 Oops\r\ncontent-length: 8\r\n\r\n";
    let answer = answer_to(close(&[&head[..], b"caf\xe9\0\x1b[m"].concat())).await;
    assert_eq!(error(&answer), "answered 500 Internal Server Error: caf\u{fffd}\u{fffd}\u{fffd}[m");
}

#[tokio::test]
async fn connection_closed_within_the_body_leaves_the_status_as_it_is() {
    let cut = |status: &str| {
        close(format!("HTTP/1.1 {status}\r\ncontent-length: 100\r\n\r\nhalf").as_bytes())
    };
    assert_eq!(answer_to(cut("200 OK")).await, Answer::delivered().with_status(200));
    let answer = answer_to(cut("503 Busy")).await;
    assert_eq!(error(&answer), "answered 503 Service Unavailable: half");

    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nnot a chunk";
    assert_eq!(answer_to(close(chunked)).await, Answer::delivered().with_status(200));
}

#[tokio::test]
async fn body_without_end_is_cut_in_bytes() {
    for (status, verdict) in [("200 OK", Verdict::Delivered), ("500 Oops", Verdict::Retry)] {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: 1073741824\r\n\r\n");
        let receiver = Receiver::start([Script::Endless(head.into())]).await;
        let subscriber = calling(&format!("http://{}/", receiver.address));
        let answer = deliver(&webhook(settings()), &subscriber).await;
        assert_eq!(answer.verdict, verdict);
        assert!(error(&answer).chars().count() <= 1_000);
        // What the buffers of the system take, and no more.
        assert!(receiver.written() < 64 * 1024 * 1024, "{}", receiver.written());
    }
}

#[tokio::test]
async fn body_of_one_byte_at_a_time_is_cut_in_time() {
    for (status, verdict) in [("200 OK", Verdict::Delivered), ("500 Oops", Verdict::Retry)] {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: 1000\r\n\r\nbusy");
        let receiver = Receiver::start([Script::Dribble(head.into(), SHORT / 10)]).await;
        let started = Instant::now();
        let webhook = webhook(Settings { body_timeout: SHORT, ..settings() });
        let answer = deliver(&webhook, &calling(&format!("http://{}/", receiver.address))).await;
        assert_eq!(answer.verdict, verdict);
        assert!(started.elapsed() >= SHORT && started.elapsed() < TIMEOUT / 2);
        if verdict == Verdict::Retry {
            assert!(
                error(&answer).starts_with("answered 500 Internal Server Error: busy"),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn receiver_that_never_answers_costs_one_timeout() {
    for script in [Script::Silent, Script::Dribble(b"HTTP/1.1 200 OK\r\nx: ".to_vec(), SHORT / 10)]
    {
        let receiver = Receiver::start([script.clone()]).await;
        let webhook = webhook(Settings { timeout: SHORT, ..settings() });
        let answer = deliver(&webhook, &calling(&format!("http://{}/", receiver.address))).await;
        assert_eq!((answer.verdict, answer.status), (Verdict::Retry, None));
        let expected = format!("timed out: no answer from {} within 150 ms", receiver.address);
        assert_eq!(error(&answer), expected);
    }
}

#[tokio::test]
async fn header_without_end_is_given_up_for_its_size() {
    let head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx: ";
    let answer = answer_to(Script::Endless(head.to_vec())).await;
    assert_eq!((answer.verdict, answer.status), (Verdict::Retry, None));
    assert!(error(&answer).starts_with("no usable answer from 127.0.0.1:"), "{answer:?}");
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let second = Receiver::start([Script::status("200 OK", "", "")]).await;
    for code in [301, 302, 303, 307, 308] {
        let location = format!("location: http://{}/s3cr3t\r\n", second.address);
        let answer =
            answer_to(Script::status(&format!("{code} Moved"), &location, "go there")).await;
        assert_eq!((answer.verdict, answer.status), (Verdict::Retry, Some(code)));
        let expected =
            format!("a redirect to http://{}/…; redirects are not followed", second.address);
        assert!(
            error(&answer).contains(&expected) && !error(&answer).contains("s3cr3t"),
            "{answer:?}"
        );
    }
    assert_eq!(second.connections(), 0);
}

#[tokio::test]
async fn wait_that_is_asked_for_is_a_floor() {
    let ask = |value: &str| Script::status("429 Slow", &format!("retry-after: {value}\r\n"), "");
    let table = [
        ("7", Duration::from_secs(7)),
        ("2592000", Duration::from_hours(24)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", Duration::from_hours(24)),
        // Half a minute after the clock of these tests.
        ("Tue, 14 Nov 2023 22:13:50 GMT", Duration::from_secs(30)),
    ];
    for (value, wait) in table {
        let answer = answer_to(ask(value)).await;
        assert_eq!(answer.verdict, Verdict::RetryAfter(wait), "{value}");
        assert!(error(&answer).contains(&format!("asks to wait {} s", wait.as_secs())));
    }
}

#[tokio::test]
async fn nonsense_in_retry_after_costs_no_connection() {
    // Other senders lose a slot for good to each of these.
    let long = "9".repeat(10_240);
    let values =
        ["inf", "NaN", "-1", "1e15", "1e30", "-inf", "\t", "Fri, 31 Dec 99999 23:59:59 GMT", &long];
    let torture = (0..100).flat_map(|_| values);
    let answers =
        torture.map(|value| Script::status("503 Busy", &format!("retry-after: {value}\r\n"), ""));
    let receiver = Receiver::start(answers.chain([Script::status("200 OK", "", "")])).await;
    let webhook = webhook(settings());
    let subscriber = calling(&format!("http://{}/", receiver.address));
    for _ in 0..100 * values.len() {
        let answer = deliver(&webhook, &subscriber).await;
        assert_eq!((answer.verdict, answer.status), (Verdict::Retry, Some(503)));
    }
    assert_eq!(deliver(&webhook, &subscriber).await, Answer::delivered().with_status(200));
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn secrets_that_a_receiver_repeats_are_not_kept() {
    let body = "Cannot POST /hooks/s3cr3t-path?token=s3cr3t-query with Bearer s3cr3t-header";
    let receiver = Receiver::start([Script::status("404 Not Found", "", body)]).await;
    let subscriber = subscriber(json!({
        "url": format!("http://{}/hooks/s3cr3t-path?token=s3cr3t-query", receiver.address),
        "headers": { "authorization": "Bearer s3cr3t-header" },
    }));
    let answer = deliver(&webhook(settings()), &subscriber).await;
    assert_eq!(error(&answer), "answered 404 Not Found: Cannot POST […]?[…] with […]");
}
