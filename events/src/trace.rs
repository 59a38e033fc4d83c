//! The trace of the caller, stored with the event and continued by its deliveries.
//!
//! The form is W3C Trace Context: a `traceparent`, and a `tracestate` that is carried along unread.

use std::future::Future;

use serde::{Deserialize, Serialize};

tokio::task_local! {
    static CURRENT: TraceContext;
}

/// The longest `tracestate` that is carried (W3C Trace Context, 3.3.1.5).
const TRACESTATE_BYTES_MAX: usize = 512;

/// A trace that an event belongs to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TraceContext {
    traceparent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracestate: Option<String>,
}

impl TraceContext {
    /// Reads the two headers of a request; `None` if `traceparent` is not of the form that W3C Trace Context gives.
    ///
    /// A `tracestate` of more than 512 bytes, or with bytes that a header cannot have, is left out.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let traceparent = traceparent.trim();
        if !is_traceparent(traceparent) {
            return None;
        }
        let tracestate = tracestate
            .map(str::trim)
            .filter(|state| {
                !state.is_empty()
                    && state.len() <= TRACESTATE_BYTES_MAX
                    && state.bytes().all(|byte| (0x20..0x7f).contains(&byte))
            })
            .map(str::to_owned);
        Some(Self { traceparent: traceparent.to_owned(), tracestate })
    }

    /// Reads the trace from the JSON object that is stored beside a payload.
    ///
    /// Whoever registers in SQL may have stored anything there. What is not well-formed is left out: a trace is worth no
    /// failed delivery.
    #[must_use]
    pub fn read(headers: &str) -> Option<Self> {
        let stored: Self = serde_json::from_str(headers).ok()?;
        Self::parse(&stored.traceparent, stored.tracestate.as_deref())
    }

    /// Returns the `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// Returns the `tracestate`, if there is one.
    #[must_use]
    pub fn tracestate(&self) -> Option<&str> {
        self.tracestate.as_deref()
    }
}

/// Runs `future` with `trace` as the trace of every event that it registers.
///
/// A tracing middleware calls it once per request; [`Options::trace`](crate::Options::trace) says it for one event.
pub fn scope<F: Future>(trace: TraceContext, future: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(trace, future)
}

/// Returns the trace of the present task.
pub(crate) fn current() -> Option<TraceContext> {
    CURRENT.try_with(Clone::clone).ok()
}

/// `version-trace_id-parent_id-flags` in lower-case hexadecimal; neither id is all zeros.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let (Some(version), Some(trace), Some(parent), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let zeros = |part: &str| part.bytes().all(|byte| byte == b'0');
    hex(version, 2)
        && version != "ff"
        && hex(trace, 32)
        && !zeros(trace)
        && hex(parent, 16)
        && !zeros(parent)
        && hex(flags, 2)
        && (version != "00" || parts.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_form_of_w3c_trace_context_is_read_and_nothing_else() {
        for (text, good) in [
            (GOOD, true),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false),
            ("", false),
        ] {
            assert_eq!(TraceContext::parse(text, None).is_some(), good, "{text}");
        }
    }

    #[test]
    fn malformed_trace_beside_a_payload_is_left_out() {
        for stored in [
            "",
            "[]",
            "{}",
            r#"{"traceparent":1}"#,
            r#"{"traceparent":null}"#,
            r#"{"traceparent":"garbage"}"#,
            &format!(r#"{{"traceparent":"{GOOD}\n"}}x"#),
        ] {
            assert_eq!(TraceContext::read(stored), None, "{stored}");
        }
    }

    #[test]
    fn malformed_state_does_not_cost_the_trace() {
        for state in ["\\u0001", "a\\nb", &"a".repeat(513)] {
            let stored = format!(r#"{{"traceparent":"{GOOD}","tracestate":"{state}","x":[1]}}"#);
            let trace = TraceContext::read(&stored).unwrap();
            assert_eq!((trace.traceparent(), trace.tracestate()), (GOOD, None));
        }
    }

    #[test]
    fn tracestate_that_no_header_can_carry_is_left_out() {
        let with = |state: &str| TraceContext::parse(GOOD, Some(state)).unwrap().tracestate;
        assert_eq!(with("vendor=1").as_deref(), Some("vendor=1"));
        assert_eq!(with("vendor=1\r\nx: y"), None);
        assert_eq!(with(&"x".repeat(513)), None);
    }
}
