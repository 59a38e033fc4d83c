//! What `pipeline` understands, and which log the commands of telemetry look into.

pub(crate) mod posthog;

use std::{fmt, net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, builder::FalseyValueParser};
use serde::Serialize;
use tidings_pipeline::sink::files::Codec;

use self::posthog::Posthog;
use super::{
    kafka::{Brokers, pair},
    serve::Session,
};
use crate::duration;

const KEPT: RangeInclusive<Duration> = Duration::from_hours(1)..=Duration::from_hours(24 * 365);

const DRAIN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_hours(1);

const AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);

/// Where the log of telemetry is.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogPlace {
    /// Where the log of telemetry is: in the database, or on Kafka
    #[arg(long = "log", env = "TIDINGS_LOG_KIND", default_value = "postgres", value_name = "KIND")]
    pub(crate) kind: LogKind,

    /// What stands before the names of topics and groups, and tells installations on one log apart
    #[arg(
        long = "log-prefix",
        env = "TIDINGS_LOG_PREFIX",
        default_value = "",
        value_name = "TEXT"
    )]
    pub(crate) prefix: String,
}

/// Which log telemetry runs on.
#[derive(Args, Clone, Debug)]
pub(crate) struct LogChoice {
    #[command(flatten)]
    pub(crate) place: LogPlace,

    #[command(flatten)]
    pub(crate) brokers: Brokers,

    /// How many copies Kafka keeps of each topic that is made; as many as the brokers say, where it is not set
    #[arg(long, env = "TIDINGS_KAFKA_REPLICATION", value_name = "N", value_parser = clap::value_parser!(i32).range(1..=32))]
    pub(crate) kafka_replication: Option<i32>,
}

impl LogChoice {
    /// Returns whether this is the database's own log, which `tidings.accept_v1` writes to.
    pub(crate) const fn is_database(&self) -> bool {
        matches!(self.place.kind, LogKind::Postgres) && self.place.prefix.is_empty()
    }

    /// Returns the log in the database.
    pub(crate) fn database() -> Self {
        let place = LogPlace { kind: LogKind::Postgres, prefix: String::new() };
        Self { place, brokers: Brokers::default(), kafka_replication: None }
    }
}

/// Where a log is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogKind {
    /// In the database
    Postgres,
    /// On Kafka
    Kafka,
}

impl fmt::Display for LogKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Postgres => "postgres",
            Self::Kafka => "kafka",
        })
    }
}

/// Where events go.
#[derive(Args, Clone, Debug)]
pub(crate) struct Places {
    /// Put events into files there: a folder, `file:///folder`, `s3://bucket/folder`, `gs://…` or `az://…`
    #[arg(long, env = "TIDINGS_FILES", value_name = "URL")]
    pub(crate) files: Option<String>,

    /// A setting of the store, `aws_endpoint=http://127.0.0.1:9000` or `allow_http=true` for example; repeatable, or with commas
    #[arg(
        long = "files-option",
        env = "TIDINGS_FILES_OPTIONS",
        hide_env_values = true,
        value_delimiter = ',',
        value_name = "NAME=VALUE",
        value_parser = pair
    )]
    pub(crate) files_options: Vec<(String, String)>,

    /// Index events in this OpenSearch or Elasticsearch, `http://127.0.0.1:9200` for example
    #[arg(long, env = "TIDINGS_SEARCH", value_name = "URL")]
    pub(crate) search: Option<String>,

    /// What stands before the names of its indices
    #[arg(long, env = "TIDINGS_SEARCH_PREFIX", default_value = "", value_name = "TEXT")]
    pub(crate) search_prefix: String,

    /// The user and password for it, `user:password`
    #[arg(long, env = "TIDINGS_SEARCH_USER", hide_env_values = true, value_name = "USER:PASSWORD")]
    pub(crate) search_user: Option<String>,

    /// An API key for it
    #[arg(long, env = "TIDINGS_SEARCH_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) search_api_key: Option<String>,

    /// Write to a data stream, which rolls over by itself: at least once, and not exactly
    #[arg(long, env = "TIDINGS_SEARCH_DATA_STREAM", value_parser = FalseyValueParser::new())]
    pub(crate) search_data_stream: bool,
}

/// How the pipeline works, wherever it runs.
#[derive(Args, Clone, Debug)]
pub(crate) struct Work {
    /// The file with rules: how far duplicates are looked for, what is redacted, looked up and routed
    #[arg(long = "pipeline-config", env = "TIDINGS_PIPELINE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Partitions of the topics that are made; never changed afterwards
    #[arg(long, env = "TIDINGS_PARTITIONS", default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1024))]
    pub(crate) partitions: i32,

    /// How long events are kept in the log, 1h to 365d
    #[arg(long, env = "TIDINGS_TELEMETRY_KEPT", default_value = "7d", value_name = "DURATION", value_parser = duration::within(KEPT))]
    pub(crate) telemetry_kept: Duration,

    #[command(flatten)]
    pub(crate) places: Places,

    /// What is in the files: jsonl.gz, jsonl.zst or parquet
    #[arg(long, env = "TIDINGS_FILES_CODEC", default_value = "jsonl.gz", value_name = "CODEC")]
    pub(crate) files_codec: Codec,

    /// How large a file becomes, in MB, compressed
    #[arg(long, env = "TIDINGS_FILES_MB", default_value_t = 64, value_name = "MB", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) files_mb: u32,

    /// How old an event becomes before its file goes up, 1s to 24h
    #[arg(long, env = "TIDINGS_FILES_AGE", default_value = "15m", value_name = "DURATION", value_parser = duration::within(AGE))]
    pub(crate) files_age: Duration,

    /// Keep events in a table of the database too, where `tidings telemetry search` finds them; `up` always does
    #[arg(long, env = "TIDINGS_TABLE", value_parser = FalseyValueParser::new())]
    pub(crate) table: bool,

    /// How long the table keeps an event, 1h to 365d, by whole days
    #[arg(long, env = "TIDINGS_TABLE_KEPT", default_value = "30d", value_name = "DURATION", value_parser = duration::within(KEPT))]
    pub(crate) table_kept: Duration,

    #[command(flatten)]
    pub(crate) posthog: Posthog,

    /// Show metrics of the pipeline at `http://ADDRESS/metrics`, 127.0.0.1:9465 for example
    #[arg(long, env = "TIDINGS_METRICS_LISTEN", value_name = "ADDRESS")]
    pub(crate) metrics_listen: Option<SocketAddr>,
}

/// The pipeline by itself.
#[derive(Args, Clone, Debug)]
pub(crate) struct Pipeline {
    #[command(flatten)]
    pub(crate) log: LogChoice,

    #[command(flatten)]
    pub(crate) work: Work,

    /// How many members of each step this process has; more than there are partitions have nothing to do
    #[arg(long, env = "TIDINGS_MEMBERS", default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) members: u16,

    /// The file with the keys under which ids are hashed; `hash-keys` in the data folder where it is not set
    #[arg(long, env = "TIDINGS_HASH_KEY_FILE", value_name = "FILE")]
    pub(crate) hash_key_file: Option<PathBuf>,

    /// How the database is reached: directly, or through a pooler in transaction mode
    #[arg(long, env = "TIDINGS_SESSION", default_value = "direct", value_name = "KIND")]
    pub(crate) session: Session,

    /// How long what is under way may take after Ctrl-C or SIGTERM, at most 1h
    #[arg(long, env = "TIDINGS_DRAIN_TIMEOUT", default_value = "30s", value_name = "DURATION", value_parser = duration::within(DRAIN))]
    pub(crate) drain_timeout: Duration,
}
