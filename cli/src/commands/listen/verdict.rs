//! Whether a request verifies, and if not, what a developer wants to know about it.

use std::time::{Duration, SystemTime};

use hyper::HeaderMap;
use tidings_receiver::{Verifier, VerifyError};

/// A time that no signature is away from now.
const FOR_EVER: Duration = Duration::from_hours(24 * 365 * 1000);

/// What verifying a request came to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// There is no key here.
    Unchecked,
    /// The key of this fingerprint has signed it.
    Verified(String),
    /// Why not.
    Refused(String),
}

impl Verdict {
    /// Verifies a request at the time `now`.
    pub(super) fn of(
        verifier: Option<&Verifier>,
        headers: &HeaderMap,
        body: &[u8],
        now: SystemTime,
    ) -> Self {
        let Some(verifier) = verifier else { return Self::Unchecked };
        match verifier.verify(headers, body, now) {
            Ok(verified) => Self::Verified(verified.fingerprint.to_string()),
            Err(error) => {
                let clue = clue(verifier, headers, body, (&error, now));
                let clue = clue.map(|clue| format!("; {clue}")).unwrap_or_default();
                Self::Refused(format!("{error}{clue}"))
            }
        }
    }

    /// Says whether it verified; `None` if there is no key here.
    pub(super) const fn verified(&self) -> Option<bool> {
        match self {
            Self::Unchecked => None,
            Self::Verified(_) => Some(true),
            Self::Refused(_) => Some(false),
        }
    }
}

/// Tries what usually goes wrong, and says what it was.
fn clue(
    verifier: &Verifier,
    headers: &HeaderMap,
    body: &[u8],
    (error, now): (&VerifyError, SystemTime),
) -> Option<&'static str> {
    let fits =
        |body: &[u8]| verifier.clone().tolerance(FOR_EVER).verify(headers, body, now).is_ok();
    match error {
        VerifyError::TooOld { .. } | VerifyError::TooNew { .. } => Some(if fits(body) {
            "the signature itself is right"
        } else {
            "and the signature does not fit either"
        }),
        VerifyError::WrongSignature => {
            let changed = [body.trim_ascii().to_vec(), [body, b"\n"].concat()];
            let compact = serde_json::from_slice::<serde_json::Value>(body)
                .and_then(|value| serde_json::to_vec(&value));
            if changed.iter().any(|body| fits(body)) {
                Some("it would fit without a change of white space at the end of the body")
            } else if compact.is_ok_and(|body| fits(&body)) {
                Some("it would fit if the JSON of the body had not been written anew on the way")
            } else if body.is_empty() {
                Some("the body is empty, so something on the way may have taken it")
            } else {
                None
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tidings_receiver::Key;

    use super::*;

    /// A test vector of Standard Webhooks.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn headers() -> HeaderMap {
        let fields = [
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ];
        let field = |(name, value): (&'static str, &'static str)| {
            (
                hyper::header::HeaderName::from_static(name),
                hyper::header::HeaderValue::from_static(value),
            )
        };
        fields.into_iter().map(field).collect()
    }

    fn verdict(body: &[u8], late_s: u64) -> Verdict {
        let verifier = Verifier::new([Key::parse(SECRET).unwrap()]).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_614_265_330 + late_s);
        Verdict::of(Some(&verifier), &headers(), body, now)
    }

    #[track_caller]
    fn refused(verdict: Verdict, expected: &str) {
        let Verdict::Refused(why) = verdict else { panic!("{verdict:?}") };
        assert!(why.contains(expected), "{why}");
    }

    #[test]
    fn verdict_says_what_has_gone_wrong_on_the_way() {
        assert!(matches!(verdict(BODY, 0), Verdict::Verified(_)));
        refused(verdict(BODY, 3600), "signed 3600 s ago");
        refused(verdict(BODY, 3600), "the signature itself is right");
        refused(verdict(b"{}", 3600), "the signature does not fit either");
        refused(verdict(b"{\"test\": 2432232314}\n", 0), "white space at the end");
        refused(verdict(b"", 0), "the body is empty");
        refused(verdict(b"{}", 0), "no signature fits");
        let now = SystemTime::UNIX_EPOCH;
        let verifier = Verifier::new([Key::parse(SECRET).unwrap()]).unwrap();
        let nothing = Verdict::of(Some(&verifier), &HeaderMap::new(), BODY, now);
        refused(nothing, "the header webhook-id is missing");
        assert_eq!(Verdict::of(None, &HeaderMap::new(), BODY, now), Verdict::Unchecked);
    }
}
