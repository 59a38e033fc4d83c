//! `tidings listen --analytics`: Segment and PostHog for developers, which show what arrives and keep nothing.
//!
//! What the services refuse is refused with their own answers, and what they take and throw away is said.

mod place;
mod read;
mod show;
mod tally;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderName, HeaderValue},
    http::request::Parts,
};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;

use self::{
    place::Place,
    read::{Reading, Refusal, read},
    show::{Arrival, Recorded, Refused},
    tally::{Summary, Tally},
};
use super::{
    answered, clock,
    door::{Door, Receive, bind},
    empty,
    reply::{Reply, trouble},
};
use crate::{
    arguments::listen::Listen,
    context::Context,
    exit::Exit,
    failure::Coded,
    output::{Output, sheet::Sheet},
    signals::Signals,
};

/// More than the largest body of either service.
const BODY_BYTES_MAX: usize = (20 << 20) + 1;

/// What pages of another address may do.
const CROSS_ORIGIN: [(HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, *"),
];

/// Where we listen.
#[derive(Debug, Serialize)]
struct Listening {
    url: String,
    services: [&'static str; 2],
}

/// The recorder, which all connections share.
#[derive(Debug)]
struct Recorder {
    listen: Listen,
    output: Output,
    tally: Mutex<Tally>,
    enough: Notify,
}

/// Records until a signal, or until enough has come, and says what it came to.
///
/// # Errors
///
/// The port is taken, or, with --count, a service would not have kept everything.
pub(super) async fn run(context: &Context, listen: &Listen) -> Result<()> {
    let mut signals = Signals::listen()?;
    let listener = bind(listen.port).await?;
    let url = format!("http://{}/", listener.local_addr().context("listen")?);
    let recorder = Arc::new(Recorder {
        listen: listen.clone(),
        output: context.output.clone(),
        tally: Mutex::default(),
        enough: Notify::new(),
    });
    let listening = Listening { url, services: ["segment", "posthog"] };
    recorder.output.next(&listening, || {
        Sheet::new()
            .field("listening", &listening.url)
            .field("speaking", "Segment and PostHog")
            .field("stop", "Ctrl-C")
    })?;
    let door = Door::default();
    tokio::select! {
        failed = door.accept(&recorder, &listener) => failed?,
        () = recorder.enough.notified() => {}
        _ = signals.next() => {}
    }
    door.close().await;
    let summary = recorder.summary();
    recorder.output.next(&summary, || summary.sheet())?;
    if listen.count.is_some() && !summary.is_whole() {
        let said = "listen: not everything would have been kept";
        return Err(Coded::new(Exit::Failed, said).into());
    }
    Ok(())
}

impl Receive for Recorder {
    async fn receive(&self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let place = Place::at(head.uri.path());
        if head.method == Method::OPTIONS {
            return Ok(open(empty(StatusCode::NO_CONTENT)));
        }
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
        // What is too long for this is too long for them.
        let body = body.map(Collected::to_bytes).ok();
        if !self.listen.delay.is_zero() {
            tokio::time::sleep(self.listen.delay).await;
        }
        if place == Some(Place::Question) {
            return Ok(open(json(StatusCode::OK, &Value::Object(serde_json::Map::new()))));
        }
        self.record(place, &head, body.as_deref()).map(open)
    }
}

impl Recorder {
    /// Shows and counts what a request says, and returns what it is answered with.
    fn record(
        &self,
        place: Option<Place>,
        head: &Parts,
        body: Option<&[u8]>,
    ) -> io::Result<Response<Full<Bytes>>> {
        let at = DateTime::<Utc>::from(clock());
        // Lines come in the order of their numbers.
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        let number = tally.request();
        if self.listen.count == Some(number) {
            self.enough.notify_one();
        }
        let reading = judge(place, &head.method, &head.headers, body);
        let trouble = trouble(&self.listen, number);
        if let Some(Reply::Answer(answer)) = trouble {
            let count = reading.as_ref().map_or(0, |reading| reading.messages.len());
            let reason = format!("on purpose; {count} messages were not taken");
            self.refuse(&mut tally, (at, number), head, (answer.status, place, reason));
            return Ok(answered(answer));
        }
        let reading = match reading {
            Ok(reading) => reading,
            Err(refusal) => {
                let Refusal { status, reason, .. } = &refusal;
                self.refuse(&mut tally, (at, number), head, (*status, place, reason.clone()));
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST);
                return Ok(json(status, &refusal.body(place)));
            }
        };
        let vendor = place.map_or(tidings::analytics::wire::Vendor::Segment, Place::vendor);
        let closed = trouble == Some(Reply::Close);
        let Reading { key, messages, answer } = reading;
        let status = (!closed).then_some(200);
        let arrival = Arrival { at, request: number, service: vendor.as_str(), key: &key, status };
        tally.key(&key);
        for message in messages {
            let times = tally.message(vendor, &message);
            let recorded = Recorded::new(message, &arrival, times);
            drop(if self.listen.verbose {
                self.output.next(&recorded, || recorded.sheet())
            } else {
                self.output.line(&recorded, || recorded.line())
            });
        }
        if closed {
            return Err(io::Error::other("closed on purpose"));
        }
        Ok(json(StatusCode::OK, &answer))
    }

    fn refuse(
        &self,
        tally: &mut Tally,
        (received_at, request): (DateTime<Utc>, u64),
        head: &Parts,
        (status, place, reason): (u16, Option<Place>, String),
    ) {
        tally.refuse();
        let service = place.map(|place| place.vendor().as_str());
        let target = head.uri.path().to_owned();
        let refused = Refused { received_at, request, service, target, status, reason };
        drop(self.output.line(&refused, || refused.line()));
    }

    fn summary(&self) -> Summary {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).summary()
    }
}

/// Returns what a request says, or why a service would not take it.
fn judge(
    place: Option<Place>,
    method: &Method,
    headers: &HeaderMap,
    body: Option<&[u8]>,
) -> Result<Reading, Refusal> {
    let place = place.ok_or_else(|| {
        let reason = "neither Segment nor PostHog has this path";
        Refusal::new(404, "not_found", reason)
    })?;
    if method != Method::POST {
        return Err(Refusal::new(405, "method_not_allowed", "events are sent with POST"));
    }
    let body = body.ok_or_else(|| {
        let status = if matches!(place, Place::Segment(_)) { 400 } else { 413 };
        Refusal::new(status, "too_large", "the body is larger than 20 MB")
    })?;
    read(place, headers, body)
}

fn json(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Lets pages of another address read an answer.
fn open(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    for (name, value) in CROSS_ORIGIN {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
