//! The rule of the reader against real transactions, and the rules that look as good and are wrong.
//!
//! The reader is written down once more here, because the product has only the right one. Its bound is the one of the
//! worker: of the pairs (clock read, then id drawn), the latest whose id is not above the horizon.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sqlx::{Connection, PgConnection};
use tidings_tests::World;
use uuid::Uuid;

use super::{Writer, quiet_world};

/// How many rows a window has.
const WINDOW: usize = 2;

/// What a reader does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rule {
    /// As the worker does.
    Right,
    /// Goes on behind the last key that it has read.
    NoBound,
    /// Takes `pg_snapshot_xmax` for the id of its pair: the latest completed id plus one, not the next to be given.
    HighestCompleted,
    /// Takes the bound as it is when a pass of several windows ends.
    BoundAtTheEnd,
    /// Goes on behind the instant of the bound.
    BehindTheInstant,
}

struct Reader {
    rule: Rule,
    lane: i32,
    conn: PgConnection,
    pairs: Vec<(DateTime<Utc>, i64)>,
    cursor: Option<(DateTime<Utc>, i64)>,
    /// The bound as it was when the pass began; `None` between passes.
    #[expect(clippy::option_option, reason = "no pass, a pass without a bound, a pass with one")]
    pass: Option<Option<DateTime<Utc>>>,
    seen: BTreeSet<i64>,
}

impl Reader {
    async fn new(world: &World, rule: Rule) -> Self {
        let name = format!("{rule:?}-{}", Uuid::new_v4());
        let lane = world.bare_subscriber(&name, "memory", serde_json::json!({})).await;
        let conn = world.database.connect().await;
        Self {
            rule,
            lane,
            conn,
            pairs: Vec::new(),
            cursor: None,
            pass: None,
            seen: BTreeSet::new(),
        }
    }

    /// Draws a pair, as a call that writes does.
    async fn draw(&mut self) {
        let id = match self.rule {
            Rule::HighestCompleted => {
                "select pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
            }
            _ => "select pg_current_xact_id()::text::bigint",
        };
        let mut tx = self.conn.begin().await.unwrap();
        let read_at =
            sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *tx).await.unwrap();
        let xid = sqlx::query_scalar(id).fetch_one(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        self.pairs.push((read_at, xid));
    }

