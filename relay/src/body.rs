//! Reading the body of a request: its type, its encoding, its size and the time that it takes.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};

use crate::{
    gate::Room,
    incoming::Incoming,
    inflate::{Encoding, inflate},
    limits::Limits,
    refusal::Refusal,
};

/// How often a body is in memory while it comes: once in the connection's buffers, once as a whole.
const COPIES: usize = 2;

/// As what archives are sent.
const ARCHIVES: [&str; 5] = [
    "application/zip",
    "application/x-zip-compressed",
    "application/vnd.sqlite3",
    "application/x-sqlite3",
    "application/octet-stream",
];

/// How many times as long as a batch an archive may take: it is larger, and comes from where the network is bad.
const ARCHIVE_TIMES: u32 = 4;

/// What a body is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Media {
    /// JSON, or text that is JSON: what beacons may send without asking first.
    Json,
    /// A form, the way old beacons send.
    Form,
}

impl Media {
    /// Reads `content-type`; JSON where there is none.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let Some(value) = headers.get(header::CONTENT_TYPE) else {
            return Some(Self::Json);
        };
        let essence = value.to_str().ok()?.split(';').next()?.trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" | "text/plain" => Some(Self::Json),
            "application/x-www-form-urlencoded" => Some(Self::Form),
            _ => None,
        }
    }
}

/// Reads a body of JSON.
pub(crate) async fn read_json(
    headers: &HeaderMap,
    body: Incoming,
    limits: &Limits,
    room: &Room,
) -> Result<Bytes, Refusal> {
    match read(headers, body, limits, room).await? {
        (Media::Json, body) => Ok(body),
        (Media::Form, _) => Err(unsupported()),
    }
}

/// Reads a body, and undoes its content encoding.
///
/// # Errors
///
/// 415 for a type or encoding that is not taken, 413 for a body that is too large, 408 for one that takes too long, 400
/// for one that breaks off, 503 where there is no room for it.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: Incoming,
    limits: &Limits,
    room: &Room,
) -> Result<(Media, Bytes), Refusal> {
    let media = Media::of(headers).ok_or_else(unsupported)?;
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str());
    let encoding = encoding.transpose().ok().and_then(Encoding::parse).ok_or_else(|| {
        Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_encoding",
            "the content-encoding is not taken; send gzip, deflate or none",
        )
    })?;
    let max = match encoding {
        Encoding::Identity => limits.body_bytes_max,
        Encoding::Gzip | Encoding::Deflate => limits.compressed_bytes_max,
    };
    let body = receive(headers, body, (max, limits.body_timeout), limits, room).await?;
    Ok((media, inflate(encoding, body, limits, room)?))
}

/// Reads an archive, which is compressed in itself.
///
/// # Errors
///
/// As [`read`], by the limits of archives.
pub(crate) async fn read_archive(
    headers: &HeaderMap,
    body: Incoming,
    limits: &Limits,
    room: &Room,
) -> Result<Bytes, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !ARCHIVES.iter().any(|known| known.eq_ignore_ascii_case(essence)) {
        let message =
            "the content-type is not taken; send application/zip, or application/octet-stream";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Refusal::new(status, "unsupported_media_type", message));
    }
    if headers.contains_key(header::CONTENT_ENCODING) {
        let message = "an archive is compressed already; send it without content-encoding";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Refusal::new(status, "unsupported_encoding", message));
    }
    let bounds = (limits.archive_bytes_max, limits.body_timeout * ARCHIVE_TIMES);
    let received = receive(headers, body, bounds, limits, room).await;
    received.map_err(|refusal| match refusal.code {
        "body_too_large" => limits.archive_too_large(),
        _ => refusal,
    })
}

/// Reads a body of so many bytes at most, in so much time.
async fn receive(
    headers: &HeaderMap,
    body: Incoming,
    (max, timeout): (usize, Duration),
    limits: &Limits,
    room: &Room,
) -> Result<Bytes, Refusal> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
    if length > max {
        return Err(limits.body_too_large());
    }
    // Before the first byte: whoever is let in can finish, and many large bodies do not starve each other half-way.
    room.grow(length.saturating_mul(COPIES))?;
    let collected = collect(body, length, max, limits, room);
    tokio::time::timeout(timeout, collected).await.map_err(|_| {
        let message = "the body took too long; send smaller batches";
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message)
    })?
}

