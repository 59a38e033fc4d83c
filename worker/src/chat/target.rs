//! One subscriber's room, and what is posted there.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tidings::{
    deliverer::{Answer, BoxFuture, Destination, OpenError, Verdict},
    delivery::{Delivery, RegisteredEvent},
    subscriber::Subscriber,
};

use super::{
    Config, Error, Kind, TemplateError, answer::judge, body::Message, digest::Digest,
    template::Templates,
};
use crate::{
    roster::chain,
    telemetry,
    webhook::{
        Webhook,
        caller::{Attempt, Caller},
        target::GRACE,
    },
};

/// A room reads best in order, and the services take about one message a second.
const IN_FLIGHT: usize = 1;

/// A room that is ready to be posted to.
pub(super) struct Target {
    kind: Kind,
    subscriber_id: i32,
    caller: Caller,
    templates: Templates,
    /// Whether a failing template was reported; it would fail for every event.
    reported: AtomicBool,
}

impl Target {
    /// Checks what is stored of `subscriber`, and gets ready to post.
    pub(super) fn open(
        kind: Kind,
        webhook: &Webhook,
        subscriber: &Subscriber,
    ) -> Result<Self, OpenError> {
        let refused = |error: Error| OpenError::new(chain(&error));
        let config = Config::read(&subscriber.config).map_err(refused)?;
        let endpoint = config.check(webhook.policy()).map_err(refused)?;
        let templates = Templates::compile(kind, &config.templates).map_err(refused)?;
        let caller = webhook.caller(endpoint, config.timeout_ms.map(Duration::from_millis))?;
        let subscriber_id = subscriber.subscriber_id;
        Ok(Self { kind, subscriber_id, caller, templates, reported: AtomicBool::new(false) })
    }

    /// Posts `message` once and says what became of it; it takes no longer than the subscriber's timeout.
    pub(super) async fn post(&self, message: &Message) -> Attempt {
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, json)]);
        let attempt = self.caller.attempt(headers, message.body(self.kind).to_string()).await;
        judge(self.kind, attempt)
    }

    /// Posts the message of `event`; one whose template fails is the default message, and the answer says so.
    async fn deliver_one(&self, event: &RegisteredEvent) -> Answer {
        let digest = || Message::Digest(Digest::of(event));
        let (message, note) = match self.templates.render(event) {
            None => (digest(), None),
            Some((_, Ok(text))) => (Message::Text(text), None),
            Some((pattern, Err(error))) => (digest(), Some(self.failed(pattern, &error))),
        };
        let mut answer = self.post(&message).await.answer;
        if let Some(note) = note {
            answer.error = Some(match answer.error {
                Some(error) if answer.verdict != Verdict::Delivered => format!("{error}; {note}"),
                _ => note,
            });
        }
        answer
    }

    /// Reports a failing template, and returns what is kept with the attempt.
    fn failed(&self, pattern: &str, error: &TemplateError) -> String {
        let is_first = !self.reported.swap(true, Ordering::Relaxed);
        telemetry::template_failed(self.subscriber_id, pattern, error.line, is_first);
        format!(
            "the default message was posted, because the template for {pattern:?} failed: {error}"
        )
    }
}

impl Destination for Target {
    fn in_flight_max(&self) -> usize {
        IN_FLIGHT
    }

    fn timeout(&self) -> Duration {
        self.caller.timeout() + GRACE
    }

    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(join_all(deliveries.iter().map(|delivery| self.deliver_one(&delivery.event))))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("kind", &self.kind)
            .field("endpoint", self.caller.endpoint())
            .field("timeout", &self.caller.timeout())
            .finish_non_exhaustive()
    }
}
