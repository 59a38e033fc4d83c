//! Chat services, through a worker: readable messages, and what their answers mean.

use std::time::Duration;

use serde_json::{Value, json};
use tidings::{address::AllowList, endpoint::Policy};
use tidings_tests::{Draft, Receiver, Reply, SOON, World, eventually, world::Guard};
use tidings_worker::{
    Builder, Webhook, Worker,
    chat::{self, Kind},
    webhook::Settings,
};

const TYPE: &str = "order:placed";

/// At once, and then after a tenth of a second.
const QUICK: &str = r#"{"delays_s": [0, 0.1]}"#;

/// A world whose subscribers are rooms on loopback.
struct Rooms {
    world: World,
    _worker: Guard,
}

impl Rooms {
    async fn new() -> Self {
        let world = World::new(&[TYPE]).await;
        let policy = Policy { allow: AllowList::loopback(), ..Policy::default() };
        let settings = Settings { policy, ..Settings::default() };
        let webhook = Webhook::builder().settings(settings).build().unwrap();
        let builder = Worker::builder(world.pool.clone());
        let builder = chat::all(&webhook).into_iter().fold(builder, Builder::deliverer);
        // It makes the groups of its kinds, without which there are no subscribers of them.
        let worker = world.worker_with(builder).await;
        eventually(SOON, "the kinds are announced", || async {
            let groups = "select count(distinct group_name) from tidings.shard where group_name in ('slack', 'teams', 'discord')";
            (world.value::<i64>(groups).await == 3).then_some(())
        })
        .await;
        Self { world, _worker: worker }
    }

    /// Adds a room that is subscribed to everything, and returns its id.
    async fn add(&self, kind: Kind, receiver: &Receiver, templates: Value) -> i32 {
        let config = json!({ "url": receiver.url(), "templates": templates });
        let id = self.world.bare_subscriber(kind.as_str(), kind.as_str(), config).await;
        self.world.set_retry(id, QUICK).await;
        self.world.subscribe(id, TYPE, "", false).await;
        id
    }

    /// Returns the attempts that were logged: outcome, status and error.
    async fn attempts(&self) -> Vec<(String, Option<i16>, Option<String>)> {
        sqlx::query_as("select outcome, status, error from tidings.attempt order by attempt")
            .fetch_all(&self.world.pool)
            .await
            .unwrap()
    }

