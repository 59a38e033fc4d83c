//! What waits, what is dropped, and what is left.

use tidings_analytics::{
    Memory,
    client::{BuildError, QueueLimits, SendError, WhenFull},
    wire::{Call, Id, Identity},
};

use super::*;

const VISITED: Event = Event::track("shop:visited", Level::Full);
const SIGNED_UP: Event = Event::track("user:signed-up", Level::Basic).with_call(Call::Identify);

fn limits(events_max: usize, when_full: WhenFull) -> QueueLimits {
    QueueLimits { events_max, when_full, ..QueueLimits::default() }
}

/// `accepted = delivered + lost + queued + in flight`.
fn assert_balanced(client: &Client) {
    let counts = client.counts();
    let waiting = u64::try_from(counts.queued + counts.in_flight).unwrap();
    assert_eq!(counts.accepted, counts.delivered + counts.lost_total() + waiting, "{counts:?}");
}

#[tokio::test]
async fn events_that_are_gathered_leave_in_one_request() {
    let server = Server::start(|_: &Request| Reply::success()).await;
    let (client, _) = watched(builder(segment(&server.url)));
    send_and_flush(&client, 3).await;
    assert_eq!(
        server.requests().iter().map(|request| request.ids().len()).collect::<Vec<_>>(),
        [3]
    );
}

#[tokio::test]
async fn event_leaves_by_itself_when_it_has_waited_for_company() {
    let server = Server::start(|_: &Request| Reply::success()).await;
    let (client, _) = watched(builder(segment(&server.url)).linger(Duration::from_millis(1)));
    send(&client);
    server.arrived(1).await;
}

#[tokio::test]
async fn full_queue_does_as_it_was_told_and_counts_it() {
    for when_full in [WhenFull::Reject, WhenFull::DropNew, WhenFull::DropOld] {
        let server = Server::start(|_: &Request| Reply::success()).await;
        let sink = segment(&server.url);
        let (client, losses) = watched(builder(sink.clone()).queue(limits(2, when_full)));
        let ids = [send(&client), send(&client)];
        let third = client.send_event(&PLACED, &TelemetryData::new());
        let counts = client.counts();
        assert_balanced(&client);
        let expected = match when_full {
            WhenFull::Reject => {
                let error = third.unwrap_err();
                assert!(error == SendError::Full && error.is_transient());
                assert_eq!((counts.accepted, counts.turned_away), (2, 1));
                vec![]
            }
            WhenFull::DropNew => {
                assert_eq!(third, Ok(Sent::Dropped));
                assert_eq!((counts.accepted, counts.turned_away), (2, 1));
                vec![]
            }
            WhenFull::DropOld => {
                assert!(matches!(third, Ok(Sent::Queued(_))));
                assert_eq!((counts.accepted, counts.turned_away), (3, 0));
                vec![(ids[0], LossReason::QueueFull)]
            }
        };
        assert_eq!(lost(&losses), expected, "{when_full:?}");
        assert!(client.flush(PATIENCE).await.is_empty());
        assert_eq!(server.requests()[0].ids().len(), 2);
        assert_balanced(&client);
    }
}

#[tokio::test]
async fn flush_waits_for_what_is_in_flight_and_tells_what_is_left() {
    let server = Server::start(|_: &Request| Reply::Gate).await;
    let slow = builder(segment(&server.url)).timeouts(PATIENCE, PATIENCE);
    let (client, losses) = watched(slow);
    send(&client);
    // The sender has taken it, and the server has not answered.
    let left = client.flush(Duration::ZERO).await;
    assert_eq!(left.queued + left.in_flight, 1);
    server.arrived(1).await;
    send(&client);
    let left = client.flush(Duration::from_millis(5)).await;
    assert_eq!((left.queued, left.in_flight), (1, 1));
    assert_balanced(&client);

    server.open_gate();
    assert!(client.flush(PATIENCE).await.is_empty());
    assert_eq!((client.counts().delivered, lost(&losses)), (2, vec![]));
}

#[tokio::test]
async fn shutdown_sends_what_waits_and_takes_nothing_more() {
    let server = Server::start(|_: &Request| Reply::success()).await;
    let (client, losses) = watched(builder(segment(&server.url)));
    let other = client.clone();
    send(&client);
    assert!(client.shutdown(PATIENCE).await.is_empty());
    assert_eq!((client.counts().delivered, lost(&losses)), (1, vec![]));
    assert_eq!(other.send_event(&PLACED, &TelemetryData::new()), Err(SendError::Closed));
}

