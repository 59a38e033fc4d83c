//! The shop's window: the page that people see, and what it needs.

use axum::{
    Router,
    http::{HeaderName, header},
    response::IntoResponse,
    routing::get,
};

use super::Shop;

/// The page is its own, with nothing inline and nothing from elsewhere.
const POLICY: &str =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'";

/// Returns the routes of the page.
pub(crate) fn router() -> Router<Shop> {
    let page = || get(async || asset("text/html; charset=utf-8", include_str!("page/index.html")));
    let script = |text| get(async move || asset("text/javascript; charset=utf-8", text));
    Router::new()
        // One page, whatever the address says that it shows.
        .route("/", page())
        .route("/basket", page())
        .route("/tea/{product_id}", page())
        .route("/shop.js", script(include_str!("page/shop.js")))
        .route(
            "/shop.css",
            get(async || asset("text/css; charset=utf-8", include_str!("page/shop.css"))),
        )
}

fn asset(media: &'static str, text: &'static str) -> impl IntoResponse {
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, media),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text)
}
