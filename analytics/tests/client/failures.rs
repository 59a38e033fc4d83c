//! What fails first, and arrives all the same, once and under the same id.

use std::{collections::HashSet, time::Instant};

use tokio::net::TcpListener;

use super::*;

/// What the first request meets.
fn first_replies() -> Vec<(&'static str, Reply)> {
    let answer = Reply::of;
    let past = "Sun, 06 Nov 1994 08:49:37 GMT";
    let future = "Fri, 31 Dec 2100 23:59:59 GMT";
    vec![
        ("an HTML page", answer(200, "<html>welcome to the hotel</html>")),
        ("nothing in a 200", answer(200, "")),
        ("a redirect", answer(302, "").with_header("location", "/elsewhere")),
        ("429 with seconds", answer(429, "").with_header("retry-after", "1")),
        ("429 with a date", answer(429, "").with_header("retry-after", future)),
        ("429 with a date that is over", answer(429, "").with_header("retry-after", past)),
        ("429 without", answer(429, "slow down")),
        ("500", answer(500, "oh no")),
        ("501", answer(501, "what?")),
        ("503 with a wait", answer(503, "").with_header("retry-after", "1")),
        ("401", answer(401, "who are you?")),
        ("nothing in a 204", answer(204, "")),
        ("more than anybody wants to read", answer(200, &"x".repeat(4 << 20))),
        ("never an answer", Reply::Silence),
        ("an end in the middle of the body", Reply::Cut),
    ]
}

#[tokio::test]
async fn event_arrives_under_one_id_whatever_fails_first() {
    for (title, first) in first_replies() {
        let script = move |request: &Request| match request.number {
            0 => first.clone(),
            _ => Reply::success(),
        };
        let server = Server::start(script).await;
        let sink = segment(&server.url);
        let (client, losses) = watched(builder(sink.clone()));
        let ids = send_and_flush(&client, 1).await;

        let requests = server.requests();
        assert_eq!(requests.len(), 2, "{title}");
        let expected = vec![sink.message_id(ids[0]).to_string()];
        for request in &requests {
            assert_eq!(
                (request.path.as_str(), request.ids()),
                ("/v1/batch", expected.clone()),
                "{title}"
            );
            // Basic authentication of `s3cr3t:`.
            assert_eq!(request.header("authorization"), Some("Basic czNjcjN0Og=="), "{title}");
        }
        let sent_at = |index: usize| requests[index].body["sentAt"].as_str().unwrap();
        assert!(sent_at(0) < sent_at(1), "{title}: the time of sending is that of the attempt");
        let times: HashSet<_> = requests
            .iter()
            .map(|request| request.body["batch"][0]["timestamp"].to_string())
            .collect();
        assert_eq!(times.len(), 1, "{title}: the time of the event is not that of the attempt");
        assert_eq!(requests[1].header("x-retry-count"), Some("1"), "{title}");

        let counts = client.counts();
        assert_eq!((counts.accepted, counts.delivered, counts.lost_total()), (1, 1, 0), "{title}");
        assert_eq!((lost(&losses), counts.paused), (vec![], None), "{title}");
    }
}

#[tokio::test]
async fn event_that_was_taken_without_an_answer_keeps_its_id() {
    // The server has it, and the client cannot know.
    let script = |request: &Request| match request.number {
        0 | 1 => Reply::Silence,
        _ => Reply::success(),
    };
    let server = Server::start(script).await;
    let (client, _) = watched(builder(segment(&server.url)));
    send_and_flush(&client, 3).await;
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.ids() == requests[0].ids()));
}

