//! PostHog, which speaks of quotas, and in its newer protocol of each event.

use serde_json::json;

use super::*;

#[tokio::test]
async fn events_that_posthog_throws_away_for_its_bill_are_sent_again() {
    let script = |request: &Request| match request.number {
        0 => Reply::of(200, r#"{"status":1,"quota_limited":["events"]}"#),
        _ => Reply::of(200, r#"{"status":1}"#),
    };
    let server = Server::start(script).await;
    let (client, losses) = watched(impatient(builder(posthog(&server.url, Protocol::V0)), 1));
    send_and_flush(&client, 2).await;
    let requests = server.requests();
    assert_eq!((requests.len(), requests[0].path.as_str()), (2, "/batch/"));
    // Not a byte differs: PostHog recognises an event that comes again by its time as well.
    assert_eq!(requests[0].body, requests[1].body);
    assert_eq!((client.counts().delivered, lost(&losses)), (2, vec![]));
    assert_eq!(client.counts().requests["quota_limited"], 1);
}

#[tokio::test]
async fn verdict_of_each_event_is_followed_and_a_missing_one_is_asked_for_again() {
    let script = |request: &Request| {
        let ids = request.ids();
        let results = match request.number {
            0 => json!({
                &ids[0]: {"result": "ok"},
                &ids[1]: {"result": "drop", "details": "event_restriction_drop"},
                &ids[2]: {"result": "retry"},
                // Nothing about the fourth.
                &ids[4]: {"result": "warning", "details": "person_processing_disabled"},
            }),
            1 => json!({&ids[0]: {"result": "ok"}}),
            _ => json!({&ids[0]: {"result": "ok"}}),
        };
        Reply::of(200, &json!({"results": results}).to_string())
    };
    let server = Server::start(script).await;
    let sink = posthog(&server.url, Protocol::V1);
    let (client, losses) = watched(builder(sink.clone()));
    let ids = send_and_flush(&client, 5).await;

    let requests = server.requests();
    let expected = |index: &[usize]| -> Vec<_> {
        index.iter().map(|index| sink.message_id(ids[*index]).to_string()).collect()
    };
    let sent: Vec<_> = requests.iter().map(Request::ids).collect();
    assert_eq!(sent, [expected(&[0, 1, 2, 3, 4]), expected(&[2, 3]), expected(&[3])]);

    assert_eq!(lost(&losses), [(ids[1], LossReason::Rejected)]);
    let details = losses.lock().unwrap()[0].details.clone();
    assert_eq!(details.as_deref(), Some("drop: event_restriction_drop"));
    assert_eq!(client.counts().delivered, 4);

    // One id and one beginning for all attempts, a number and a time for each.
    let header = |index: usize, name: &str| requests[index].header(name).unwrap().to_owned();
    for index in 0..3 {
        assert_eq!(requests[index].path, "/i/v1/analytics/events");
        assert_eq!(header(index, "authorization"), "Bearer s3cr3t");
        assert_eq!(header(index, "posthog-attempt"), (index + 1).to_string());
        assert_eq!(header(index, "posthog-request-id"), header(0, "posthog-request-id"));
        assert_eq!(requests[index].body["created_at"], requests[0].body["created_at"]);
    }
    assert!(header(0, "posthog-request-timestamp") < header(1, "posthog-request-timestamp"));
}

#[tokio::test]
async fn event_that_is_never_spoken_of_is_given_up_in_the_end() {
    let server = Server::start(|_: &Request| Reply::of(200, r#"{"results":{}}"#)).await;
    let (client, losses) = watched(impatient(builder(posthog(&server.url, Protocol::V1)), 2));
    let ids = send_and_flush(&client, 1).await;
    assert_eq!(server.requests().len(), 2);
    assert_eq!(lost(&losses), [(ids[0], LossReason::GivenUp)]);
}
