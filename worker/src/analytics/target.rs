//! One sink, and what is sent to it.

use std::{fmt, time::Duration};

use tidings::{
    analytics::wire::{
        Attempt, Batch, Call, Encoded, Identity, Key, Message, Name, Outcome, Response, Sink,
    },
    deliverer::{Answer, BoxFuture, Destination, OpenError, Verdict},
    delivery::Delivery,
    subscriber::Subscriber,
};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Analytics, Config, ConfigError, ContextProvider, message::message, turn::Turn};
use crate::webhook::{PING, Ping, caller::Caller, target::GRACE};

/// The most that is read of an answer; a verdict on each of 2,000 events is a tenth of it.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How many requests are on their way where the subscriber sets no limit.
const REQUESTS: usize = 2;

/// How many times the time of one request a call may take: a refused one is sent in halves.
const TURN: u32 = 4;

/// A sink that is ready to be sent to.
pub(super) struct Target {
    sink: Sink,
    caller: Caller,
    config: Config,
    installation: Uuid,
    context: ContextProvider,
}

impl Target {
    /// Checks what is stored of `subscriber`, and gets ready to send.
    pub(super) fn open(analytics: &Analytics, subscriber: &Subscriber) -> Result<Self, OpenError> {
        let refused = |error: ConfigError| OpenError::new(error.to_string());
        let Analytics { vendor, webhook, installation, context } = analytics;
        let config = Config::read(*vendor, &subscriber.config).map_err(refused)?;
        let endpoint = config.check(*vendor, webhook.policy()).map_err(refused)?;
        let token = subscriber.credentials.as_ref().and_then(|credentials| credentials.token());
        let token = token.ok_or(ConfigError::NoKey).map_err(refused)?;
        let key = Key::new(token).map_err(|error| refused(error.into()))?;
        let instance = subscriber.subscriber_id.to_string();
        let sink = config.sink(*vendor, key, &instance).map_err(refused)?;
        let caller = webhook.caller(endpoint, config.timeout_ms.map(Duration::from_millis))?;
        let (installation, context) = (*installation, ContextProvider::clone(context));
        Ok(Self { sink, caller, config, installation, context })
    }

    /// Sends one batch.
    async fn send(&self, batch: &Batch) -> (Outcome, Option<u16>) {
        let attempt = Attempt::first(Uuid::from_u128(rand::random()), self.caller.now());
        let request = self.sink.request(batch, &attempt);
        match self.caller.exchange(request.headers, request.body, ANSWER_BYTES_MAX).await {
            Err(reason) => (Outcome::unanswered(reason), None),
            Ok((status, headers, body)) => {
                let status = status.as_u16();
                let response = Response { status, headers, body: body.into() };
                (self.sink.classify(batch, &response, self.caller.now()), Some(status))
            }
        }
    }

    fn encode(&self, deliveries: &[Delivery]) -> Vec<Result<Encoded, Answer>> {
        let context = (self.context)();
        let encode = |delivery: &Delivery| {
            let message = message(delivery, self.installation, &self.config.consent, &context)?;
            let encoded = self.sink.encode(&message);
            encoded.map_err(|error| Answer::failed(Verdict::Refused, error.to_string()))
        };
        deliveries.iter().map(encode).collect()
    }

    async fn deliver_all(&self, deliveries: &[Delivery]) -> Vec<Answer> {
        // The last request has its whole time.
        let until = Instant::now() + self.caller.timeout() * (TURN - 1);
        let mut turn = Turn::new(self.encode(deliveries));
        while let Some((batch, part)) = turn.next(&self.sink) {
            let (outcome, status) = self.send(&batch).await;
            turn.took(part, outcome, status);
            if Instant::now() >= until {
                turn.end("the requests before it took too long");
            }
        }
        turn.into_answers()
    }

    /// Sends a test event.
    pub(super) async fn ping(&self, ping_id: Uuid) -> Ping {
        let started = Instant::now();
        let build = || {
            let identity = Identity::installation(self.installation)?;
            let name = Name::new(PING)?;
            let message = Message::new(ping_id, Call::Track, name, identity, self.caller.now())?;
            self.sink.encode(&message)
        };
        let encoded = build().map_err(|error| Answer::failed(Verdict::Refused, error.to_string()));
        let mut turn = Turn::new(vec![encoded]);
        if let Some((batch, part)) = turn.next(&self.sink) {
            let (outcome, status) = self.send(&batch).await;
            turn.took(part, outcome, status);
        }
        let answer = turn.into_answers().pop().unwrap_or_else(Answer::delivered);
        Ping {
            verdict: answer.verdict,
            status: answer.status,
            elapsed: started.elapsed(),
            body: String::new(),
            error: answer.error,
        }
    }
}

impl Destination for Target {
    fn batch_max(&self) -> usize {
        self.sink.limits().batch_events_max()
    }

    fn in_flight_max(&self) -> usize {
        REQUESTS * self.batch_max()
    }

    fn timeout(&self) -> Duration {
        self.caller.timeout() * TURN + GRACE
    }

    fn deliver<'a>(&'a self, deliveries: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(self.deliver_all(deliveries))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("sink", &self.sink)
            .field("config", &self.config)
            .field("timeout", &self.caller.timeout())
            .finish_non_exhaustive()
    }
}
