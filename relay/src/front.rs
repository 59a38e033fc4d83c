//! A web site behind the relay: what is no route of the relay's is passed on to it, and its pages get the browser
//! client.
//!
//! Everything is streamed in both directions, and nothing of it is kept.
//! Of a page no more than one tag is held back at a time; other answers pass byte by byte.
//! Protocols that take the connection over, as `WebSockets` do, are refused with 501.

mod headers;
mod injector;
mod policy;
mod tag;
mod upstream;

use std::{
    collections::BTreeSet,
    fmt::Write,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::Response,
};
use futures_util::{Stream, StreamExt, stream};
use tokio_util::sync::CancellationToken;

use self::{
    headers::Kind,
    injector::{Injector, Outcome, escaped},
    policy::{Place, Policies, Verdict},
    upstream::{Missing, Upstream},
};
use crate::{Error, Result, metrics::Metrics, protocol::content, route, telemetry};

/// How long a site may take to begin with its answer.
const PATIENCE: Duration = Duration::from_mins(1);

/// A web site that the relay stands before.
///
/// ```
/// use tidings_relay::Front;
///
/// # fn main() -> tidings_relay::Result<()> {
/// let front = Front::new("http://127.0.0.1:3000")?.inject([("require-consent", "true")])?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Front {
    upstream: Upstream,
    patience: Duration,
    /// The attributes of the script, if pages get it.
    attributes: Option<String>,
}

impl Front {
    /// Returns a front of the site at this address, `http://127.0.0.1:3000` for example.
    ///
    /// The site gets the `Host` that browsers ask for, and `X-Forwarded-For`, `-Proto` and `-Host`.
    ///
    /// # Errors
    ///
    /// It is no http or https address of a host, with a path at most; or there is no TLS for an https one.
    pub fn new(upstream: &str) -> Result<Self> {
        Ok(Self { upstream: Upstream::new(upstream)?, patience: PATIENCE, attributes: None })
    }

    /// Puts the browser client into the pages of the site, with these options of its script tag: `key` for `data-key`.
    ///
    /// # Errors
    ///
    /// A name that is not of lower-case letters and `-`.
    pub fn inject<N: AsRef<str>, V: AsRef<str>>(
        mut self,
        options: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self> {
        let mut attributes = String::new();
        for (name, value) in options {
            let (name, value) = (name.as_ref(), value.as_ref());
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
            if name.is_empty() || !name.bytes().all(is_plain) {
                return Err(Error::BadScriptOption { name: name.to_owned() });
            }
            // Writing to a string cannot fail.
            write!(attributes, " data-{name}=\"{}\"", escaped(value)).ok();
        }
        self.attributes = Some(attributes);
        Ok(self)
    }

    /// Sets how long the site may take to begin with an answer, a minute by default; an upload that goes on does not
    /// count.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

/// Puts a router before a site: what the relay has no route for is the site's.
pub(crate) fn before(
    router: Router,
    front: Front,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> Router {
    let site = Arc::new(Site { front, metrics, shutdown, told: Mutex::default() });
    router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let site = Arc::clone(&site);
        async move {
            if route::owns(request.method(), request.uri().path()) {
                return next.run(request).await;
            }
            site.pass(request).await
        }
    }))
}

/// The site, as long as the relay runs.
#[derive(Debug)]
struct Site {
    front: Front,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
    /// What the log says already.
    told: Mutex<BTreeSet<&'static str>>,
}

impl Site {
    /// Passes a request on, and the answer back.
    async fn pass(self: Arc<Self>, request: Request) -> Response {
        if headers::is_upgrade(&request) {
            self.metrics.passed("refused");
            let text = "WebSockets and other upgrades do not pass the relay; let them reach the site itself\n";
            return said(StatusCode::NOT_IMPLEMENTED, text);
        }
        let place = headers::place(request.headers());
        let is_page = self.front.attributes.is_some() && headers::may_be_page(&request);
        let forwarded = headers::forwarded(&request, &place, is_page);
        match self.front.upstream.ask(request, forwarded, self.front.patience).await {
            Ok(answer) => {
                if self.forget("unreachable") {
                    telemetry::site_reached();
                }
                self.answer(answer, is_page.then_some(place))
            }
            Err(Missing::Unreachable(error)) => {
                self.metrics.passed("unreachable");
                if self.is_new("unreachable") {
                    telemetry::site_unreachable(&error);
                }
                said(
                    StatusCode::BAD_GATEWAY,
                    "The site behind this relay cannot be reached; try again later\n",
                )
            }
            Err(Missing::Silent) => {
                self.metrics.passed("silent");
                said(
                    StatusCode::GATEWAY_TIMEOUT,
                    "The site behind this relay does not answer in time; try again later\n",
                )
            }
        }
    }

