//! A worker's calls by hand, one at a time, so that a test can put a step of another session between any two.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

/// How much payload one answer may carry, as in the product.
const BYTES_MAX: i32 = 4 * 1024 * 1024;

/// Where to go on reading a lane.
pub type Key = (DateTime<Utc>, i64);

/// Whoever owns all shards of the kind `memory`, as the rows say; nobody holds them.
#[derive(Clone, Debug)]
pub struct Owner {
    worker_id: Uuid,
    terms: Vec<i64>,
}

/// A lane to be read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The lane.
    pub lane: i32,
    /// How many rows at most.
    pub limit: i32,
    /// The last key that was read; `None` to begin at the beginning.
    pub after: Option<Key>,
}

/// An attempt that is over.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The row as it was read.
    pub row: Row,
    /// `delivered`, `retry`, `defer` or `bury`.
    pub outcome: &'static str,
}

/// A row that was read.
#[derive(Clone, Debug, FromRow)]
pub struct Row {
    /// The lane.
    pub lane: i32,
    /// The due time that a settlement has to match.
    pub due_at: DateTime<Utc>,
    /// The delivery.
    pub delivery_id: i64,
    /// Whether it is behind the head of its key.
    pub parked: bool,
    /// Of its ordering key.
    pub key_hash: Option<i32>,
    /// Its event.
    pub event_id: Uuid,
    /// What is to be delivered; `None` if the event is gone or the row is parked.
    pub payload: Option<String>,
    /// Whether the answer ended with it.
    pub cut: bool,
}

/// What a call answered.
#[derive(Clone, Debug)]
pub struct Worked {
    /// The rows, lane by lane.
    pub rows: Vec<Row>,
    /// What became of the settlements.
    pub summary: Summary,
}

/// What a call says about itself.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct Summary {
    /// Those whose term is gone.
    pub lost: Vec<i64>,
    /// Those whose row is gone.
    pub missing: Vec<i64>,
    /// Those whose row somebody else has locked.
    pub locked: Vec<i64>,
    /// How many attempts were not logged.
    pub unlogged: i64,
}

impl Row {
    /// Settles the row with that outcome; a retry comes after a minute.
    #[must_use]
    pub fn settled(&self, outcome: &'static str) -> Settlement {
        Settlement { row: self.clone(), outcome }
    }
}

impl Reading {
    /// Reads a lane from its beginning.
    #[must_use]
    pub const fn all(lane: i32) -> Self {
        Self { lane, limit: 1000, after: None }
    }
}

