//! Every route of the relay, in one table: the router and the `OpenAPI` document are made from it.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::{Method, StatusCode},
    routing::{MethodFilter, MethodRouter},
};
use tidings_analytics::wire::Call;

use crate::{
    door::{self, State},
    protocol::Protocol,
    refusal::Refusal,
};

/// What a route does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operation {
    Analytics,
    /// One call, or a batch of them.
    Segment(Option<Call>),
    PostHog,
    Telemetry,
    /// An offline archive of telemetry.
    Archive,
    Operator(Operator),
}

/// What is answered without a look at the body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operator {
    Health,
    Ready,
    Metrics,
    OpenApi,
    Collection,
    /// The browser client.
    Script,
    Flags,
    RemoteConfig,
    RemoteConfigScript,
    Ignored,
}

/// How a route may be called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Methods {
    Get,
    Post,
    /// Clients do either.
    GetPost,
}

impl Methods {
    /// Returns the methods.
    pub(crate) fn list(self) -> &'static [Method] {
        match self {
            Self::Get => &[Method::GET],
            Self::Post => &[Method::POST],
            Self::GetPost => &[Method::GET, Method::POST],
        }
    }

    /// Returns whether a request with this method is answered, or asks whether it would be.
    fn are(self, method: &Method) -> bool {
        match *method {
            Method::OPTIONS => true,
            Method::HEAD => self.list().contains(&Method::GET),
            _ => self.list().contains(method),
        }
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::GetPost => MethodFilter::GET.or(MethodFilter::POST),
        }
    }
}

/// A route.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) path: &'static str,
    pub(crate) methods: Methods,
    pub(crate) protocol: Protocol,
    pub(crate) operation: Operation,
    /// What it is for, in the `OpenAPI` document.
    pub(crate) summary: &'static str,
}

impl Route {
    /// Returns whether this is its path; `{token}` stands for any one part of it.
    fn is_at(&self, path: &str) -> bool {
        let (mut own, mut asked) = (self.path.split('/'), path.split('/'));
        loop {
            match (own.next(), asked.next()) {
                (None, None) => return true,
                (Some(own), Some(asked)) if own == asked => {}
                (Some(own), Some(asked)) if own.starts_with('{') && !asked.is_empty() => {}
                _ => return false,
            }
        }
    }
}

const fn operator(path: &'static str, operator: Operator, summary: &'static str) -> Route {
    let (methods, protocol) = (Methods::Get, Protocol::Tidings);
    Route { path, methods, protocol, operation: Operation::Operator(operator), summary }
}

const fn telemetry(path: &'static str, summary: &'static str) -> Route {
    let (methods, protocol) = (Methods::Post, Protocol::Sunbird);
    Route { path, methods, protocol, operation: Operation::Telemetry, summary }
}

const fn segment(path: &'static str, call: Option<Call>, summary: &'static str) -> Route {
    let (methods, protocol) = (Methods::Post, Protocol::Segment);
    Route { path, methods, protocol, operation: Operation::Segment(call), summary }
}

const fn capture(path: &'static str, summary: &'static str) -> Route {
    let (methods, protocol) = (Methods::Post, Protocol::PostHog);
    Route { path, methods, protocol, operation: Operation::PostHog, summary }
}

const fn harmless(
    path: &'static str,
    methods: Methods,
    operator: Operator,
    summary: &'static str,
) -> Route {
    let operation = Operation::Operator(operator);
    Route { path, methods, protocol: Protocol::PostHog, operation, summary }
}