#[tokio::test]
async fn shutdown_that_runs_out_of_time_tells_and_counts_what_is_lost() {
    let server = Server::start(|_: &Request| Reply::of(500, "")).await;
    let (client, losses) = watched(builder(segment(&server.url)));
    let ids = [send(&client), send(&client)];
    let left = client.shutdown(Duration::from_millis(20)).await;
    assert_eq!(left.queued + left.in_flight, 2);
    assert_eq!(lost(&losses), ids.map(|id| (id, LossReason::Shutdown)));
    assert_balanced(&client);
    assert_eq!(client.counts().lost_total(), 2);
}

#[tokio::test]
async fn what_waits_is_sent_when_the_last_client_is_dropped() {
    let server = Server::start(|_: &Request| Reply::success()).await;
    let (client, _) = watched(builder(segment(&server.url)));
    let other = client.clone();
    send(&client);
    drop(client);
    send(&other);
    drop(other);
    server.arrived(1).await;
    assert_eq!(server.requests()[0].ids().len(), 2);
}

#[tokio::test]
async fn lowered_level_stops_what_waits_and_raising_it_brings_nothing_back() {
    let script = |request: &Request| match request.number {
        0 => Reply::of(500, ""),
        _ => Reply::success(),
    };
    let server = Server::start(script).await;
    let (client, losses) = watched(builder(segment(&server.url)));
    let Ok(Sent::Queued(visited)) = client.send_event(&VISITED, &TelemetryData::new()) else {
        panic!("it is collected")
    };
    let placed = send(&client);
    client.set_level(Level::Basic);
    assert_eq!(client.send_event(&VISITED, &TelemetryData::new()), Ok(Sent::Ignored));
    client.set_level(Level::Full);
    assert!(client.flush(PATIENCE).await.is_empty());
    assert_eq!(lost(&losses), [(visited, LossReason::Expired)]);
    let id = segment(&server.url).message_id(placed).to_string();
    assert!(server.requests().iter().all(|request| request.ids() == [id.clone()]));
    assert_eq!(client.counts().ignored, 1);
    assert_balanced(&client);
}

#[tokio::test]
async fn lowered_level_stops_what_is_about_to_be_sent_again() {
    let server = Server::start(|_: &Request| Reply::of(500, "")).await;
    let (client, losses) = watched(builder(segment(&server.url)));
    let placed = send(&client);
    client.flush(Duration::ZERO).await;
    server.arrived(1).await;
    client.set_level(Level::Off);
    client.set_level(Level::Full);
    assert!(client.flush(PATIENCE).await.is_empty());
    assert_eq!(lost(&losses), [(placed, LossReason::Expired)]);
}

#[tokio::test]
async fn process_that_was_asked_not_to_track_sends_nothing_at_any_level() {
    let server = Server::start(|_: &Request| Reply::success()).await;
    let (client, _) = watched(builder(segment(&server.url)).do_not_track(true));
    client.set_level(Level::Full);
    assert_eq!(client.level(), Level::Off);
    assert_eq!(client.send_event(&PLACED, &TelemetryData::new()), Ok(Sent::Ignored));
    assert!(client.shutdown(PATIENCE).await.is_empty());
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn event_has_the_identity_that_it_is_given_or_that_of_the_installation() {
    let memory = Memory::new();
    let client = Client::builder(memory.clone(), Uuid::from_u128(7), sources())
        .level(Level::Basic)
        .build()
        .unwrap();
    client.send_event(&PLACED, &TelemetryData::new()).unwrap();
    let placed = memory.assert_sent("order:placed");
    assert_eq!(placed.identity().user, Some(Id::new(Uuid::from_u128(7).to_string()).unwrap()));
    assert_eq!(placed.properties().as_map()["event_properties"]["type"], "order:placed");

    let identity = Identity::anonymous(Id::new("k:device").unwrap());
    client.send_event_of(&SIGNED_UP, identity.clone(), &TelemetryData::new()).unwrap();
    assert_eq!(memory.assert_sent("user:signed-up").identity(), &identity);
    assert!(client.shutdown(Duration::ZERO).await.is_empty());
    assert_eq!(client.send_event(&PLACED, &TelemetryData::new()), Err(SendError::Closed));
}

#[tokio::test]
async fn client_that_cannot_work_is_refused_when_it_is_built() {
    let url = "http://127.0.0.1:9".parse().unwrap();
    let none = builder(segment(&url)).queue(limits(0, WhenFull::Reject)).build();
    assert!(matches!(none, Err(BuildError::Queue)));
    let nil = Client::builder(segment(&url), Uuid::nil(), sources()).build();
    assert!(matches!(nil, Err(BuildError::Installation(_))));
}

#[test]
fn client_outside_of_a_runtime_is_refused() {
    let url = "http://127.0.0.1:9".parse().unwrap();
    assert!(matches!(builder(segment(&url)).build(), Err(BuildError::Runtime)));
}
