//! What an answer means, as a whole and for each document.

use std::borrow::Cow;

use serde::Deserialize;
use tidings_analytics::wire::Response;

use crate::reason::Reason;

/// How much of an engine's reason is kept.
const REASON_CHARS_MAX: usize = 500;

/// What an answer to a bulk request means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    /// Something is said about each document.
    Items(Vec<Said>),
    /// Not now: too many requests, or an engine that is starting, stopping or out of breath.
    Busy(String),
    /// More bytes than it, or something before it, takes.
    TooLarge(String),
    /// The request is not as it should be; which document is to blame is not said.
    Refused(Reason),
    /// Only a person can put it right: credentials, address, settings.
    Misconfigured(String),
}

/// What is said about one document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    /// It was made.
    Stored,
    /// It had been made before.
    AlreadyThere,
    /// Not now.
    Busy(String),
    /// The engine broke on it, or beside it.
    Broken(Reason),
    /// There is no index, and none was made for it.
    NoIndex(String),
    /// Only a person can put it right.
    Misconfigured(String),
    /// It is refused.
    Rejected(Reason),
}

#[derive(Deserialize)]
struct Bulk<'a> {
    #[serde(borrow)]
    items: Vec<Item<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    create: Outcome<'a>,
}

#[derive(Deserialize)]
struct Outcome<'a> {
    status: u16,
    #[serde(borrow)]
    error: Option<Failure<'a>>,
}

#[derive(Deserialize)]
struct Whole<'a> {
    #[serde(borrow)]
    error: Failure<'a>,
}

#[derive(Deserialize)]
struct Failure<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    caused_by: Option<Box<Self>>,
}

impl Answer {
    /// Reads the answer to a request with `documents` documents.
    pub(super) fn read(response: &Response, documents: usize) -> Self {
        let whole = serde_json::from_slice::<Whole<'_>>(&response.body).ok();
        let said = || {
            let said = whole.as_ref().map(|whole| whole.error.text());
            let said = said.map(|said| format!(": {said}")).unwrap_or_default();
            format!("answered {}{said}", response.status)
        };
        match response.status {
            200 => match serde_json::from_slice::<Bulk<'_>>(&response.body) {
                Ok(bulk) if bulk.items.len() == documents => {
                    Self::Items(bulk.items.iter().map(|item| item.create.said()).collect())
                }
                // What stands between us and the engine has spoken, or the answer was cut.
                _ => Self::Busy("answered 200 with something else than items".to_owned()),
            },
            413 => Self::TooLarge(said()),
            408 | 429 | 500..=599 => Self::Busy(said()),
            // Only the engine itself may blame documents: a gateway's 400 is about something else.
            400 | 422 if whole.as_ref().is_some_and(|whole| !whole.error.is_setting()) => {
                let reason = whole.as_ref().map(|whole| whole.error.reason());
                reason.map_or_else(|| Self::Misconfigured(said()), Self::Refused)
            }
            401 | 403 => Self::Misconfigured(format!(
                "{}; check its credentials, and what they may do",
                said()
            )),
            _ => Self::Misconfigured(format!("{}; check its URL and its indices", said())),
        }
    }
}

impl Outcome<'_> {
    fn said(&self) -> Said {
        let Some(error) = &self.error else {
            return match self.status {
                200..=299 => Said::Stored,
                409 => Said::AlreadyThere,
                status => Said::Busy(format!("answered {status} without a reason")),
            };
        };
        match self.status {
            _ if error.r#type == "index_not_found_exception" => Said::NoIndex(error.text()),
            _ if error.is_setting() => Said::Misconfigured(error.text()),
            409 => Said::AlreadyThere,
            429 | 502..=504 => Said::Busy(error.text()),
            401 | 403 | 404 => Said::Misconfigured(error.text()),
            500..=599 => Said::Broken(error.reason()),
            _ => Said::Rejected(error.reason()),
        }
    }
}

