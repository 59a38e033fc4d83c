//! Sending a request on to an application on this machine.

use anyhow::{Context as _, Result};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Request, Response, Uri,
    body::Bytes,
    client::conn::http1,
    header::{CONNECTION, HOST, HeaderName, HeaderValue, TRANSFER_ENCODING},
    http::request::Parts,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::BODY_BYTES_MAX;
use crate::{exit::Exit, failure::Coded};

/// What is between two machines, and not between the two that talk.
const HOP_BY_HOP: [HeaderName; 2] = [CONNECTION, TRANSFER_ENCODING];

/// Reads where requests are sent on to.
pub(super) fn destination(url: &str) -> Result<Uri> {
    let refused = || {
        Coded::new(Exit::Refused, format!("forward to `{url}`")).hint(
            "it looks like http://127.0.0.1:3000/hook; another machine is what a worker is for",
        )
    };
    let uri: Uri = url.parse().map_err(|_| refused())?;
    if uri.scheme_str() == Some("http") && uri.host().is_some() {
        Ok(uri)
    } else {
        Err(refused().into())
    }
}

/// Sends a request on as it came, but for where it goes, and returns the answer.
pub(super) async fn forward(to: &Uri, head: &Parts, body: &Bytes) -> Result<Response<Full<Bytes>>> {
    let host = to.host().unwrap_or_default();
    let address = (host.trim_matches(['[', ']']), to.port_u16().unwrap_or(80));
    let doing = || format!("forward to {to}");
    let stream = TcpStream::connect(address).await.with_context(doing)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.with_context(doing)?;
    let talking = tokio::spawn(connection);
    let target = to.path_and_query().map_or("/", |target| target.as_str());
    let mut request =
        Request::builder().method(&head.method).uri(target).body(Full::new(body.clone()))?;
    *request.headers_mut() = head.headers.clone();
    let authority = to.authority().map_or(host, |authority| authority.as_str());
    request.headers_mut().insert(HOST, HeaderValue::from_str(authority)?);
    for name in &HOP_BY_HOP {
        request.headers_mut().remove(name);
    }
    let answer = sender.send_request(request).await.with_context(doing)?;
    let (mut head, body) = answer.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await;
    let body = body.map_err(anyhow::Error::from_boxed).with_context(doing)?.to_bytes();
    talking.abort();
    for name in &HOP_BY_HOP {
        head.headers.remove(name);
    }
    Ok(Response::from_parts(head, Full::new(body)))
}