/// Collects a body for which there is room for `announced` bytes, and asks for more where there are more.
async fn collect(
    mut body: Incoming,
    announced: usize,
    max: usize,
    limits: &Limits,
    room: &Room,
) -> Result<Bytes, Refusal> {
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    let mut granted = announced;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_| Refusal::malformed("broken_body", "the body breaks off"))?;
        let bytes = first.len() + all.len() + chunk.len();
        if bytes > max {
            return Err(limits.body_too_large());
        }
        room.grow(bytes.saturating_sub(granted).saturating_mul(COPIES))?;
        granted = granted.max(bytes);
        // Most bodies are one chunk, and that is not copied.
        if first.is_empty() && all.is_empty() {
            first = chunk;
            continue;
        }
        if all.is_empty() {
            all.reserve(announced.max(bytes));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn unsupported() -> Refusal {
    Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "the content-type is not taken; send application/json, or text/plain from a beacon",
    )
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::HeaderValue};
    use futures_util::stream;

    use super::*;
    use crate::gate::Gate;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    async fn outcome(headers: HeaderMap, body: Body) -> Result<Bytes, &'static str> {
        let room = Gate::new(1, 1_000_000).enter().unwrap();
        let limits = Limits { body_bytes_max: 10, compressed_bytes_max: 5, ..Limits::default() };
        read_json(&headers, body.into(), &limits, &room).await.map_err(|refusal| refusal.code)
    }

    #[tokio::test]
    async fn json_and_text_are_taken_and_nothing_else() {
        for (value, taken) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain;charset=UTF-8", true),
            ("text/html", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let outcome = outcome(headers(header::CONTENT_TYPE, value), "{}".into()).await;
            assert_eq!(outcome.is_ok(), taken, "{value}");
        }
        assert_eq!(outcome(HeaderMap::new(), "{}".into()).await, Ok("{}".into()));
        let brotli = headers(header::CONTENT_ENCODING, "br");
        assert_eq!(outcome(brotli, "{}".into()).await, Err("unsupported_encoding"));
    }

    #[tokio::test]
    async fn archive_is_taken_by_its_own_types_and_size() {
        let outcome = async |headers: HeaderMap, body: &'static str| {
            let room = Gate::new(1, 1_000_000).enter().unwrap();
            let limits = Limits { archive_bytes_max: 8, ..Limits::default() };
            let read = read_archive(&headers, Body::from(body).into(), &limits, &room).await;
            read.map_err(|refusal| refusal.code)
        };
        for (value, expected) in [
            ("application/zip", Ok("PK".into())),
            ("Application/Octet-Stream; x=y", Ok("PK".into())),
            ("application/json", Err("unsupported_media_type")),
            ("", Err("unsupported_media_type")),
        ] {
            assert_eq!(outcome(headers(header::CONTENT_TYPE, value), "PK").await, expected);
        }
        assert_eq!(outcome(HeaderMap::new(), "PK").await, Err("unsupported_media_type"));
        let zip = || headers(header::CONTENT_TYPE, "application/zip");
        assert_eq!(outcome(zip(), "123456789").await, Err("archive_too_large"));
        let mut twice = zip();
        twice.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        assert_eq!(outcome(twice, "PK").await, Err("unsupported_encoding"));
    }

    #[tokio::test]
    async fn size_is_bounded_as_announced_and_as_it_comes() {
        let chunks = |sizes: &[usize]| {
            let chunks: Vec<_> =
                sizes.iter().map(|size| Ok::<_, axum::Error>("x".repeat(*size))).collect();
            Body::from_stream(stream::iter(chunks))
        };
        assert_eq!(outcome(HeaderMap::new(), chunks(&[4, 0, 6])).await, Ok("xxxxxxxxxx".into()));
        assert_eq!(outcome(HeaderMap::new(), chunks(&[4, 7])).await, Err("body_too_large"));
        assert_eq!(outcome(HeaderMap::new(), chunks(&[11])).await, Err("body_too_large"));
        let announced = headers(header::CONTENT_LENGTH, "11");
        assert_eq!(outcome(announced, Body::empty()).await, Err("body_too_large"));
        let gzip = headers(header::CONTENT_ENCODING, "gzip");
        assert_eq!(outcome(gzip, "123456".into()).await, Err("body_too_large"));
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_has_no_room_is_turned_away_before_its_first_byte() {
        let room = Gate::new(1, 100).enter().unwrap();
        let announced = headers(header::CONTENT_LENGTH, "60");
        let never = Body::from_stream(stream::pending::<Result<Bytes, axum::Error>>());
        let refusal =
            read_json(&announced, never.into(), &Limits::default(), &room).await.unwrap_err();
        assert_eq!(refusal.code, "overloaded");
        let chunked = Body::from_stream(stream::iter([Ok::<_, axum::Error>("x".repeat(60))]));
        let refusal = read_json(&HeaderMap::new(), chunked.into(), &Limits::default(), &room).await;
        assert_eq!(refusal.unwrap_err().code, "overloaded");
    }

    #[tokio::test(start_paused = true)]
    async fn body_that_does_not_come_is_not_waited_for_for_ever() {
        let never = Body::from_stream(stream::pending::<Result<Bytes, axum::Error>>());
        assert_eq!(outcome(HeaderMap::new(), never).await, Err("body_timeout"));
    }
}
