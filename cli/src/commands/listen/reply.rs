//! What a request is answered with: a pure rule of its number and whether it verified.

use crate::arguments::listen::{Answer, Listen};

/// The answer of a receiver that has taken a request.
const ACCEPTED: Answer = Answer { status: 204, retry_after: None };

/// The answer to what does not verify.
const REFUSED: Answer = Answer { status: 401, retry_after: None };

/// The failure that nobody has described.
const FAILED: Answer = Answer { status: 500, retry_after: None };

/// What is done with a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Reply {
    /// It is answered.
    Answer(Answer),
    /// It is sent on.
    Forward,
    /// The connection is closed.
    Close,
}

/// Returns what request number `number`, from one, gets; `verified` is `None` where there is no key to verify it with.
pub(super) fn reply(listen: &Listen, number: u64, verified: Option<bool>) -> Reply {
    if verified == Some(false) {
        return Reply::Answer(REFUSED);
    }
    let good = if listen.forward.is_some() { Reply::Forward } else { Reply::Answer(ACCEPTED) };
    trouble(listen, number).unwrap_or(good)
}

/// Returns what request number `number` gets on purpose, if it is its turn.
pub(super) fn trouble(listen: &Listen, number: u64) -> Option<Reply> {
    if !listen.fail_every.is_none_or(|every| number.is_multiple_of(every)) {
        return None;
    }
    match (listen.answer, listen.close) {
        (_, true) => Some(Reply::Close),
        (Some(answer), false) => Some(Reply::Answer(answer)),
        (None, false) => listen.fail_every.map(|_| Reply::Answer(FAILED)),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn replies(words: &[&str]) -> Vec<Reply> {
        let command = Listen::augment_args(clap::Command::new("listen"));
        let matches = command.try_get_matches_from([&["listen"], words].concat()).unwrap();
        let listen = Listen::from_arg_matches(&matches).unwrap();
        (1..=4).map(|number| reply(&listen, number, Some(true))).collect()
    }

    #[test]
    fn every_request_gets_what_was_asked_for() {
        let (good, failed) = (Reply::Answer(ACCEPTED), Reply::Answer(FAILED));
        let busy = Reply::Answer(Answer { status: 503, retry_after: Some(5) });
        let four = |reply: &Reply| vec![reply.clone(); 4];
        assert_eq!(replies(&[]), four(&good));
        assert_eq!(replies(&["--answer", "503,retry-after=5"]), four(&busy));
        assert_eq!(replies(&["--close"]), four(&Reply::Close));
        assert_eq!(replies(&["--forward", "http://127.0.0.1:1/"]), four(&Reply::Forward));
        let second = |bad: Reply| vec![good.clone(), bad.clone(), good.clone(), bad];
        assert_eq!(replies(&["--fail-every", "2"]), second(failed));
        assert_eq!(replies(&["--fail-every", "2", "--answer", "503,retry-after=5"]), second(busy));
        assert_eq!(replies(&["--fail-every", "2", "--close"]), second(Reply::Close));
    }

    #[test]
    fn what_does_not_verify_is_refused_whatever_was_asked_for() {
        let command = Listen::augment_args(clap::Command::new("listen"));
        let matches = command.try_get_matches_from(["listen", "--close"]).unwrap();
        let listen = Listen::from_arg_matches(&matches).unwrap();
        assert_eq!(reply(&listen, 1, Some(false)), Reply::Answer(REFUSED));
        assert_eq!(reply(&listen, 1, None), Reply::Close, "nothing was to be verified");
    }
}