    /// Reads a window; answers whether it was the end of the pass.
    async fn window(&mut self) -> bool {
        let horizon: i64 =
            sqlx::query_scalar("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
                .fetch_one(&mut self.conn)
                .await
                .unwrap();
        let bound = self.pairs.iter().filter(|(_, xid)| *xid <= horizon).map(|(at, _)| *at).max();
        let rows: Vec<(DateTime<Utc>, i64)> = sqlx::query_as(
            "select due_at, delivery_id from tidings.delivery
             where subscriber_id = $1 and (due_at, delivery_id) > (coalesce($2, '-infinity'), $3)
               and due_at <= clock_timestamp()
             order by due_at, delivery_id limit $4",
        )
        .bind(self.lane)
        .bind(self.cursor.map(|(at, _)| at))
        .bind(self.cursor.map_or(0, |(_, id)| id))
        .bind(i64::try_from(WINDOW).unwrap())
        .fetch_all(&mut self.conn)
        .await
        .unwrap();
        self.seen.extend(rows.iter().map(|(_, id)| *id));
        let begun_with = *self.pass.get_or_insert(bound);
        let end = rows.len() < WINDOW;
        if end {
            self.pass = None;
        }
        self.cursor = match (self.rule, end) {
            (_, false) | (Rule::NoBound, true) => rows.last().copied().or(self.cursor),
            (Rule::BoundAtTheEnd, true) => bound.map(|at| (at, 0)),
            (Rule::BehindTheInstant, true) => begun_with.map(|at| (at, i64::MAX)),
            (Rule::Right | Rule::HighestCompleted, true) => begun_with.map(|at| (at, 0)),
        };
        end
    }

    /// Reads to the end, twice: what is found by going back to the bound is found as well.
    async fn read(&mut self) {
        for _ in 0..2 {
            while !self.window().await {}
        }
    }

    /// Returns how many rows of the lane it has not seen.
    async fn missed(mut self) -> usize {
        self.draw().await;
        self.read().await;
        let there: Vec<i64> =
            sqlx::query_scalar("select delivery_id from tidings.delivery where subscriber_id = $1")
                .bind(self.lane)
                .fetch_all(&mut self.conn)
                .await
                .unwrap();
        there.iter().filter(|id| !self.seen.contains(id)).count()
    }
}

/// Writes one row and commits.
async fn write(world: &World, reader: &Reader) {
    let mut writer = Writer::begin(world).await;
    writer.insert(reader.lane).await;
    writer.end(true).await;
}

/// One transaction is open while another commits a row that is due later, and the reader comes by.
async fn overtaken(world: &World, mut reader: Reader) -> usize {
    reader.draw().await;
    let mut slow = Writer::begin(world).await;
    slow.insert(reader.lane).await;
    write(world, &reader).await;
    reader.draw().await;
    reader.read().await;
    slow.end(true).await;
    reader.missed().await
}

/// One transaction is open, and has the latest id of all.
async fn alone(world: &World, mut reader: Reader) -> usize {
    let mut slow = Writer::begin(world).await;
    slow.insert(reader.lane).await;
    reader.draw().await;
    reader.read().await;
    slow.end(true).await;
    reader.missed().await
}

/// A transaction commits between two windows of a pass, with a row that belongs into the first.
async fn between_windows(world: &World, mut reader: Reader) -> usize {
    let mut slow = Writer::begin(world).await;
    for _ in 0..=WINDOW {
        write(world, &reader).await;
    }
    reader.draw().await;
    assert!(!reader.window().await, "there is a second window");
    slow.insert(reader.lane).await;
    slow.end(true).await;
    assert!(reader.window().await);
    reader.missed().await
}

/// A transaction draws its id after the reader has drawn a pair, in the same microsecond.
async fn same_instant(world: &World, mut reader: Reader) -> usize {
    reader.draw().await;
    reader.read().await;
    let mut writer = Writer::begin(world).await;
    writer.due_at = reader.pairs[0].0;
    writer.insert(reader.lane).await;
    writer.end(true).await;
    reader.missed().await
}

/// A writer that breaks the rule has read the clock, and draws its id only when the reader has come by.
async fn clock_before_id(world: &World, mut reader: Reader, breaks_the_rule: bool) -> usize {
    let mut writer = Writer::begin(world).await;
    let due_at = writer.due_at;
    if breaks_the_rule {
        writer.end(false).await;
        reader.draw().await;
        reader.read().await;
        writer = Writer::begin(world).await;
        writer.due_at = due_at;
    } else {
        reader.draw().await;
        reader.read().await;
    }
    writer.insert(reader.lane).await;
    writer.end(true).await;
    reader.missed().await
}

#[tokio::test(flavor = "multi_thread")]
async fn right_rule_misses_nothing_and_each_wrong_one_misses_something() {
    let world = quiet_world(&["order:placed", "order:stored"]).await;
    for (wrong, misses) in [
        (Rule::NoBound, [1, 0, 1, 0]),
        (Rule::HighestCompleted, [0, 1, 0, 0]),
        (Rule::BoundAtTheEnd, [0, 0, 1, 0]),
        (Rule::BehindTheInstant, [0, 0, 0, 1]),
        (Rule::Right, [0; 4]),
    ] {
        let reader = || Reader::new(&world, wrong);
        let missed = [
            overtaken(&world, reader().await).await,
            alone(&world, reader().await).await,
            between_windows(&world, reader().await).await,
            same_instant(&world, reader().await).await,
        ];
        assert_eq!(missed, misses, "{wrong:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writer_that_reads_the_clock_before_it_draws_its_id_is_missed_by_the_right_reader() {
    let world = quiet_world(&["order:placed", "order:stored"]).await;
    for (breaks_the_rule, misses) in [(false, 0), (true, 1)] {
        let reader = Reader::new(&world, Rule::Right).await;
        assert_eq!(clock_before_id(&world, reader, breaks_the_rule).await, misses);
    }
}
