//! The trace of the request that registered an event, continued by its deliveries (W3C Trace Context).

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tidings::trace::TraceContext;

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// Writes a trace into the headers of a request.
pub(super) fn write(trace: &TraceContext, headers: &mut HeaderMap) {
    let Ok(parent) = HeaderValue::from_str(trace.traceparent()) else { return };
    headers.insert(PARENT, parent);
    if let Some(Ok(state)) = trace.tracestate().map(HeaderValue::from_str) {
        headers.insert(STATE, state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT_TEXT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn stored_trace_is_continued() {
        let mut headers = HeaderMap::new();
        let stored = format!(r#"{{"traceparent":"{PARENT_TEXT}","tracestate":"a=1,b=2","x":[1]}}"#);
        write(&TraceContext::read(&stored).unwrap(), &mut headers);
        assert_eq!(headers["traceparent"], PARENT_TEXT);
        assert_eq!(headers["tracestate"], "a=1,b=2");
    }
}
