//! Which exit code and which hint belong to an error.
//!
//! Commands return `anyhow` errors; what they know about the exit code travels inside as a [`Coded`], and the errors
//! of the crates below are judged here, in one place.

use std::{error::Error as StdError, fmt};

use anyhow::Error;
use serde::Serialize;
use tidings::endpoint::EndpointError;
use tidings_worker::{analytics::ConfigError, chat};

use crate::exit::Exit;

/// An error that knows its exit code, and what to do about it.
#[derive(Debug)]
pub(crate) struct Coded {
    exit: Exit,
    message: String,
    hint: Option<String>,
    source: Option<Error>,
}

/// An error as programs read it, on standard error.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    error: Inner,
}

#[derive(Debug, Serialize)]
struct Inner {
    code: &'static str,
    message: String,
    hint: Option<String>,
}

impl Coded {
    /// Returns an error with this exit code and message.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, source: None }
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says why it happened.
    pub(crate) fn because(mut self, source: impl Into<Error>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Coded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Coded {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

impl Report {
    /// Returns the report of an error.
    pub(crate) fn new(error: &Error) -> Self {
        let (exit, hint) = judge(error);
        Self { error: Inner { code: exit.as_str(), message: chain(error), hint } }
    }
}

/// Returns an error and its sources as one sentence.
///
/// Drivers like to repeat a source in their own words; a source that the text ends with already is left out.
pub(crate) fn chain(error: &Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |mut text, link| {
        if text.is_empty() {
            return link;
        }
        if !text.ends_with(&link) {
            text.push_str(": ");
            text.push_str(&link);
        }
        text
    })
}

/// An exit code, and what to do where the message does not say so already.
type Judgement = (Exit, Option<&'static str>);

const UNREACHABLE: Judgement =
    (Exit::Database, Some("check that the database runs and that DATABASE_URL is right"));

/// Returns the exit code of an error, and what to do about it where the message does not say so already.
pub(crate) fn judge(error: &Error) -> (Exit, Option<String>) {
    for link in error.chain() {
        if let Some(coded) = link.downcast_ref::<Coded>() {
            return (coded.exit, coded.hint.clone());
        }
        if let Some((exit, hint)) = of_link(link) {
            return (exit, hint.map(str::to_owned));
        }
    }
    (Exit::Failed, None)
}

/// `None` where a source further down decides.
fn of_link(link: &(dyn StdError + 'static)) -> Option<Judgement> {
    if let Some(error) = link.downcast_ref::<tidings::Error>() {
        return of_events(error);
    }
    if let Some(error) = link.downcast_ref::<EndpointError>() {
        return Some((Exit::Refused, allowing(error)));
    }
    if let Some(error) = link.downcast_ref::<chat::Error>() {
        let hint = match error {
            chat::Error::Endpoint(error) => allowing(error),
            _ => None,
        };
        return Some((Exit::Refused, hint));
    }
    if let Some(error) = link.downcast_ref::<tidings_relay::Error>() {
        return of_relay(error);
    }
    if let Some(error) = link.downcast_ref::<tidings_pipeline::Error>() {
        use tidings_pipeline::Error as E;
        let is_refusal = matches!(error, E::NeverRun { .. } | E::Gone { .. });
        return is_refusal.then_some((Exit::Refused, None));
    }
    if let Some(error) = link.downcast_ref::<ConfigError>() {
        let hint = match error {
            ConfigError::Endpoint(error) => allowing(error),
            _ => None,
        };
        return Some((Exit::Refused, hint));
    }
    if let Some(error) = link.downcast_ref::<tidings_worker::Error>() {
        return error.is_transient().then_some(UNREACHABLE);
    }
    if let Some(tidings_migrations::Error::ServerTooOld { .. }) = link.downcast_ref() {
        return Some((Exit::Database, None));
    }
    if let Some(error) = link.downcast_ref::<sqlx::Error>() {
        return of_driver(error);
    }
    let is_refusal = link.is::<tidings::secret::SecretError>()
        || link.is::<tidings::secret::KeyringError>()
        || link.is::<tidings::pattern::PatternError>()
        || link.is::<tidings::scope::ScopeError>()
        || link.is::<tidings::name::NameError>()
        || link.is::<chat::TemplateError>()
        || link.is::<tidings::secret::CredentialsError>()
        || link.is::<tidings::analytics::HashKeyError>()
        || link.is::<tidings::catalogue::SnapshotError>()
        || link.is::<tidings::deliverer::OpenError>();
    is_refusal.then_some((Exit::Refused, None))
}

fn of_relay(error: &tidings_relay::Error) -> Option<Judgement> {
    use tidings_relay::Error as E;
    match error {
        E::BadChannelName { .. }
        | E::QuotaTooLarge
        | E::BadUpstream { .. }
        | E::BadScriptOption { .. }
        | E::NoTls { .. } => Some((Exit::Refused, None)),
        E::NoSuchKey { .. } => Some((Exit::NotFound, Some("list them with `tidings key list`"))),
        E::NoSuchChannel { .. } => {
            Some((Exit::NotFound, Some("list them with `tidings channel list`")))
        }
        _ => None,
    }
}

fn of_events(error: &tidings::Error) -> Option<Judgement> {
    use tidings::Error as E;
    match error {
        E::SchemaMissing(_) => Some((Exit::Database, None)),
        E::NoSuchSubscriber { .. } | E::NoSuchVersion { .. } => Some((Exit::NotFound, None)),
        E::Unanswered { .. } => None,
        E::Endpoint(error) => Some((Exit::Refused, allowing(error))),
        E::Secret(_)
        | E::Credentials(_)
        | E::NoSecret { .. }
        | E::NoKeyPair { .. }
        | E::TooManyKeys { .. }
        | E::Pattern(_)
        | E::Scope(_)
        | E::SubscriberExists { .. }
        | E::BadSubscriberName { .. }
        | E::UnknownKind { .. }
        | E::Sealed { .. }
        | E::NoKey { .. }
        | E::NoSealingKey { .. }
        | E::NoSuchType { .. }
        | E::ReservedType { .. }
        | E::ScopeMismatch { .. }
        | E::KeyTooLong { .. }
        | E::NotObject { .. }
        | E::Unstorable { .. }
        | E::OutOfRange { .. }
        | E::SubscriberGone { .. }
        | E::BadFilter { .. }
        | E::Changed { .. }
        | E::NotKept { .. }
        | E::Unreplayable { .. } => Some((Exit::Refused, None)),
        _ => Some((Exit::Failed, None)),
    }
}

/// Says how an operator allows what was refused, where it can be allowed.
fn allowing(error: &EndpointError) -> Option<&'static str> {
    match error {
        EndpointError::Address(_)
        | EndpointError::Name { .. }
        | EndpointError::PrivateName { .. } => {
            Some("an operator allows it with --allow-address, here and for the workers")
        }
        EndpointError::HttpsOnly => {
            Some("an operator allows it with --allow-http, here and for the workers")
        }
        _ => None,
    }
}

/// A statement that the server refuses is a failure; a server that does not answer, or not to us, is not there.
fn of_driver(error: &sqlx::Error) -> Option<Judgement> {
    match error {
        sqlx::Error::Database(answer) => match answer.code().as_deref() {
            // Authorization, unknown database, too many connections, shutting down.
            Some(code) if ["28", "3D", "53", "57P"].iter().any(|class| code.starts_with(class)) => {
                Some(UNREACHABLE)
            }
            // A function, schema or table that is not there: the schema is missing or too old.
            Some("42883" | "3F000" | "42P01") => {
                Some((Exit::Database, Some("run `tidings migrate`")))
            }
            _ => None,
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::Configuration(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed => Some(UNREACHABLE),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context;
    use serde_json::json;

    use super::*;

    fn exit(error: impl Into<Error>) -> Exit {
        judge(&error.into().context("do something")).0
    }

    #[test]
    fn every_class_of_error_has_its_exit_code() {
        let refused = || sqlx::Error::Io(io::Error::from(io::ErrorKind::ConnectionRefused));
        assert_eq!(exit(Error::msg("something else")), Exit::Failed);
        assert_eq!(exit(Coded::new(Exit::NotFound, "no such event")), Exit::NotFound);
        assert_eq!(exit(refused()), Exit::Database);
        assert_eq!(exit(tidings::Error::SchemaMissing(sqlx::Error::RowNotFound)), Exit::Database);
        assert_eq!(
            exit(tidings::Error::Unanswered { doing: "read", source: refused() }),
            Exit::Database
        );
        assert_eq!(
            exit(tidings::Error::Unanswered { doing: "read", source: sqlx::Error::RowNotFound }),
            Exit::Failed
        );
        assert_eq!(exit(tidings::Error::SubscriberExists { name: "x".into() }), Exit::Refused);
        assert_eq!(exit(EndpointError::HttpsOnly), Exit::Refused);
        assert_eq!(exit(chat::Error::NoUrl), Exit::Refused);
        let chat = Error::from(chat::Error::Endpoint(EndpointError::HttpsOnly));
        assert!(judge(&chat).1.unwrap().contains("--allow-http"));
        assert_eq!(exit(tidings::Error::Endpoint(EndpointError::HttpsOnly)), Exit::Refused);
        assert_eq!(exit(tidings_migrations::Error::Connect(refused())), Exit::Database);
        let worker = tidings_worker::Error::Unanswered { doing: "hold", source: refused() };
        assert_eq!(exit(worker), Exit::Database);
    }

    #[test]
    fn server_that_is_too_old_is_named_with_the_way_out() {
        let error =
            Err::<(), _>(tidings_migrations::Error::ServerTooOld { version: "12.22".into() })
                .context("start")
                .unwrap_err();
        assert_eq!(judge(&error).0, Exit::Database);
        assert_eq!(
            chain(&error),
            "start: migrate: the server is PostgreSQL 12.22, and Tidings needs 13 or later; \
             upgrade the server, or point DATABASE_URL at a newer one"
        );
    }

    #[test]
    fn source_that_was_said_already_is_not_said_again() {
        let refused = sqlx::Error::Io(io::Error::other("connection refused"));
        let error = Error::from(refused).context("connect to the database");
        assert_eq!(
            chain(&error),
            "connect to the database: error communicating with database: connection refused"
        );
    }

    #[test]
    fn error_is_reported_as_one_document() {
        let coded = Coded::new(Exit::NotFound, "there is no subscriber `x`")
            .hint("list them with `tidings subscriber list`")
            .because(Error::msg("gone"));
        let report = serde_json::to_value(Report::new(&coded.into())).unwrap();
        let expected = json!({"error": {
            "code": "not_found",
            "message": "there is no subscriber `x`: gone",
            "hint": "list them with `tidings subscriber list`",
        }});
        assert_eq!(report, expected);
    }
}