impl Owner {
    /// Takes all shards of the kind `memory`, from whoever has them.
    pub async fn take(pool: &PgPool) -> Self {
        let worker_id = Uuid::new_v4();
        let terms = sqlx::query_scalar(
            "with taken as (
               update tidings.shard set worker_id = $1, term = term + 1, taken_at = clock_timestamp()
               where group_name = 'memory' returning shard, term
             )
             select term from taken order by shard",
        )
        .bind(worker_id)
        .fetch_all(pool)
        .await
        .unwrap();
        Self { worker_id, terms }
    }

    /// Returns whose a lane is, and the term.
    pub async fn of_lane(&self, pool: &PgPool, lane: i32) -> (Uuid, i64) {
        let term = sqlx::query_scalar(
            "select h.term from tidings.shard h join tidings.subscriber s on (s.kind, s.shard) = (h.group_name, h.shard)
             where s.subscriber_id = $1",
        );
        (self.worker_id, term.bind(lane).fetch_one(pool).await.unwrap())
    }

    /// Gives all of them back in peace.
    pub async fn leave(self, pool: &PgPool) {
        sqlx::query(
            "update tidings.shard set worker_id = null, taken_at = null where worker_id = $1",
        )
        .bind(self.worker_id)
        .execute(pool)
        .await
        .unwrap();
    }

    /// Reads lanes.
    pub async fn fetch(&self, conn: &mut PgConnection, readings: &[Reading]) -> Worked {
        self.work(conn, &[], readings).await.unwrap()
    }

    /// Settles attempts.
    pub async fn settle(&self, conn: &mut PgConnection, settlements: &[Settlement]) -> Summary {
        self.work(conn, settlements, &[]).await.unwrap().summary
    }

    /// Settles and fetches in one call.
    ///
    /// # Errors
    ///
    /// The database refuses the call, or does not answer.
    pub async fn work(
        &self,
        conn: &mut PgConnection,
        settlements: &[Settlement],
        readings: &[Reading],
    ) -> Result<Worked, sqlx::Error> {
        fn column<T>(settlements: &[Settlement], of: impl Fn(&Settlement) -> T) -> Vec<T> {
            settlements.iter().map(of).collect()
        }
        let shards: Vec<i16> = (0..).take(self.terms.len()).collect();
        let holdings = self.holdings(conn, settlements, readings).await?;
        let (s_holding, r_holding) = holdings.split_at(settlements.len());
        let rows: Vec<AnyRow> = sqlx::query_as(
            "select * from tidings.work_v2($1, array_fill('memory'::text, array[cardinality($2::smallint[])]), $2, $3,
               $4, $5, $6, $7, $8, $9, array_fill(null::int, array[cardinality($7)]),
               array_fill(1::smallint, array[cardinality($7)]), $10, array_fill(60000::bigint, array[cardinality($7)]),
               array_fill(null::smallint, array[cardinality($7)]), array_fill(1, array[cardinality($7)]),
               array_fill(null::text, array[cardinality($7)]), $11, $12, $13, $14, $15, $16, $17, 'all', false)",
        )
        .bind(self.worker_id)
        .bind(shards)
        .bind(&self.terms)
        .bind(s_holding)
        .bind(column(settlements, |s| s.row.lane))
        .bind(column(settlements, |s| s.row.due_at))
        .bind(column(settlements, |s| s.row.delivery_id))
        .bind(column(settlements, |s| s.outcome))
        .bind(column(settlements, |s| s.row.event_id))
        .bind(column(settlements, |s| s.row.key_hash))
        .bind(column(settlements, |s| (s.outcome == "bury").then_some("refused")))
        .bind(r_holding)
        .bind(readings.iter().map(|r| r.lane).collect::<Vec<_>>())
        .bind(readings.iter().map(|r| r.limit).collect::<Vec<_>>())
        .bind(readings.iter().map(|r| r.after.map(|(due_at, _)| due_at)).collect::<Vec<_>>())
        .bind(readings.iter().map(|r| r.after.map_or(0, |(_, id)| id)).collect::<Vec<_>>())
        .bind(BYTES_MAX)
        .fetch_all(conn)
        .await?;
        let mut worked = Worked { rows: Vec::new(), summary: Summary::default() };
        for AnyRow { lane, row, payload } in rows {
            match lane {
                Some(_) => worked.rows.extend(row),
                None => worked.summary = serde_json::from_str(&payload.unwrap()).unwrap(),
            }
        }
        Ok(worked)
    }

    /// Returns under which holding each lane is, from one: the shards are named in their order.
    async fn holdings(
        &self,
        conn: &mut PgConnection,
        settlements: &[Settlement],
        readings: &[Reading],
    ) -> Result<Vec<i32>, sqlx::Error> {
        let lanes: Vec<i32> = (settlements.iter().map(|settlement| settlement.row.lane))
            .chain(readings.iter().map(|reading| reading.lane))
            .collect();
        sqlx::query_scalar(
            "select s.shard + 1 from unnest($1::int[]) with ordinality as l (lane, n)
             join tidings.subscriber s on s.subscriber_id = l.lane order by l.n",
        )
        .bind(lanes)
        .fetch_all(conn)
        .await
    }
}

/// A row of the answer: one that was read, or the last, which is about the call.
struct AnyRow {
    lane: Option<i32>,
    row: Option<Row>,
    payload: Option<String>,
}

impl<'r> FromRow<'r, sqlx::postgres::PgRow> for AnyRow {
    fn from_row(row: &'r sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        use sqlx::Row as _;
        let lane: Option<i32> = row.try_get("lane")?;
        Ok(Self {
            lane,
            row: lane.map(|_| Row::from_row(row)).transpose()?,
            payload: row.try_get("payload")?,
        })
    }
}
