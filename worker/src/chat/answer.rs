//! What the answer of a chat service means, beyond its status.
//!
//! | Service | Answer | Meaning |
//! |---|---|---|
//! | all | 410 | gone |
//! | Slack | `no_service`, `no_active_hooks`, `no_team`, `team_disabled`, `channel_not_found`, `channel_is_archived`, `invalid_token` | gone |
//! | Discord | code 10015 or 50027 | gone |
//! | Discord | 429 with `retry_after` in its body | tried again after that time, if no header says so |
//! | Teams | 2xx with an error in its body | tried again: the card was not posted |
//! | Teams | `WorkflowNotFound` | gone |
//!
//! Everything else is what it is for a webhook.

use std::time::Duration;

use serde::Deserialize;
use tidings::deliverer::{Answer, Verdict};

use super::Kind;
use crate::webhook::caller::Attempt;

/// What Slack says when nothing can be posted there again, and what to do.
const SLACK_GONE: [(&str, &str); 7] = [
    ("no_service", "the incoming webhook was removed or turned off in Slack; make a new one"),
    (
        "no_active_hooks",
        "the incoming webhook was turned off in Slack; turn it on or make a new one",
    ),
    ("no_team", "the workspace is gone from Slack; make a webhook in another one"),
    ("team_disabled", "the workspace is disabled in Slack; make a webhook in another one"),
    ("channel_not_found", "the channel was deleted in Slack; make a webhook for another one"),
    (
        "channel_is_archived",
        "the channel is archived in Slack; restore it, or make a webhook for another one",
    ),
    (
        "invalid_token",
        "the URL is not, or no more, that of an incoming webhook of Slack; make a new one",
    ),
];

/// What a person does about a subscriber whose webhook is gone.
const THEN: &str = "give the subscriber its URL, and resume it";

/// The longest wait that is believed.
const WAIT_MAX_S: f64 = 86_400.0;

/// What Discord says of an error.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Discord {
    code: Option<i64>,
    retry_after: Option<f64>,
}

/// Returns what became of an attempt at `kind`, whose answer was judged by its status and headers.
pub(super) fn judge(kind: Kind, attempt: Attempt) -> Attempt {
    let Attempt { answer, body, elapsed, verified_by } = attempt;
    let Some(status) = answer.status else { return Attempt { answer, body, elapsed, verified_by } };
    let fresh = match (kind, answer.verdict) {
        (Kind::Teams, Verdict::Delivered) => refused_after_all(&body),
        (_, Verdict::Delivered) => None,
        (Kind::Slack, _) => slack(&body).map(|why| gone(status, why)),
        (Kind::Discord, verdict) => discord(status, verdict, &body),
        (Kind::Teams, _) if body.contains("WorkflowNotFound") => {
            Some(gone(status, "the workflow was deleted in Teams; make a new one"))
        }
        (Kind::Teams, _) => None,
    };
    let plain = || match answer.verdict {
        Verdict::Gone => {
            gone(status, "the webhook was removed; make a new one in the chat service")
        }
        _ => answer.clone(),
    };
    let answer = fresh.unwrap_or_else(plain).with_status(status);
    Attempt { answer, body, elapsed, verified_by }
}

fn gone(status: u16, why: &str) -> Answer {
    Answer::failed(Verdict::Gone, format!("answered {status}: {why}, {THEN}"))
}

fn slack(body: &str) -> Option<&'static str> {
    let said = body.trim();
    SLACK_GONE.iter().find(|(code, _)| said.eq_ignore_ascii_case(code)).map(|(_, why)| *why)
}

fn discord(status: u16, verdict: Verdict, body: &str) -> Option<Answer> {
    let said: Discord = serde_json::from_str(body).unwrap_or_default();
    if let Some(10_015 | 50_027) = said.code {
        return Some(gone(status, "the webhook was deleted in Discord; make a new one"));
    }
    let wait =
        said.retry_after.filter(|wait| wait.is_finite() && (0.0..=WAIT_MAX_S).contains(wait))?;
    if status != 429 || verdict != Verdict::Retry {
        return None;
    }
    // Rounded up: a little early is refused again.
    let wait = Duration::from_secs_f64(wait.ceil().max(1.0));
    let error = format!("answered 429 Too Many Requests, and asks to wait {} s", wait.as_secs());
    Some(Answer::failed(Verdict::RetryAfter(wait), error))
}

