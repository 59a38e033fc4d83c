//! Which errors of Kafka mean what.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// Says whether the same may work later.
pub(crate) fn is_transient(error: &KafkaError) -> bool {
    match error {
        KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) | KafkaError::Nul(_) => false,
        error => !error.rdkafka_error_code().is_some_and(is_permanent),
    }
}

/// Says whether an error comes again whatever happens in the cluster, until somebody changes something.
pub(super) const fn is_permanent(code: Code) -> bool {
    matches!(
        code,
        Code::Authentication
            | Code::ClusterAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::InvalidArgument
            | Code::InvalidConfig
            | Code::InvalidGroupId
            | Code::InvalidMessage
            | Code::InvalidMessageSize
            | Code::InvalidPartitions
            | Code::InvalidRecord
            | Code::InvalidReplicationFactor
            | Code::InvalidSessionTimeout
            | Code::InvalidTopic
            | Code::InvalidTransactionTimeout
            | Code::MessageSizeTooLarge
            | Code::PolicyViolation
            | Code::SaslAuthenticationFailed
            | Code::TopicAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::UnknownPartition
            | Code::UnknownTopic
            | Code::UnsupportedCompressionType
            | Code::UnsupportedSASLMechanism
            | Code::UnsupportedVersion
    )
}

/// Says whether a member or producer is of no use any more.
pub(super) const fn is_fencing(code: Code) -> bool {
    matches!(
        code,
        Code::Fatal
            | Code::Fenced
            | Code::FencedInstanceId
            | Code::IllegalGeneration
            | Code::InvalidProducerEpoch
            | Code::InvalidProducerIdMapping
            | Code::ProducerFenced
            | Code::UnknownMemberId
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_has_to_change_is_permanent_and_the_rest_is_not() {
        let cases = [
            (KafkaError::MessageProduction(Code::MessageSizeTooLarge), false),
            (KafkaError::MessageProduction(Code::TopicAuthorizationFailed), false),
            (KafkaError::Global(Code::Authentication), false),
            (KafkaError::ClientCreation("no such broker".to_owned()), false),
            (KafkaError::MessageProduction(Code::MessageTimedOut), true),
            (KafkaError::MetadataFetch(Code::BrokerTransportFailure), true),
            (KafkaError::MetadataFetch(Code::OperationTimedOut), true),
            (KafkaError::ConsumerCommit(Code::CoordinatorLoadInProgress), true),
            (KafkaError::Canceled, true),
        ];
        for (error, transient) in cases {
            assert_eq!(is_transient(&error), transient, "{error}");
        }
    }
}
