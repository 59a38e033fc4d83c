//! Which headers pass between a browser and the site, and which are changed on the way.

use std::net::{IpAddr, SocketAddr};

use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};

use super::policy::Place;

/// What is between two neighbours, and not for whoever comes after.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What describes the bytes of a page, and is wrong once it has the script.
const OF_BYTES: [&str; 6] =
    ["content-length", "accept-ranges", "content-md5", "digest", "content-digest", "repr-digest"];

/// Removes what is between two neighbours, and what they have named as such.
pub(super) fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Returns what the site is told: what the browser has said, who it is and where it thinks it is.
///
/// Where the answer may get the script, it is asked for whole and uncompressed.
pub(super) fn forwarded(request: &Request, place: &Place, is_page: bool) -> HeaderMap {
    let mut headers = request.headers().clone();
    strip(&mut headers);
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let before = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    if let Some(all) = peer.and_then(|peer| chain(before, peer)) {
        headers.insert("x-forwarded-for", all);
    }
    for (name, value) in [("x-forwarded-proto", &place.scheme), ("x-forwarded-host", &place.host)] {
        if let Ok(value) = value.parse()
            && !headers.contains_key(name)
        {
            headers.insert(name, value);
        }
    }
    if is_page {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        headers.remove(header::RANGE);
        headers.remove(header::IF_RANGE);
    }
    headers
}

fn chain(before: Option<&str>, peer: IpAddr) -> Option<HeaderValue> {
    let all = before.map_or_else(|| peer.to_string(), |before| format!("{before}, {peer}"));
    all.parse().ok()
}

/// Returns where a browser thinks it is: by what stands before the relay, or by the request.
pub(super) fn place(headers: &HeaderMap) -> Place {
    let first = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        value.split(',').next().map(|value| value.trim().to_owned())
    };
    let host = first("x-forwarded-host").or_else(|| first("host"));
    let scheme = first("x-forwarded-proto").unwrap_or_else(|| "http".to_owned());
    Place { scheme: scheme.to_ascii_lowercase(), host: host.unwrap_or_default() }
}

/// Returns whether a browser wants to show the answer: it says that it takes HTML.
pub(super) fn may_be_page(request: &Request) -> bool {
    let mut accepted = request.headers().get_all(header::ACCEPT).into_iter();
    accepted.any(|value| value.to_str().is_ok_and(|value| value.contains("text/html")))
}

/// Returns whether a client asks for another protocol on the connection, as `WebSockets` do.
pub(super) fn is_upgrade(request: &Request) -> bool {
    request.headers().contains_key(header::UPGRADE) || request.method() == Method::CONNECT
}

/// Says what an answer is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// A whole HTML page, plain.
    Page,
    /// HTML that is compressed, although it was asked for plain.
    Compressed,
    /// A stream of events, which never ends by itself.
    Events,
    Other,
}

impl Kind {
    /// Returns what an answer with these headers is.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let media = text(header::CONTENT_TYPE).unwrap_or_default().split(';').next();
        let media = media.unwrap_or_default().trim().to_ascii_lowercase();
        // A part of a page has no head; what has no body has no page.
        let is_whole = !status.is_informational()
            && !status.is_redirection()
            && ![StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::PARTIAL_CONTENT]
                .contains(&status);
        let is_fixed = text(header::CACHE_CONTROL)
            .is_some_and(|value| value.to_ascii_lowercase().contains("no-transform"));
        match (media.as_str(), text(header::CONTENT_ENCODING)) {
            ("text/event-stream", _) => Self::Events,
            ("text/html", None | Some("" | "identity")) if is_whole && !is_fixed => Self::Page,
            ("text/html", Some(_)) if is_whole && !is_fixed => Self::Compressed,
            _ => Self::Other,
        }
    }
}

/// Changes the headers of a page as the script changes its bytes.
pub(super) fn loosen(headers: &mut HeaderMap) {
    for name in OF_BYTES {
        headers.remove(name);
    }
    let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    let weak =
        tag.filter(|tag| !tag.starts_with("W/")).and_then(|tag| format!("W/{tag}").parse().ok());
    if let Some(weak) = weak {
        headers.insert(header::ETAG, weak);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request {
        let mut request = Request::new(Body::empty());
        for (name, value) in headers {
            request
                .headers_mut()
                .append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        request
    }

    #[test]
    fn what_is_between_neighbours_stays_there() {
        let mut request = request(&[
            ("connection", "close, x-mine"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("cookie", "a=b"),
        ]);
        strip(request.headers_mut());
        let left: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(left, ["cookie"]);
    }

    #[test]
    fn site_is_told_who_asks_and_where_the_browser_is() {
        let mut asked = request(&[
            ("host", "shop.example"),
            ("x-forwarded-for", "192.0.2.1"),
            ("accept-encoding", "br"),
        ]);
        asked.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 5))));
        let headers = forwarded(&asked, &place(asked.headers()), false);
        for (name, value) in [
            ("host", "shop.example"),
            ("x-forwarded-for", "192.0.2.1, 127.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "shop.example"),
            ("accept-encoding", "br"),
        ] {
            assert_eq!(headers[name], value);
        }
        // What stands before the relay knows better.
        let asked = request(&[
            ("host", "10.0.0.1:80"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "shop.example, inner"),
            ("range", "bytes=0-1"),
        ]);
        let place = place(asked.headers());
        assert_eq!(place, Place { scheme: "https".to_owned(), host: "shop.example".to_owned() });
        let headers = forwarded(&asked, &place, true);
        assert_eq!(headers["x-forwarded-host"], "shop.example, inner");
        assert_eq!(headers["accept-encoding"], "identity");
        assert!(!headers.contains_key("range"));
    }

    #[test]
    fn whole_plain_html_is_a_page() {
        for (status, headers, kind) in [
            (200, &[("content-type", "text/html")][..], Kind::Page),
            (404, &[("content-type", "Text/HTML; charset=utf-8")], Kind::Page),
            (200, &[("content-type", "text/html"), ("content-encoding", "identity")], Kind::Page),
            (200, &[("content-type", "text/html"), ("content-encoding", "br")], Kind::Compressed),
            (200, &[("content-type", "text/html"), ("cache-control", "no-transform")], Kind::Other),
            (304, &[("content-type", "text/html")], Kind::Other),
            (206, &[("content-type", "text/html")], Kind::Other),
            (204, &[], Kind::Other),
            (200, &[("content-type", "text/htmlx")], Kind::Other),
            (200, &[("content-type", "application/xhtml+xml")], Kind::Other),
            (200, &[("content-type", "text/event-stream")], Kind::Events),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Kind::of(status, request(headers).headers()), kind, "{status} {headers:?}");
        }
    }

    #[test]
    fn tag_of_a_changed_page_is_weak() {
        for (tag, weak) in [("\"a\"", "W/\"a\""), ("W/\"a\"", "W/\"a\"")] {
            let mut request = request(&[("etag", tag), ("content-length", "5")]);
            loosen(request.headers_mut());
            assert_eq!(request.headers()["etag"], weak);
            assert!(!request.headers().contains_key("content-length"));
        }
    }
}
