//! What `listen` understands.

use std::{ops::RangeInclusive, str::FromStr, time::Duration};

use clap::Args;

use crate::duration;

const DELAY: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_mins(10);

/// Where webhooks are received, and how they are answered.
#[derive(Args, Clone, Debug)]
pub(crate) struct Listen {
    /// Record analytics in place of webhooks: speak Segment and PostHog, keep nothing, and show each message on a line
    #[arg(long, conflicts_with_all = ["secrets", "forward", "patterns"])]
    pub(crate) analytics: bool,

    /// Show each message of analytics whole
    #[arg(long, requires = "analytics")]
    pub(crate) verbose: bool,

    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 8787, value_name = "N")]
    pub(crate) port: u16,

    /// A secret or public key, `whsec_…` or `whpk_…`, that verifies; repeatable; `-` reads one from standard input
    #[arg(long = "secret", value_name = "SECRET")]
    pub(crate) secrets: Vec<String>,

    /// Send what was verified on to this address, in plain http, and answer what it answers
    #[arg(long, value_name = "URL", conflicts_with_all = ["answer", "close"])]
    pub(crate) forward: Option<String>,

    /// Answer with this status, `500` or `503,retry-after=5` for example
    #[arg(long, value_name = "STATUS")]
    pub(crate) answer: Option<Answer>,

    /// Answer only every Nth request like that, with 500 if no other answer is set, and the others with 204
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) fail_every: Option<u64>,

    /// Let each sender wait so long for its answer, at most 10m
    #[arg(long, default_value = "0s", value_name = "DURATION", value_parser = duration::within(DELAY))]
    pub(crate) delay: Duration,

    /// Close the connection instead of answering
    #[arg(long, conflicts_with = "answer")]
    pub(crate) close: bool,

    /// End after so many requests
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,

    /// Add a subscriber to this event type or pattern for as long as this runs; repeatable
    #[arg(long = "subscribe", value_name = "PATTERN")]
    pub(crate) patterns: Vec<String>,
}

/// What a request is answered with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Answer {
    /// The status, 200 to 599.
    pub(crate) status: u16,
    /// How many seconds the sender is asked to wait.
    pub(crate) retry_after: Option<u32>,
}

impl FromStr for Answer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no answer; write a status from 200 to 599, such as 500, or 503,retry-after=5"
            )
        };
        let (status, rest) = text.split_once(',').map_or((text, None), |(a, b)| (a, Some(b)));
        let status = status.trim().parse().ok().filter(|status| (200..600).contains(status));
        let retry_after = match rest.map(|rest| rest.trim().strip_prefix("retry-after=")) {
            None => None,
            Some(seconds) => Some(seconds.and_then(|it| it.parse().ok()).ok_or_else(wrong)?),
        };
        Ok(Self { status: status.ok_or_else(wrong)?, retry_after })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_is_a_status_and_maybe_a_time_to_wait() {
        let answer = |status, retry_after| Ok(Answer { status, retry_after });
        assert_eq!("500".parse(), answer(500, None));
        assert_eq!("503, retry-after=5".parse(), answer(503, Some(5)));
        for text in ["", "99", "600", "5xx", "503,5", "503,retry-after=soon"] {
            let error = text.parse::<Answer>().unwrap_err();
            assert!(error.contains("such as 500"), "{error}");
        }
    }
}
