//! What Tidings reports of itself: how much it has done, and what there is, in numbers and ranges.

use std::collections::BTreeMap;

use sqlx::PgPool;
use tidings::analytics::{
    Bucket, Level, Value,
    report::{CollectError, Collected, Collecting, Collector},
};
use tidings_ownership::Session;
use uuid::Uuid;

use crate::{
    Result,
    roster::chain,
    session::Database,
    store::report::{begin, within},
};

/// The namespace of the partitions as sources of counters. It is fixed for ever.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0c_4b53_8f1d_4f7e_9d55_51a7_0e1c_2b90);

/// Under whose name a partition counts, and the deliveries: a name of the installation is not needed, because counters
/// of two databases never meet.
const EVENTS: &str = "events_registered";
const DELIVERIES: &str = "deliveries_written";

/// The kinds that are named; those of an application are counted as one, because their names are words of a person.
const KINDS: [&str; 9] =
    ["webhook", "slack", "teams", "discord", "segment", "posthog", "kafka", "pipeline", "memory"];
const OTHER: &str = "other";

/// The collector of what the database knows: events registered and deliveries written, and what there is.
///
/// It counts by the statistics of the server, which costs nothing and counts what was rolled back as well. Where rows
/// are many, their number is told as a range.
#[derive(Debug)]
pub struct Installation {
    database: Database,
}

/// What there is.
#[derive(Debug)]
struct Found {
    postgres_version: i32,
    level: String,
    bytes: i64,
    workers: i64,
    events: i64,
    pending: i64,
    dead: i64,
    subscriptions: i64,
    channels: i64,
    kinds: Vec<String>,
    kind_counts: Vec<i64>,
    disabled: i64,
    types_notification: i64,
    types_telemetry: i64,
    types_client: i64,
}

impl Installation {
    /// Returns the collector of the database of `pool`, of which it borrows nothing.
    pub fn new(pool: PgPool) -> Self {
        Self { database: Database::new(pool, Session::Pooled) }
    }

    async fn read(&self) -> Result<Collected> {
        let (found, rows) = within("read what the installation has", async {
            let mut tx = begin(&self.database).await?;
            let found = sqlx::query_file_as!(Found, "src/queries/installation.sql")
                .fetch_one(&mut *tx)
                .await?;
            let rows = sqlx::query_file!("src/queries/registered.sql").fetch_all(&mut *tx).await?;
            tx.commit().await?;
            Ok((found, rows))
        })
        .await?;
        let mut collected = Collected::new();
        for row in rows {
            let rows = row.rows.unsigned_abs();
            match row.partition {
                // A partition begins at zero when it is made, and goes with its retention.
                Some(partition) => {
                    let source = Uuid::new_v5(&NAMESPACE, partition.as_bytes());
                    collected.statistic_of(source, EVENTS, rows)
                }
                None => collected.statistic(DELIVERIES, rows),
            };
        }
        found.tell(&mut collected);
        Ok(collected)
    }
}

impl Found {
    fn tell(&self, collected: &mut Collected) {
        let level = self.level.parse::<Level>().ok().map(|level| Value::name(level.as_str()));
        collected
            .trait_value("postgres_version", &self.postgres_version)
            .trait_value("level", &level)
            .trait_value("database_bytes", &Bucket::of(&self.bytes))
            .trait_value("events_stored", &Bucket::of(&self.events))
            .trait_value("deliveries_pending", &Bucket::of(&self.pending))
            .trait_value("dead_letters", &Bucket::of(&self.dead))
            .trait_value("subscriptions", &Bucket::of(&self.subscriptions))
            .trait_value("subscribers", &Value::object(self.subscribers()))
            .trait_value("subscribers_disabled", &self.disabled)
            .trait_value("event_types", &Value::object(self.types()))
            .trait_value("channels", &self.channels)
            .trait_value("workers", &self.workers);
    }

    /// By kind, with zeros for those that nobody has.
    fn subscribers(&self) -> impl Iterator<Item = (&'static str, Option<Value>)> {
        let mut counts: BTreeMap<&str, i64> =
            KINDS.into_iter().chain([OTHER]).map(|kind| (kind, 0)).collect();
        for (kind, count) in self.kinds.iter().zip(&self.kind_counts) {
            let name = KINDS.into_iter().find(|known| known == kind).unwrap_or(OTHER);
            *counts.entry(name).or_default() += count;
        }
        counts.into_iter().map(|(kind, count)| (kind, Some(Value::from(count))))
    }

    /// By who sees them.
    fn types(&self) -> [(&'static str, Option<Value>); 3] {
        [
            ("notification", Some(Value::from(self.types_notification))),
            ("telemetry", Some(Value::from(self.types_telemetry))),
            ("client", Some(Value::from(self.types_client))),
        ]
    }
}

impl Collector for Installation {
    fn name(&self) -> &'static str {
        "installation"
    }

    fn statistics(&self) -> &[&'static str] {
        &[EVENTS, DELIVERIES]
    }

    fn traits(&self) -> &[&'static str] {
        &[
            "postgres_version",
            "level",
            "database_bytes",
            "events_stored",
            "deliveries_pending",
            "dead_letters",
            "subscriptions",
            "subscribers",
            "subscribers_disabled",
            "event_types",
            "channels",
            "workers",
        ]
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn collect(&self) -> Collecting<'_> {
        Box::pin(async { self.read().await.map_err(|error| CollectError::new(chain(&error))) })
    }
}