/// Teams accepts a request, and says in the body that it could not post it.
fn refused_after_all(body: &str) -> Option<Answer> {
    let said = body.to_ascii_lowercase();
    let is_refusal =
        said.contains("endpoint returned http error") || said.contains("message delivery failed");
    let error = || format!("Teams has taken the request and not posted it: {body}");
    is_refusal.then(|| Answer::failed(Verdict::Retry, error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(kind: Kind, verdict: Verdict, status: u16, body: &str) -> Answer {
        let answer = match verdict {
            Verdict::Delivered => Answer::delivered(),
            verdict => Answer::failed(verdict, "as it was"),
        };
        let answer = answer.with_status(status);
        judge(
            kind,
            Attempt { answer, body: body.to_owned(), elapsed: Duration::ZERO, verified_by: None },
        )
        .answer
    }

    #[test]
    fn webhook_that_is_gone_is_told_with_what_to_do() {
        for (kind, status, body, expected) in [
            (Kind::Slack, 404, "no_service", "make a new one"),
            (Kind::Slack, 410, "channel_is_archived", "restore it"),
            (Kind::Slack, 410, "", "removed"),
            (Kind::Slack, 403, "invalid_token\n", "make a new one"),
            (
                Kind::Discord,
                404,
                r#"{"message": "Unknown Webhook", "code": 10015}"#,
                "deleted in Discord",
            ),
            (
                Kind::Discord,
                401,
                r#"{"message": "Invalid Webhook Token", "code": 50027}"#,
                "deleted in Discord",
            ),
            (Kind::Teams, 404, r#"{"error":{"code":"WorkflowNotFound"}}"#, "deleted in Teams"),
            (Kind::Teams, 410, "", "removed"),
        ] {
            let verdict = if status == 410 { Verdict::Gone } else { Verdict::Retry };
            let answer = judged(kind, verdict, status, body);
            assert_eq!((answer.verdict, answer.status), (Verdict::Gone, Some(status)), "{body}");
            let error = answer.error.unwrap();
            assert!(error.contains(expected) && error.contains("resume it"), "{error}");
        }
    }

    #[test]
    fn answer_that_may_change_is_tried_again_as_for_a_webhook() {
        for (kind, status, body) in [
            (Kind::Slack, 400, "invalid_payload"),
            (Kind::Slack, 404, "<html>Not Found</html>"),
            (Kind::Slack, 500, "rollup_error"),
            (Kind::Discord, 400, r#"{"code": 50006}"#),
            (Kind::Discord, 404, r#"{"code": 0}"#),
            (Kind::Discord, 502, r#"{"retry_after": 3}"#),
            (Kind::Discord, 429, r#"{"retry_after": 1e300}"#),
            (Kind::Discord, 429, r#"{"retry_after": -1}"#),
            (Kind::Teams, 400, "Bad payload received by generic incoming webhook."),
        ] {
            let answer = judged(kind, Verdict::Retry, status, body);
            assert_eq!(answer.verdict, Verdict::Retry, "{body}");
            assert_eq!(answer.error.as_deref(), Some("as it was"), "{body}");
        }
    }

    #[test]
    fn wait_that_discord_asks_for_in_its_body_counts_where_no_header_says_more() {
        let body =
            r#"{"message": "You are being rate limited.", "retry_after": 64.57, "global": false}"#;
        let wait = |seconds| Verdict::RetryAfter(Duration::from_secs(seconds));
        assert_eq!(judged(Kind::Discord, Verdict::Retry, 429, body).verdict, wait(65));
        assert_eq!(judged(Kind::Discord, wait(70), 429, body).verdict, wait(70));
        let soon = r#"{"retry_after": 0.2}"#;
        assert_eq!(judged(Kind::Discord, Verdict::Retry, 429, soon).verdict, wait(1));
    }

    #[test]
    fn success_that_teams_takes_back_is_a_failure() {
        let body = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with ContextId MS-CV=x";
        let answer = judged(Kind::Teams, Verdict::Delivered, 200, body);
        assert_eq!((answer.verdict, answer.status), (Verdict::Retry, Some(200)));
        assert!(answer.error.unwrap().contains("HTTP error 429"));
        for body in ["1", "", "ok"] {
            let answer = judged(Kind::Teams, Verdict::Delivered, 200, body);
            assert_eq!((answer.verdict, answer.error), (Verdict::Delivered, None));
        }
        assert_eq!(judged(Kind::Slack, Verdict::Delivered, 200, "ok").verdict, Verdict::Delivered);
    }
}
