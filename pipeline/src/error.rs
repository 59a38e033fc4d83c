//! What can go wrong, as situations.

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the pipeline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A topic is there with another number of partitions than it is to have.
    ///
    /// Devices would move to other partitions, away from what is known of them.
    #[error(
        "the topic {topic} has {found} partitions, and {wanted} are configured; set --partitions {found}, or stop the pipeline, let it run empty, and make the topics anew"
    )]
    Repartitioned {
        /// The topic.
        topic: String,
        /// How many it has.
        found: i32,
        /// How many it is to have.
        wanted: i32,
    },
    /// There is no such topic, or no such partition of it.
    #[error(
        "the log has no partition {partition} of topic {topic}; start the pipeline once, which makes its topics"
    )]
    NoSuchPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
    },
    /// The records after a committed position are not there any more.
    #[error(
        "the log has nothing of {topic}/{partition} between {committed}, where {group} has stopped, and {first}; what lay between is gone by its retention"
    )]
    Lapsed {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where the group has stopped.
        committed: i64,
        /// The first offset that is there.
        first: i64,
    },
    /// Another member has taken over; whoever is told so starts anew.
    #[error("another member of {group} has taken over")]
    Fenced {
        /// The group.
        group: String,
    },
    /// The database did not answer, or refused.
    #[error("{doing}")]
    Unanswered {
        /// What was being attempted.
        doing: &'static str,
        /// What the driver said.
        #[source]
        source: sqlx::Error,
    },
    /// Kafka did not answer, or refused.
    #[cfg(feature = "kafka")]
    #[error("{doing}")]
    Broker {
        /// What was being attempted.
        doing: &'static str,
        /// What the client library said.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// The HTTP client of a sink cannot be set up.
    #[error("prepare the HTTP client of a sink; check the trusted certificates")]
    Http {
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A setting of a sink cannot be used.
    #[error("sink {sink}: {reason}")]
    Setting {
        /// The sink.
        sink: String,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// Who works on what could not be settled.
    #[error("hold partitions of the log")]
    Unheld(#[from] tidings_ownership::Error),
}

impl Error {
    #[expect(dead_code, reason = "the log of Postgres comes with it")]
    pub(crate) fn unanswered(doing: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self::Unanswered { doing, source }
    }

    /// Returns whether the same may work later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Repartitioned { .. }
            | Self::NoSuchPartition { .. }
            | Self::Lapsed { .. }
            | Self::Http { .. }
            | Self::Setting { .. } => false,
            Self::Fenced { .. } => true,
            Self::Unanswered { source, .. } => tidings::error::is_transient(source),
            #[cfg(feature = "kafka")]
            Self::Broker { .. } => true,
            Self::Unheld(error) => error.is_transient(),
        }
    }
}