    /// Makes the answer of the site ours; `place` is where the browser is, if it is to show it.
    fn answer(self: Arc<Self>, answer: Response, place: Option<Place>) -> Response {
        let (mut parts, body) = answer.into_parts();
        headers::strip(&mut parts.headers);
        let kind = Kind::of(parts.status, &parts.headers);
        let chunks = body.into_data_stream();
        let body = match (kind, place, &self.front.attributes) {
            (Kind::Page, Some(place), Some(attributes)) => {
                match self.injector(attributes, place, &parts.headers) {
                    Some(injector) => {
                        headers::loosen(&mut parts.headers);
                        injected(chunks, injector, self)
                    }
                    None => Body::from_stream(chunks),
                }
            }
            (Kind::Events, ..) => {
                self.metrics.passed("passed");
                // It would keep the relay from ending; browsers come again by themselves.
                Body::from_stream(chunks.take_until(self.shutdown.clone().cancelled_owned()))
            }
            (kind, place, _) => {
                if kind == Kind::Compressed && place.is_some() && self.is_new("compressed") {
                    telemetry::page_compressed();
                }
                self.metrics.passed("passed");
                Body::from_stream(chunks)
            }
        };
        Response::from_parts(parts, body)
    }

    /// Returns what puts the script into a page; `None` where its headers forbid that.
    fn injector(&self, attributes: &str, place: Place, headers: &HeaderMap) -> Option<Injector> {
        let policies = Policies::of(headers);
        if let Verdict::Forbidden(directive) = policies.verdict(&place) {
            self.note(Outcome::Forbidden(directive));
            return None;
        }
        Some(Injector::new(attributes.to_owned(), place, policies))
    }

    /// Counts what has become of a page, and says once what somebody may want to change.
    fn note(&self, outcome: Outcome) {
        self.metrics.passed(match outcome {
            Outcome::Injected => "injected",
            Outcome::Present => "present",
            Outcome::Fragment => "fragment",
            Outcome::Forbidden(_) => "forbidden",
        });
        if let Outcome::Forbidden(directive) = outcome
            && self.is_new(directive)
        {
            telemetry::script_forbidden(directive);
        }
    }

    fn is_new(&self, told: &'static str) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).insert(told)
    }

    fn forget(&self, told: &'static str) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).remove(told)
    }
}

/// Lets a page stream through what puts the script into it.
fn injected(
    chunks: impl Stream<Item = Result<Bytes, axum::Error>> + Send + Unpin + 'static,
    injector: Injector,
    site: Arc<Site>,
) -> Body {
    let stream = stream::unfold(Some((chunks, injector, site)), async |state| {
        let (mut chunks, mut injector, site) = state?;
        loop {
            let was_known = injector.outcome().is_some();
            let (chunk, is_over) = match chunks.next().await {
                Some(Ok(chunk)) => (injector.feed(chunk), false),
                Some(Err(error)) => return Some((Err(error), None)),
                None => (injector.end(), true),
            };
            if let Some(outcome) = injector.outcome().filter(|_| !was_known) {
                site.note(outcome);
            }
            if is_over {
                return (!chunk.is_empty()).then_some((Ok(chunk), None));
            }
            if !chunk.is_empty() {
                return Some((Ok(chunk), Some((chunks, injector, site))));
            }
        }
    });
    Body::from_stream(stream)
}

/// Says something to a person, in the place of the site.
fn said(status: StatusCode, text: &'static str) -> Response {
    let mut response = content(status, "text/plain; charset=utf-8", text);
    if status != StatusCode::NOT_IMPLEMENTED {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}