    async fn disabled_reason(&self) -> String {
        eventually(SOON, "the subscriber is disabled", || async {
            let reason =
                "select max(disabled_reason) from tidings.subscriber where disabled_at is not null";
            self.world.value::<Option<String>>(reason).await
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_gets_a_readable_message_in_its_own_form() {
    let rooms = Rooms::new().await;
    let receivers = [
        Receiver::answering([Reply::status(200).body("ok")]).await,
        Receiver::answering([Reply::status(202)]).await,
        Receiver::answering([Reply::status(204)]).await,
    ];
    for (kind, receiver) in Kind::ALL.into_iter().zip(&receivers) {
        rooms.add(kind, receiver, json!({})).await;
    }
    rooms.world.register(Draft::new(TYPE).number(7)).await;
    let mut bodies = Vec::new();
    for receiver in &receivers {
        let request = receiver.wait_for(1, SOON).await.remove(0);
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header("webhook-signature"), "");
        bodies.push(request.json());
    }
    rooms.world.drained().await;
    let [slack, teams, discord] = bodies.try_into().unwrap();
    let text = |body: &Value, field: &str| body[field].as_str().unwrap().to_owned();
    assert!(text(&slack, "text").starts_with("*Order placed*\nN: 7\n_"), "{slack}");
    assert!(text(&discord, "content").starts_with("**Order placed**\nN: 7\n_"), "{discord}");
    assert_eq!(discord["allowed_mentions"], json!({"parse": []}));
    assert!(text(&teams, "text").starts_with("**Order placed**"), "{teams}");
    let card = &teams["attachments"][0]["content"]["body"];
    assert_eq!((&card[0]["text"], &card[1]["type"]), (&json!("Order placed"), &json!("FactSet")));
}

#[tokio::test(flavor = "multi_thread")]
async fn template_makes_the_message_and_one_that_fails_costs_only_its_form() {
    let rooms = Rooms::new().await;
    let receiver = Receiver::accepting().await;
    let templates = json!({
        "order:placed": "Order {{ data.n }}{% if data.n == 0 %}{{ data.n | shout }}{% endif %} & more", "**": "{{ never used",
    });
    rooms.add(Kind::Slack, &receiver, templates).await;
    rooms.world.register(Draft::new(TYPE).number(4)).await;
    receiver.wait_for(1, SOON).await;
    rooms.world.drained().await;
    rooms.world.register(Draft::new(TYPE).number(0)).await;
    let requests = receiver.wait_for(2, SOON).await;
    rooms.world.drained().await;
    assert_eq!(requests[0].json(), json!({"text": "Order 4 & more"}));
    let text = requests[1].json()["text"].as_str().unwrap().to_owned();
    assert!(text.starts_with("*Order placed*\nN: 0\n"), "{text}");
    let attempts = rooms.attempts().await;
    let notes: Vec<_> = attempts.iter().filter_map(|(_, _, error)| error.as_deref()).collect();
    assert!(attempts.iter().all(|(outcome, ..)| outcome == "delivered"), "{attempts:?}");
    assert!(
        matches!(notes[..], [note] if note.contains("the template for \"order:placed\" failed: line 1: ")),
        "{attempts:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_that_discord_asks_for_holds_the_room() {
    let rooms = Rooms::new().await;
    let wait = Reply::status(429)
        .header("retry-after", "1")
        .body(r#"{"message": "You are being rate limited.", "retry_after": 1.0, "global": false}"#);
    let bare = Reply::status(429).body(r#"{"retry_after": 0.6}"#);
    let receiver = Receiver::answering([wait, bare, Reply::status(204)]).await;
    rooms.add(Kind::Discord, &receiver, json!({})).await;
    rooms.world.register(Draft::new(TYPE)).await;
    let requests = receiver.wait_for(3, SOON).await;
    rooms.world.drained().await;
    for pair in requests.windows(2) {
        let gap = pair[1].at - pair[0].at;
        assert!(gap >= Duration::from_millis(900), "it came again after {gap:?}");
    }
    let attempts = rooms.attempts().await;
    let outcomes: Vec<_> =
        attempts.iter().map(|(outcome, status, _)| (outcome.as_str(), *status)).collect();
    assert_eq!(outcomes, [("retry", Some(429)), ("retry", Some(429)), ("delivered", Some(204))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn success_that_teams_takes_back_is_tried_again() {
    let rooms = Rooms::new().await;
    let taken_back = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429";
    let receiver =
        Receiver::answering([Reply::status(200).body(taken_back), Reply::status(200).body("1")])
            .await;
    rooms.add(Kind::Teams, &receiver, json!({})).await;
    rooms.world.register(Draft::new(TYPE)).await;
    receiver.wait_for(2, SOON).await;
    rooms.world.drained().await;
    let attempts = rooms.attempts().await;
    assert_eq!((attempts.len(), attempts[0].0.as_str(), attempts[0].1), (2, "retry", Some(200)));
    assert!(attempts[0].2.as_ref().unwrap().contains("HTTP error 429"), "{attempts:?}");
    assert_eq!(attempts[1], ("delivered".to_owned(), Some(200), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn room_that_is_gone_is_disabled_with_what_to_do() {
    let rooms = Rooms::new().await;
    let gone = Reply::status(404).body("no_service");
    let receiver = Receiver::answering([gone, Reply::status(200).body("ok")]).await;
    let id = rooms.add(Kind::Slack, &receiver, json!({})).await;
    rooms.world.register(Draft::new(TYPE)).await;
    let reason = rooms.disabled_reason().await;
    assert!(
        reason.contains("removed or turned off in Slack") && reason.contains("resume it"),
        "{reason}"
    );
    assert_eq!(rooms.world.pending().await, 1, "its message waits");
    sqlx::query("select tidings.resume($1)").bind(id).execute(&rooms.world.pool).await.unwrap();
    receiver.wait_for(2, SOON).await;
    rooms.world.drained().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhook_that_discord_does_not_know_is_gone_and_an_unknown_page_is_not() {
    let rooms = Rooms::new().await;
    let page = Reply::status(404).body("<html>Not Found</html>");
    let unknown = Reply::status(404).body(r#"{"message": "Unknown Webhook", "code": 10015}"#);
    let receiver = Receiver::answering([page, unknown]).await;
    rooms.add(Kind::Discord, &receiver, json!({})).await;
    rooms.world.register(Draft::new(TYPE)).await;
    let reason = rooms.disabled_reason().await;
    assert!(reason.contains("deleted in Discord"), "{reason}");
    assert_eq!(receiver.received().len(), 2);
}