#[tokio::test]
async fn event_waits_for_a_server_that_is_not_there_yet() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let url = format!("http://{address}").parse().unwrap();
    let (client, _) = watched(builder(segment(&url)));
    send(&client);
    let left = client.flush(Duration::from_millis(50)).await;
    assert_eq!((left.queued, left.in_flight), (0, 1));
    assert!(client.counts().requests["transient"] > 0);

    let server = Server::start_at(&address, |_: &Request| Reply::success()).await;
    assert!(client.flush(PATIENCE).await.is_empty());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn one_bad_event_does_not_spoil_its_batch() {
    for status in [400, 413] {
        let bad = Arc::new(Mutex::new(String::new()));
        let culprit = Arc::clone(&bad);
        let script = move |request: &Request| {
            let is_bad = request.ids().contains(&culprit.lock().unwrap());
            if is_bad {
                Reply::of(status, "something is wrong with something")
            } else {
                Reply::success()
            }
        };
        let server = Server::start(script).await;
        let sink = segment(&server.url);
        let (client, losses) = watched(builder(sink.clone()));
        let ids: Vec<_> = (0..20).map(|_| send(&client)).collect();
        *bad.lock().unwrap() = sink.message_id(ids[13]).to_string();
        assert!(client.flush(PATIENCE).await.is_empty());

        assert_eq!(lost(&losses), [(ids[13], LossReason::Rejected)]);
        let details = losses.lock().unwrap()[0].details.clone().unwrap();
        assert_eq!(details, format!("answered {status}: something is wrong with something"));
        let good = |request: &&Request| !request.ids().contains(&bad.lock().unwrap());
        let delivered: Vec<_> =
            server.requests().iter().filter(good).flat_map(Request::ids).collect();
        let expected: Vec<_> = ids.iter().map(|id| sink.message_id(*id).to_string()).collect();
        let expected: Vec<_> =
            expected.into_iter().filter(|id| *id != *bad.lock().unwrap()).collect();
        assert_eq!(delivered, expected, "each of the others once, in order");
        assert_eq!(client.counts().delivered, 19);
    }
}

#[tokio::test]
async fn body_that_is_too_large_for_the_server_goes_in_smaller_ones() {
    let script = |request: &Request| match request.ids().len() {
        0..=3 => Reply::success(),
        _ => Reply::of(413, ""),
    };
    let server = Server::start(script).await;
    let (client, losses) = watched(builder(segment(&server.url)));
    send_and_flush(&client, 20).await;
    assert_eq!((client.counts().delivered, lost(&losses)), (20, vec![]));
}

#[tokio::test]
async fn pause_that_the_server_asks_for_costs_the_event_nothing() {
    let pauses = [
        Reply::of(429, "").with_header("retry-after", "1"),
        Reply::of(503, "").with_header("retry-after", "1"),
        Reply::of(429, ""),
        Reply::of(401, ""),
        Reply::of(402, ""),
    ];
    for pause in pauses {
        let asked = matches!(&pause, Reply::Answer(_, headers, _) if !headers.is_empty());
        let reply = pause.clone();
        let script = move |request: &Request| match request.number {
            0..3 => reply.clone(),
            _ => Reply::success(),
        };
        let server = Server::start(script).await;
        let (client, losses) = watched(impatient(builder(segment(&server.url)), 1));
        let began = Instant::now();
        send_and_flush(&client, 1).await;
        assert_eq!((client.counts().delivered, lost(&losses)), (1, vec![]), "{pause:?}");
        // A second each was asked for, and 20 ms are granted.
        assert!(!asked || began.elapsed() >= WAIT_MAX * 3, "{pause:?}");
    }
}

#[tokio::test]
async fn key_that_is_refused_is_told_until_it_is_good() {
    let script = |request: &Request| match request.number {
        0 => Reply::of(401, "no such key: s3cr3t"),
        _ => Reply::Gate,
    };
    let server = Server::start(script).await;
    let (client, _) = watched(builder(segment(&server.url)));
    send(&client);
    assert!(!client.flush(Duration::ZERO).await.is_empty());
    server.arrived(2).await;
    assert_eq!(client.counts().paused.unwrap(), "answered 401: no such key: …");
    server.open_gate();
    assert!(client.flush(PATIENCE).await.is_empty());
    assert_eq!(client.counts().paused, None);
}

#[tokio::test]
async fn observer_that_panics_does_not_stop_what_is_sent() {
    let script = |request: &Request| match request.ids().len() {
        1 => Reply::of(400, ""),
        _ => Reply::success(),
    };
    let server = Server::start(script).await;
    let panicking = builder(segment(&server.url)).on_loss(|_| panic!("on purpose"));
    let client = panicking.build().unwrap();
    send_and_flush(&client, 1).await;
    send_and_flush(&client, 2).await;
    assert_eq!((client.counts().lost_total(), client.counts().delivered), (1, 2));
}

#[tokio::test]
async fn event_is_given_up_after_its_last_attempt_and_told() {
    let server = Server::start(|_: &Request| Reply::of(500, "oh no")).await;
    let (client, losses) = watched(impatient(builder(segment(&server.url)), 3));
    let ids = send_and_flush(&client, 2).await;
    assert_eq!(server.requests().len(), 3);
    assert_eq!(lost(&losses), ids.iter().map(|id| (*id, LossReason::GivenUp)).collect::<Vec<_>>());
    assert_eq!(losses.lock().unwrap()[0].details.as_deref(), Some("answered 500: oh no"));
    assert_eq!(client.counts().lost[&LossReason::GivenUp], 2);
}