/// All routes.
pub(crate) static ROUTES: &[Route] = &[
    Route {
        path: "/analytics",
        methods: Methods::Post,
        protocol: Protocol::Tidings,
        operation: Operation::Analytics,
        summary: "Register an event of a client type, or a batch of them",
    },
    operator(
        "/v1/collection",
        Operator::Collection,
        "What a browser collects, and how it sends it",
    ),
    telemetry("/v1/telemetry", "Take a batch of Sunbird or DIGIT telemetry"),
    telemetry("/api/data/v1/telemetry", "The same, as behind Sunbird's gateway"),
    telemetry("/data/v3/telemetry", "The same, as the Sunbird SDK 2 sends it"),
    telemetry("/action/data/v3/telemetry", "The same, as the Sunbird SDK 1 sends it"),
    telemetry("/content/data/v1/telemetry", "The same, as portals send it"),
    Route {
        path: "/api/telemetry/import",
        methods: Methods::Post,
        protocol: Protocol::Sunbird,
        operation: Operation::Archive,
        summary: "Import an offline archive of telemetry, a zip or a .gsa",
    },
    segment("/v1/track", Some(Call::Track), "Segment's track call"),
    segment("/v1/identify", Some(Call::Identify), "Segment's identify call"),
    segment("/v1/group", Some(Call::Group), "Segment's group call"),
    segment("/v1/page", Some(Call::Page), "Segment's page call"),
    segment("/v1/screen", Some(Call::Screen), "Segment's screen call"),
    segment("/v1/alias", Some(Call::Alias), "Segment's alias call"),
    segment("/v1/batch", None, "A batch of Segment calls"),
    segment("/v1/import", None, "A batch of Segment calls, as old clients send it"),
    segment("/v1/b", None, "A batch of Segment calls, as analytics.js sends it"),
    segment("/v1/t", Some(Call::Track), "A track call of analytics.js"),
    segment("/v1/i", Some(Call::Identify), "An identify call of analytics.js"),
    segment("/v1/g", Some(Call::Group), "A group call of analytics.js"),
    segment("/v1/p", Some(Call::Page), "A page call of analytics.js"),
    segment("/v1/s", Some(Call::Screen), "A screen call of analytics.js"),
    segment("/v1/a", Some(Call::Alias), "An alias call of analytics.js"),
    capture("/capture/", "Capture an event, or several, as PostHog's SDKs send them"),
    capture("/capture", "The same"),
    capture("/e/", "The same, as the browser SDK sends them"),
    capture("/e", "The same"),
    capture("/i/v0/e/", "The same, as newer SDKs send them"),
    capture("/i/v0/e", "The same"),
    capture("/batch/", "A batch of PostHog events"),
    capture("/batch", "The same"),
    harmless("/decide/", Methods::GetPost, Operator::Flags, "No feature flag of PostHog is on"),
    harmless("/decide", Methods::GetPost, Operator::Flags, "The same"),
    harmless("/flags/", Methods::GetPost, Operator::Flags, "No feature flag of PostHog is on"),
    harmless("/flags", Methods::GetPost, Operator::Flags, "The same"),
    harmless(
        "/array/{token}/config",
        Methods::Get,
        Operator::RemoteConfig,
        "The settings of PostHog's browser SDK: nothing is collected by itself",
    ),
    harmless(
        "/array/{token}/config.js",
        Methods::Get,
        Operator::RemoteConfigScript,
        "The same, as a script",
    ),
    harmless("/s/", Methods::Post, Operator::Ignored, "Session recordings are not kept"),
    operator("/tidings.js", Operator::Script, "The browser client, for a script tag"),
    operator("/health", Operator::Health, "The process answers"),
    operator("/ready", Operator::Ready, "The database answers, and requests are taken"),
    operator("/metrics", Operator::Metrics, "Counters in the text format of Prometheus"),
    operator("/openapi.json", Operator::OpenApi, "This document"),
];

/// Returns whether a request is one of the relay's, with the preflights of its routes.
pub(crate) fn owns(method: &Method, path: &str) -> bool {
    ROUTES.iter().any(|route| route.is_at(path) && route.methods.are(method))
}

/// Makes the router.
pub(crate) fn router(state: &Arc<State>) -> Router {
    ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, serve(state, route)))
}

fn serve(state: &Arc<State>, route: &'static Route) -> MethodRouter {
    let (answering, refusing) = (Arc::clone(state), Arc::clone(state));
    MethodRouter::new()
        .on(route.methods.filter(), move |request: Request| {
            door::answer(Arc::clone(&answering), route, request)
        })
        // The router adds `Allow`.
        .fallback(move || {
            let code = StatusCode::METHOD_NOT_ALLOWED;
            let refusal = Refusal::new(code, "method_not_allowed", "the method is not taken here");
            let response = route.protocol.refuse(&refusal, refusing.watcher.now());
            std::future::ready(response)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_the_relays_by_its_path_and_its_method() {
        for (method, path, expected) in [
            (Method::POST, "/analytics", true),
            (Method::OPTIONS, "/analytics", true),
            // A page of the site may have this address.
            (Method::GET, "/analytics", false),
            (Method::HEAD, "/tidings.js", true),
            (Method::GET, "/array/phc_1/config.js", true),
            (Method::GET, "/array//config.js", false),
            (Method::GET, "/array/phc_1/config.js/", false),
            (Method::GET, "/", false),
            (Method::POST, "/batch/", true),
            (Method::POST, "/batch/1", false),
        ] {
            assert_eq!(owns(&method, path), expected, "{method} {path}");
        }
    }
}