impl Failure<'_> {
    /// Returns whether it is about the index, the cluster or the rights, whatever the status: engines answer 400 too.
    fn is_setting(&self) -> bool {
        const TYPES: [&str; 8] = [
            "cluster_block_exception",
            "index_closed_exception",
            "index_create_block_exception",
            "index_not_found_exception",
            "invalid_alias_name_exception",
            "invalid_index_name_exception",
            "security_exception",
            // The cluster has as many shards as it may have.
            "validation_exception",
        ];
        let reason = self.reason.as_deref().unwrap_or_default();
        TYPES.contains(&&*self.r#type)
            || (self.r#type == "illegal_argument_exception"
                && reason.starts_with("no write index is defined"))
    }

    /// Returns type and reason for the log. The values that engines quote are the documents', so nothing of them.
    fn text(&self) -> String {
        let reason = self.reason.as_deref().unwrap_or_default();
        let quoted = reason.find("Preview of").unwrap_or(reason.len());
        let reason: String = reason.chars().take(quoted.min(200)).collect();
        format!("{}: {reason}", self.r#type)
    }

    /// Returns type and reason as they go to the failed event.
    fn reason(&self) -> Reason {
        let mut message = self.reason.as_deref().unwrap_or_default().to_owned();
        let mut cause = self.caused_by.as_deref();
        while let Some(failure) = cause {
            if let Some(reason) = &failure.reason {
                message = format!("{message}: {reason}");
            }
            cause = failure.caused_by.as_deref();
        }
        let message = message.chars().take(REASON_CHARS_MAX).collect();
        Reason { path: "$".into(), code: self.r#type.clone().into_owned().into(), message }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn whole(status: u16, body: &Value) -> Answer {
        let body = body.to_string().into();
        Answer::read(&Response { status, body, ..Response::default() }, 1)
    }

    fn item(status: u16, kind: &str, reason: &str) -> Said {
        let error = json!({"type": kind, "reason": reason});
        let body = json!({"items": [{"create": {"status": status, "error": error}}]});
        match whole(200, &body) {
            Answer::Items(items) => items.into_iter().next().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// Kafka Connect's sink stops its task on every type that it does not know.
    #[test]
    fn each_document_is_judged_by_itself() {
        let table = [
            (409, "version_conflict_engine_exception", "", "AlreadyThere"),
            (429, "es_rejected_execution_exception", "", "Busy"),
            (429, "rejected_execution_exception", "", "Busy"),
            (503, "unavailable_shards_exception", "", "Busy"),
            (500, "null_pointer_exception", "", "Broken"),
            (400, "mapper_parsing_exception", "", "Rejected"),
            (400, "document_parsing_exception", "", "Rejected"),
            (400, "strict_dynamic_mapping_exception", "", "Rejected"),
            (400, "illegal_argument_exception", "Limit of total fields", "Rejected"),
            (400, "never_heard_of_exception", "", "Rejected"),
            (404, "index_not_found_exception", "", "NoIndex"),
            (400, "index_closed_exception", "", "Misconfigured"),
            (403, "cluster_block_exception", "", "Misconfigured"),
            (400, "validation_exception", "would add [2] shards", "Misconfigured"),
            (400, "illegal_argument_exception", "no write index is defined for", "Misconfigured"),
            (403, "security_exception", "", "Misconfigured"),
        ];
        for (status, kind, reason, wanted) in table {
            let said = format!("{:?}", item(status, kind, reason));
            assert!(said.starts_with(wanted), "{status} {kind}: {said}");
        }
        let made = json!({"items": [{"create": {"status": 201}}]});
        assert_eq!(whole(200, &made), Answer::Items(vec![Said::Stored]));
    }

    #[test]
    fn answer_as_a_whole_blames_documents_only_in_the_engines_words() {
        let engine = |kind: &str| json!({"error": {"type": kind, "reason": "r"}, "status": 400});
        let table = [
            (200, json!({"items": []}), "Busy"),
            (200, json!({"hello": 1}), "Busy"),
            (400, engine("action_request_validation_exception"), "Refused"),
            (400, engine("index_closed_exception"), "Misconfigured"),
            (400, json!("<html>"), "Misconfigured"),
            (401, json!({}), "Misconfigured"),
            (404, engine("index_not_found_exception"), "Misconfigured"),
            (301, json!({}), "Misconfigured"),
            (413, json!("<html>"), "TooLarge"),
            (429, engine("rejected_execution_exception"), "Busy"),
            (503, json!({}), "Busy"),
        ];
        for (status, body, wanted) in table {
            let answer = format!("{:?}", whole(status, &body));
            assert!(answer.starts_with(wanted), "{status} {body}: {answer}");
        }
    }

    #[test]
    fn reason_is_kept_with_its_causes_and_what_it_quotes_is_not_logged() {
        let error = json!({"type": "mapper_parsing_exception", "reason": "no. Preview of field's value: 'ada'",
            "caused_by": {"type": "x", "reason": "why"}});
        let text = error.to_string();
        let failure: Failure<'_> = serde_json::from_str(&text).unwrap();
        assert_eq!(failure.text(), "mapper_parsing_exception: no. ");
        assert_eq!(failure.reason().message, "no. Preview of field's value: 'ada': why");
    }
}
