//! `tidings listen`: a receiver for developers, which shows what arrives and fails on purpose.

mod analytics;
mod door;
mod forward;
mod reply;
mod show;
mod temporary;
mod verdict;

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
    header::RETRY_AFTER,
    http::request::Parts,
};
use serde::Serialize;
use tidings_receiver::{Key, Verifier};
use tokio::sync::Notify;

use self::{
    door::{Door, Receive, bind},
    reply::{Reply, reply},
    show::Received,
    temporary::Temporary,
    verdict::Verdict,
};
use super::subscriber::secret_text;
use crate::{
    arguments::listen::{Answer, Listen},
    context::Context,
    exit::Exit,
    failure::Coded,
    output::{Output, sheet::Sheet},
    signals::Signals,
};

/// More than any event has.
const BODY_BYTES_MAX: usize = 16 << 20;

/// How often it is looked whether deliveries fail before they come here.
const LOOK: Duration = Duration::from_secs(2);

/// Where we listen.
#[derive(Debug, Serialize)]
struct Listening {
    url: String,
    subscriber: Option<String>,
    verifies: bool,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    listen: Listen,
    output: Output,
    verifier: Option<Verifier>,
    forward: Option<Uri>,
    arrived: AtomicU64,
    answered: AtomicU64,
    has_refused: AtomicBool,
    enough: Notify,
}

/// Receives until a signal, or until enough has come.
///
/// # Errors
///
/// The port is taken, the subscriber cannot be added, or, with --count, something did not verify.
pub(crate) async fn run(context: &Context, listen: &Listen) -> Result<()> {
    if listen.analytics {
        return analytics::run(context, listen).await;
    }
    let mut signals = Signals::listen()?;
    let mut keys = keys(&listen.secrets)?;
    let forward = listen.forward.as_deref().map(forward::destination).transpose()?;
    let listener = bind(listen.port).await?;
    let address = listener.local_addr().context("listen")?;
    let temporary = match listen.patterns.as_slice() {
        [] => None,
        patterns => Some(Temporary::add(context, patterns, address).await?),
    };
    if let Some(temporary) = &temporary {
        keys.push(Key::parse(&temporary.secret).context("read the secret of the subscriber")?);
    }
    let shared = Arc::new(Shared {
        listen: listen.clone(),
        output: context.output.clone(),
        verifier: Verifier::new(keys).ok(),
        forward,
        arrived: AtomicU64::new(0),
        answered: AtomicU64::new(0),
        has_refused: AtomicBool::new(false),
        enough: Notify::new(),
    });
    let door = Door::default();
    let outcome = async {
        shared.say(address, temporary.as_ref())?;
        tokio::select! {
            failed = door.accept(&shared, &listener) => failed,
            () = warn(context, &shared, temporary.as_ref()) => Ok(()),
            () = shared.enough.notified() => Ok(()),
            _ = signals.next() => Ok(()),
        }
    }
    .await;
    door.close().await;
    if let Some(temporary) = &temporary {
        temporary.remove(context).await?;
    }
    outcome?;
    if listen.count.is_some() && shared.has_refused.load(Ordering::Relaxed) {
        return Err(Coded::new(Exit::Failed, "listen: not every request verified").into());
    }
    Ok(())
}

fn keys(texts: &[String]) -> Result<Vec<Key>> {
    let mut keys = Vec::with_capacity(texts.len());
    for text in texts {
        let read = secret_text(text)?;
        let refused = |error| {
            Coded::new(Exit::Refused, "read --secret")
                .hint("give it as `tidings subscriber add` showed it, whsec_…, or a public key, whpk_…")
                .because(anyhow::Error::from(error))
        };
        keys.push(Key::parse(read.trim()).map_err(refused)?);
    }
    Ok(keys)
}

/// Says it if the workers refuse to call this machine, once, and then waits for ever.
async fn warn(context: &Context, shared: &Shared, temporary: Option<&Temporary>) {
    if let Some(temporary) = temporary {
        while shared.arrived.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(LOOK).await;
            if shared.arrived.load(Ordering::Relaxed) == 0
                && matches!(temporary.is_refused(context).await, Ok(true))
            {
                drop(context.output.note(
                    "deliveries fail before they come here: start the workers with --allow-address 127.0.0.1, on this machine",
                ));
                break;
            }
        }
    }
    std::future::pending::<Infallible>().await;
}

impl Shared {
    fn say(&self, address: SocketAddr, temporary: Option<&Temporary>) -> Result<()> {
        let subscriber = temporary.map(|temporary| temporary.name.clone());
        let url = format!("http://{address}/");
        let listening = Listening { url, subscriber, verifies: self.verifier.is_some() };
        self.output.next(&listening, || {
            let sheet = Sheet::new().field("listening", &listening.url);
            let sheet = sheet.maybe("subscriber", listening.subscriber.as_ref());
            let sheet = if listening.verifies {
                sheet
            } else {
                sheet.field("verifying", "nothing: there is no --secret")
            };
            sheet.field("stop", "Ctrl-C")
        })
    }

    async fn answer(
        &self,
        reply: Reply,
        head: &Parts,
        body: &Bytes,
    ) -> io::Result<Response<Full<Bytes>>> {
        match (reply, &self.forward) {
            (Reply::Close, _) => Err(io::Error::other("closed on purpose")),
            (Reply::Answer(answer), _) => Ok(answered(answer)),
            (Reply::Forward, None) => Ok(empty(StatusCode::NO_CONTENT)),
            (Reply::Forward, Some(to)) => match forward::forward(to, head, body).await {
                Ok(answer) => Ok(answer),
                Err(error) => {
                    drop(self.output.note(&crate::failure::chain(&error)));
                    Ok(empty(StatusCode::BAD_GATEWAY))
                }
            },
        }
    }
}

impl Receive for Shared {
    async fn receive(&self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
            return Ok(empty(StatusCode::PAYLOAD_TOO_LARGE));
        };
        let body = body.to_bytes();
        let number = self.arrived.fetch_add(1, Ordering::Relaxed) + 1;
        let verdict = Verdict::of(self.verifier.as_ref(), &head.headers, &body, clock());
        if verdict.verified() == Some(false) {
            self.has_refused.store(true, Ordering::Relaxed);
        }
        let reply = reply(&self.listen, number, verdict.verified());
        let mut received = received(number, &head).judged(verdict).with_body(&body);
        if !self.listen.delay.is_zero() {
            tokio::time::sleep(self.listen.delay).await;
        }
        let answer = self.answer(reply, &head, &body).await;
        received.status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        drop(self.output.next(&received, || received.sheet()));
        let answered = self.answered.fetch_add(1, Ordering::Relaxed) + 1;
        if self.listen.count == Some(answered) {
            self.enough.notify_one();
        }
        answer
    }
}

fn received(number: u64, head: &Parts) -> Received {
    let headers = head.headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    Received {
        number,
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: headers.collect(),
        verified: None,
        key: None,
        refused: None,
        status: None,
        body: None,
        text: None,
    }
}

fn answered(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = empty(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::NO_CONTENT));
    if let Some(seconds) = answer.retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

#[expect(
    clippy::disallowed_methods,
    reason = "a receiver compares the time of a signature with its own clock"
)]
fn clock() -> SystemTime {
    SystemTime::now()
}
