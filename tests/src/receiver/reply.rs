//! An answer of a receiver: its status, its content, and how long it keeps the client waiting.

use std::{fmt, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::Response,
};
use futures_util::stream;

use crate::signal::Signal;

/// What an endless answer is made of.
const ENDLESS_CHUNK: Bytes = Bytes::from_static(&[b'x'; 16 * 1024]);

/// Opens once, for answers that wait for it.
#[derive(Clone, Debug, Default)]
pub struct Gate(Signal);

impl Gate {
    /// Returns a closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets through all that wait, and all that come.
    pub fn open(&self) {
        self.0.raise();
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
    delay: Duration,
    gate: Option<Gate>,
}

/// The body of an answer.
#[derive(Clone, Debug)]
enum Content {
    Whole(Bytes),
    /// Chunks without end, each after this pause.
    Endless(Duration),
    /// A beginning, and then the connection breaks.
    Broken,
}

impl Reply {
    /// Returns an empty answer with this status, at once.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            content: Content::Whole(Bytes::new()),
            delay: Duration::ZERO,
            gate: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.content = Content::Whole(body.into());
        self
    }

    /// Makes the body one that never ends, with a pause before each 16 KiB of it.
    #[must_use]
    pub fn endless(mut self, pause: Duration) -> Self {
        self.content = Content::Endless(pause);
        self
    }

    /// Breaks the connection in the middle of the body.
    #[must_use]
    pub fn broken(mut self) -> Self {
        self.content = Content::Broken;
        self
    }

    /// Keeps the client waiting so long for the first byte.
    #[must_use]
    pub const fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Keeps the client waiting until the gate opens.
    #[must_use]
    pub fn held(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    pub(super) async fn send(self) -> Response {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        if let Some(Gate(signal)) = self.gate {
            signal.wait(Duration::MAX).await;
        }
        let body = match self.content {
            Content::Whole(bytes) => Body::from(bytes),
            Content::Endless(pause) => {
                Body::from_stream(stream::unfold((), move |()| async move {
                    tokio::time::sleep(pause).await;
                    Some((Ok::<_, fmt::Error>(ENDLESS_CHUNK), ()))
                }))
            }
            Content::Broken => Body::from_stream(stream::unfold(false, |begun| async move {
                if begun {
                    // The beginning is flushed only when nothing more is there for the moment.
                    tokio::task::yield_now().await;
                    return Some((Err(fmt::Error), true));
                }
                Some((Ok(ENDLESS_CHUNK), true))
            })),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers);
        response
    }
}
