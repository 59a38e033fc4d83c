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
    /// What is to be sent again is not there any more.
    #[error(
        "the log has nothing of {topic}/{partition} before {first}; what lay from {wanted} on is gone by its retention"
    )]
    Gone {
        /// The topic.
        topic: &'static str,
        /// The partition.
        partition: i32,
        /// The first offset that was asked for.
        wanted: i64,
        /// The first one that is there.
        first: i64,
    },
    /// A sink that has not taken anything yet gets everything by itself.
    #[error(
        "the sink {sink} has not taken anything yet; start the pipeline with it, and it takes what the log has"
    )]
    NeverRun {
        /// The sink.
        sink: String,
    },
    /// Another member has taken over; whoever is told so starts anew.
    #[error("another member of {group} has taken over")]
    Fenced {
        /// The group.
        group: String,
    },
    /// A setting of the pipeline cannot be used.
    #[error("{place}: {message}")]
    Setting {
        /// Where it stands, such as `redact.rule[2].path`, counted from one.
        place: String,
        /// What is wrong, and what to write.
        message: String,
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
    /// A search engine did not do what it was asked for.
    #[error("erase in the index of the sink {sink}: {reason}")]
    Engine {
        /// The sink.
        sink: String,
        /// What it said, or why there was no answer.
        reason: String,
    },
    /// A URL that no object store can be opened by.
    #[error("open the object store {url}: {reason}")]
    BadStore {
        /// The URL, without what may be secret.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// An object store did not answer, or refused.
    #[error("{doing}: {path}")]
    ObjectStore {
        /// What was being attempted.
        doing: &'static str,
        /// The file.
        path: String,
        /// What the client library said.
        #[source]
        source: object_store::Error,
    },
    /// Somebody else puts the same file again and again.
    #[error("put a file: {path} is being put by somebody else, who does not succeed either")]
    Contended {
        /// The file.
        path: String,
    },
    /// A file is there under a planned name, with other content.
    #[error(
        "{path} is there with other content than was planned; find out who else writes there, move it away, and start the sink again"
    )]
    OtherContent {
        /// The file.
        path: String,
    },
    /// A partition begins where there are files already, or leaves out what was never put into files.
    #[error(
        "{sink} is to go on at {first} of partition {partition}, and its files end before {next}; if the topic was made anew or records are left out on purpose, run select tidings.renew_topic_v1('{topic}')"
    )]
    OutOfPlan {
        /// The sink.
        sink: String,
        /// The topic.
        topic: &'static str,
        /// The partition.
        partition: i32,
        /// Where its position is.
        first: i64,
        /// Where its last plan ends.
        next: i64,
    },
    /// The records of a plan do not make the files that were planned.
    #[error(
        "the records {first} to {last} of partition {partition} are not those that were planned into files; if the topic was made anew, run select tidings.renew_topic_v1('{topic}'), and otherwise look whether the log has lost some"
    )]
    PlanBroken {
        /// The topic.
        topic: &'static str,
        /// The partition.
        partition: i32,
        /// The first offset of the plan.
        first: i64,
        /// Its last.
        last: i64,
    },
    /// Another owner of the partition has planned other files meanwhile, which are made instead.
    #[error("another owner of partition {partition} has planned its files from {first} on")]
    PlannedOtherwise {
        /// The partition.
        partition: i32,
        /// The first offset of the plan.
        first: i64,
    },
    /// Less may be kept than when files were opened: their events are read and judged again.
    #[error("the level or an erasure has changed what {sink} may keep")]
    Rejudged {
        /// The sink.
        sink: String,
    },
    /// A file cannot be read back.
    #[error("read {path} back: {reason}; find out who has changed it")]
    Unreadable {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The folder for files that are not complete cannot be written.
    #[error("write the folder of open files")]
    Spool(#[source] std::io::Error),
    /// Columns cannot be written.
    #[error("write columns")]
    Columns(#[from] parquet::errors::ParquetError),
    /// A task has a fault.
    #[error("a task of the pipeline has a fault; what is committed is safe, start it again")]
    Panicked {
        /// What it said.
        #[from]
        source: tokio::task::JoinError,
    },
    /// Who works on what could not be settled.
    #[error("hold partitions of the log")]
    Unheld(#[from] tidings_ownership::Error),
}

impl Error {
    pub(crate) fn setting(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Setting { place: place.into(), message: message.into() }
    }

    pub(crate) fn unanswered(doing: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |source| Self::Unanswered { doing, source }
    }

    pub(crate) const fn spool(source: std::io::Error) -> Self {
        Self::Spool(source)
    }

    #[cfg(feature = "kafka")]
    pub(crate) fn broker(doing: &'static str) -> impl Fn(rdkafka::error::KafkaError) -> Self {
        move |source| Self::Broker { doing, source }
    }

    /// Returns whether the same may work later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Repartitioned { .. }
            | Self::Panicked { .. }
            | Self::NoSuchPartition { .. }
            | Self::Lapsed { .. }
            | Self::Gone { .. }
            | Self::NeverRun { .. }
            | Self::Setting { .. }
            | Self::Http { .. }
            | Self::BadStore { .. }
            | Self::OtherContent { .. }
            | Self::OutOfPlan { .. }
            | Self::PlanBroken { .. }
            | Self::Unreadable { .. }
            | Self::Columns(_) => false,
            Self::Contended { .. }
            | Self::PlannedOtherwise { .. }
            | Self::Rejudged { .. }
            | Self::Engine { .. }
            | Self::Spool(_) => true,
            Self::ObjectStore { source, .. } => crate::sink::files::is_transient(source),
            Self::Fenced { .. } => true,
            Self::Unanswered { source, .. } => tidings::error::is_transient(source),
            #[cfg(feature = "kafka")]
            Self::Broker { source, .. } => crate::log::kafka::is_transient(source),
            Self::Unheld(error) => error.is_transient(),
        }
    }
}
