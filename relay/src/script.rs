//! `GET /tidings.js`: the browser client, for any page.
//!
//! `assets/tidings.js` is what `make web` makes of `web/`.
//! Browsers keep it, and ask after a few minutes whether it is still the one.

use std::{io::Write, sync::LazyLock};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

/// The script, as it is committed.
const SCRIPT: &[u8] = include_bytes!("../assets/tidings.js");

/// A page that is opened while somebody reads asks nobody; a client that was mended is everywhere soon.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=300, must-revalidate");

/// By what browsers know the script that they have: the beginning of its digest.
static TAG: LazyLock<String> =
    LazyLock::new(|| BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(SCRIPT)[..9]));

/// Compressed once; `None` cannot be, and would cost bytes alone.
static COMPRESSED: LazyLock<Option<Vec<u8>>> = LazyLock::new(|| {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(SCRIPT).and_then(|()| encoder.finish()).ok()
});

/// Answers a request with these headers.
pub(crate) fn answer(asked: &HeaderMap) -> Response {
    let compressed = COMPRESSED.as_deref().filter(|_| takes_gzip(asked));
    // Two forms are two tags, or a cache might hand out one for the other.
    let tag =
        if compressed.is_some() { format!("\"{}-gzip\"", *TAG) } else { format!("\"{}\"", *TAG) };
    let known = is_known(asked, &TAG);
    let body = if known { &[] } else { compressed.unwrap_or(SCRIPT) };
    let mut response = Response::new(Body::from(Bytes::from_static(body)));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, CACHE);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = tag.parse() {
        headers.insert(header::ETAG, tag);
    }
    // Pages that want to check the script, or isolate themselves, may have it from any site.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("cross-origin"));
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if compressed.is_some() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Returns the members of a header that is a list.
fn members(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Returns whether a browser takes gzip: it names it, and does not give it the weight 0.
fn takes_gzip(headers: &HeaderMap) -> bool {
    members(headers, header::ACCEPT_ENCODING).any(|member| {
        let (name, weight) = member.split_once(';').unwrap_or((member, ""));
        let weight = weight.trim().trim_start_matches("q=").trim();
        name.trim().eq_ignore_ascii_case("gzip") && weight.parse().ok() != Some(0.0)
    })
}

/// Returns whether a browser has this script already, in either form.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    members(headers, header::IF_NONE_MATCH).any(|member| {
        let known = member.trim_start_matches("W/").trim_matches('"');
        known == "*" || known.strip_suffix("-gzip").unwrap_or(known) == tag
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;
    use http_body_util::BodyExt;

    use super::*;

    fn asked(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    async fn body(response: Response) -> Bytes {
        response.into_body().collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn script_is_compressed_for_whoever_takes_that() {
        let plain = answer(&HeaderMap::new());
        assert_eq!(plain.headers().get(header::CONTENT_ENCODING), None);
        assert_eq!(plain.headers()[header::CONTENT_TYPE], "text/javascript; charset=utf-8");
        let compressed = answer(&asked(header::ACCEPT_ENCODING, "br, gzip;q=0.8"));
        assert_eq!(compressed.headers()[header::CONTENT_ENCODING], "gzip");
        assert_ne!(compressed.headers()[header::ETAG], plain.headers()[header::ETAG]);
        let mut inflated = Vec::new();
        GzDecoder::new(&*body(compressed).await).read_to_end(&mut inflated).unwrap();
        assert_eq!(inflated, SCRIPT);
        assert_eq!(body(plain).await, SCRIPT);
    }

    #[test]
    fn gzip_is_taken_where_it_is_named_and_not_refused() {
        for (value, taken) in [
            ("gzip", true),
            ("deflate, GZIP ; q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.000, br", false),
            ("br, deflate", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&asked(header::ACCEPT_ENCODING, value)), taken, "{value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn browser_that_has_the_script_gets_it_once() {
        let etag = answer(&HeaderMap::new()).headers()[header::ETAG].to_str().unwrap().to_owned();
        for known in [etag.clone(), format!("\"x\", W/{etag}"), "*".to_owned()] {
            let response = answer(&asked(header::IF_NONE_MATCH, &known));
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], CACHE);
            assert!(body(response).await.is_empty());
        }
        let other = answer(&asked(header::IF_NONE_MATCH, "\"0123456789ab\""));
        assert_eq!(other.status(), StatusCode::OK);
    }
}
