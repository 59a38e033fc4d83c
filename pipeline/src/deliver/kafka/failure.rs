//! What an error of Kafka means for a delivery.
//!
//! What a person can repair, and what passes by itself, comes again on the ladder and loses nothing; only what the same
//! record can never pass is refused.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use tidings::deliverer::{Answer, Verdict};

/// How long nothing is sent while the queue of the producer is full.
const PATIENCE: Duration = Duration::from_secs(1);

/// Returns the answer to a record for `topic` that was not taken, with what was wrong with a connection last.
///
/// The status is Kafka's own code for an error, where the brokers have answered.
pub(super) fn answer(error: &KafkaError, topic: &str, trouble: Option<&str>) -> Answer {
    let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
    let retry = |reason: String| Answer::failed(Verdict::Retry, reason);
    let answer = match code {
        Code::QueueFull => {
            let reason = "the queue of the producer is full; more brokers or fewer events in flight would help";
            return Answer::failed(Verdict::Throttled(PATIENCE), reason);
        }
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            let reason = format!("Kafka has no topic {topic}; make it, or let the brokers do so");
            return retry(reason).with_status(status(Code::UnknownTopicOrPartition));
        }
        Code::MessageSizeTooLarge | Code::InvalidMessageSize => Answer::failed(
            Verdict::Refused,
            format!(
                "the record is larger than the topic {topic} takes; raise its max.message.bytes, then replay the dead letter"
            ),
        ),
        Code::InvalidTopic => Answer::failed(
            Verdict::Refused,
            format!(
                "Kafka takes no topic of the name {topic}; give the subscriber another, then replay the dead letter"
            ),
        ),
        Code::InvalidRecord | Code::PolicyViolation => Answer::failed(
            Verdict::Refused,
            format!(
                "the brokers do not take the record for {topic} ({error}); see what the topic asks for, then replay the dead letter"
            ),
        ),
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => retry(format!(
            "the account may not write to the topic {topic}; allow it the operations Write and Describe"
        )),
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => {
            retry(format!("Kafka does not know the account; set other credentials ({error})"))
        }
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend => retry(format!(
            "too few replicas of the topic {topic} are there; look after the brokers"
        )),
        Code::MessageTimedOut | Code::BrokerTransportFailure | Code::AllBrokersDown => {
            let last = trouble.map(|trouble| format!("; last: {trouble}")).unwrap_or_default();
            return retry(format!("Kafka did not take the record for {topic} in time{last}"));
        }
        Code::PurgeQueue | Code::PurgeInflight => {
            return retry("the producer was set up anew before Kafka had answered".to_owned());
        }
        _ => retry(format!("Kafka did not take the record for {topic}: {error}")),
    };
    if (code as i32) > 0 { answer.with_status(status(code)) } else { answer }
}

/// Whether a record, or the batch that the producer has put it into, is larger than the topic takes.
pub(super) fn is_too_large(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize))
}

/// Whether a producer cannot go on after an error.
pub(super) fn is_fatal(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| {
        matches!(
            code,
            Code::Fatal
                | Code::InvalidProducerEpoch
                | Code::InvalidProducerIdMapping
                | Code::OutOfOrderSequenceNumber
                | Code::UnknownProducerId
        )
    })
}

fn status(code: Code) -> u16 {
    u16::try_from(code as i32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_never_work_is_refused_and_the_rest_comes_again() {
        use Verdict::{Refused, Retry, Throttled};
        for (code, verdict, status, says) in [
            (Code::QueueFull, Throttled(PATIENCE), None, "queue"),
            (Code::UnknownTopic, Retry, Some(3), "no topic orders; make it"),
            (Code::UnknownTopicOrPartition, Retry, Some(3), "no topic orders; make it"),
            (Code::MessageSizeTooLarge, Refused, Some(10), "max.message.bytes"),
            (Code::InvalidTopic, Refused, Some(17), "another"),
            (Code::PolicyViolation, Refused, Some(44), "asks for"),
            (Code::TopicAuthorizationFailed, Retry, Some(29), "operations Write"),
            (Code::SaslAuthenticationFailed, Retry, Some(58), "credentials"),
            (Code::Authentication, Retry, None, "credentials"),
            (Code::NotEnoughReplicas, Retry, Some(19), "replicas"),
            (Code::MessageTimedOut, Retry, None, "in time; last: k:9092 is away"),
            (Code::PurgeQueue, Retry, None, "anew"),
            (Code::KafkaStorageError, Retry, Some(56), "orders: "),
        ] {
            let error = KafkaError::MessageProduction(code);
            let answer = answer(&error, "orders", Some("k:9092 is away"));
            assert_eq!((answer.verdict, answer.status), (verdict, status), "{code:?}");
            assert!(answer.error.as_deref().unwrap().contains(says), "{answer:?}");
        }
    }

    #[test]
    fn producer_is_set_up_anew_only_after_what_it_cannot_go_on_from() {
        assert!(is_fatal(&KafkaError::MessageProduction(Code::Fatal)));
        assert!(!is_fatal(&KafkaError::MessageProduction(Code::MessageTimedOut)));
        assert!(!is_fatal(&KafkaError::MessageProduction(Code::UnknownTopic)));
    }
}
