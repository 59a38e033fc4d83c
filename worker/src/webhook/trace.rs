//! The trace of the request that registered an event, continued by its deliveries (W3C Trace Context).

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use tidings::trace::TraceContext;

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// What is stored beside a payload, as far as it concerns the trace.
#[derive(Deserialize)]
struct Stored {
    traceparent: String,
    tracestate: Option<String>,
}

/// Reads the trace from the JSON object that travels beside a payload.
///
/// Whoever registers in SQL may have stored anything there. What is not well-formed is left out: a trace is worth no
/// failed delivery.
pub(super) fn read(headers: &str) -> Option<TraceContext> {
    let stored: Stored = serde_json::from_str(headers).ok()?;
    TraceContext::parse(&stored.traceparent, stored.tracestate.as_deref())
}

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
        write(&read(&stored).unwrap(), &mut headers);
        assert_eq!(headers["traceparent"], PARENT_TEXT);
        assert_eq!(headers["tracestate"], "a=1,b=2");
    }

    #[test]
    fn malformed_trace_is_left_out() {
        for stored in [
            "",
            "[]",
            "{}",
            r#"{"traceparent":1}"#,
            r#"{"traceparent":null}"#,
            r#"{"traceparent":"garbage"}"#,
            r#"{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n"}x"#,
        ] {
            assert_eq!(read(stored), None, "{stored}");
        }
    }

    #[test]
    fn malformed_state_does_not_cost_the_trace() {
        for state in ["\\u0001", "a\\nb", &"a".repeat(513)] {
            let stored = format!(r#"{{"traceparent":"{PARENT_TEXT}","tracestate":"{state}"}}"#);
            let mut headers = HeaderMap::new();
            write(&read(&stored).unwrap(), &mut headers);
            assert_eq!(
                (headers.len(), &headers["traceparent"]),
                (1, &PARENT_TEXT.parse().unwrap())
            );
        }
    }
}
