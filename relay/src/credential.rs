//! What a request says of its sender: the key, and whether the person objects.

use axum::http::{HeaderMap, header};
use base64::{Engine, prelude::BASE64_STANDARD};

/// Returns what may be the key in `authorization`: a bearer token, or the user name of Basic, which is where Segment's
/// clients put it, and then the password.
pub(crate) fn of_header(headers: &HeaderMap) -> Vec<String> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some((scheme, credentials)) = value.and_then(|value| value.trim().split_once(' ')) else {
        return Vec::new();
    };
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return vec![credentials.to_owned()];
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Vec::new();
    }
    let decoded = BASE64_STANDARD.decode(credentials).ok();
    let decoded = decoded.and_then(|decoded| String::from_utf8(decoded).ok()).unwrap_or_default();
    let parts = decoded.splitn(2, ':').filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// Returns whether the browser says that its person does not want to be observed: Global Privacy Control, or Do Not
/// Track.
pub(crate) fn objects(headers: &HeaderMap) -> bool {
    ["sec-gpc", "dnt"].iter().any(|name| headers.get(*name).is_some_and(|value| value == "1"))
}

/// Returns a parameter of the query.
pub(crate) fn of_query(query: &str, name: &str) -> Option<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .find(|(found, _)| found == name)
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn key_is_found_in_each_form_of_authorization() {
        for (value, expected) in [
            ("Bearer tk_a", &["tk_a"] as &[_]),
            ("bearer  tk_a ", &["tk_a"]),
            ("Basic dGtfYTo=", &["tk_a"]),
            ("Basic dGtfYQ==", &["tk_a"]),
            ("Basic OnRrX2E=", &["tk_a"]),
            ("Basic dTp0a19h", &["u", "tk_a"]),
            ("Basic !", &[]),
            ("Digest tk_a", &[]),
            ("tk_a", &[]),
        ] {
            let value = HeaderValue::from_static(value);
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, value.clone())]);
            assert_eq!(of_header(&headers), expected, "{value:?}");
        }
        assert_eq!(of_query("a=b&key=tk_a", "key").as_deref(), Some("tk_a"));
    }
}
