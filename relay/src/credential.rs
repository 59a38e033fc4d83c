//! What a request says of its sender: the key, and whether the person objects.

use axum::http::{HeaderMap, header};
use base64::{Engine, prelude::BASE64_STANDARD};

/// Returns the key of `authorization`: a bearer token, or the user name of Basic, which is where Segment's clients put
/// it; the password where there is no user name.
pub(crate) fn of_header(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credentials) = value.trim().split_once(' ')?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credentials.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(credentials).ok()?).ok()?;
    let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
    Some(if user.is_empty() { password } else { user }.to_owned())
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
            ("Bearer tk_a", Some("tk_a")),
            ("bearer  tk_a ", Some("tk_a")),
            ("Basic dGtfYTo=", Some("tk_a")),
            ("Basic dGtfYQ==", Some("tk_a")),
            ("Basic OnRrX2E=", Some("tk_a")),
            ("Basic !", None),
            ("Digest tk_a", None),
            ("tk_a", None),
        ] {
            let headers =
                HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(of_header(&headers).as_deref(), expected, "{value}");
        }
        assert_eq!(of_query("a=b&key=tk_a", "key").as_deref(), Some("tk_a"));
    }
}
