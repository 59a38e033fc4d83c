//! The rule of the fair share is written twice, in Rust and in SQL. Here the two are the same.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::PgPool;
use tidings_ownership::rule::{Decision, View, decide};
use tidings_tests::Database;
use uuid::Uuid;

use super::hold::{Ask, Row, hold};

const WORLDS: u32 = 300;

/// The shards of one group and those who have them, before the first worker holds.
#[derive(Clone, Debug)]
struct World {
    free: u16,
    /// The worker that holds is the first.
    workers: Vec<Member>,
}

#[derive(Clone, Copy, Debug)]
struct Member {
    id: Uuid,
    owned: u16,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Serving,
    Draining,
    /// Its lease is over, and nobody has buried it yet.
    Dead,
    /// It has shards of the group, and does not serve it.
    Elsewhere,
}

#[tokio::test]
async fn sql_gives_and_takes_as_the_rule_says_in_any_world() {
    let database = Database::new().await;
    let mut conn = database.connect().await;
    let mut random = StdRng::seed_from_u64(20_261_122);
    let (mut gave, mut took) = (0, 0);
    for n in 0..WORLDS {
        let (group, world) = (format!("group-{n}"), World::any(&mut random));
        world.store(database.pool(), &group).await;
        let (me, groups) = (world.workers[0], [group.as_str()]);
        let ask = Ask {
            worker: me.id,
            joining: false,
            pooled: true,
            draining: me.state == State::Draining,
            ..Ask::joining(&groups)
        };
        let expected = world.decision();
        let rows = hold(&mut conn, &ask).await;
        assert_eq!(decision(me.owned, &rows), expected, "world {n}: {world:?}");
        assert_order(&rows);
        (gave, took) =
            (gave + u32::from(expected.give_up > 0), took + u32::from(expected.take > 0));
    }
    assert!(gave > WORLDS / 10 && took > WORLDS / 10, "{gave} gave and {took} took: too tame");
}

impl World {
    fn any(random: &mut StdRng) -> Self {
        let total = random.random_range(1..=40);
        let mut left = total;
        let workers = (0..random.random_range(1..=6))
            .map(|n| {
                let owned = random.random_range(0..=left);
                left -= owned;
                let state = match random.random_range(0..10) {
                    0 => State::Draining,
                    1 if n > 0 => State::Dead,
                    2 if n > 0 => State::Elsewhere,
                    _ => State::Serving,
                };
                Member { id: Uuid::from_u128(random.random()), owned, state }
            })
            .collect();
        // Half of the worlds have nothing to take.
        let free = if random.random() { left } else { 0 };
        Self { free, workers }
    }

    fn decision(&self) -> Decision {
        let owned = |state: State| {
            let others = self.workers[1..].iter().filter(move |worker| worker.state == state);
            others.map(|worker| worker.owned)
        };
        let others: Vec<u16> = owned(State::Serving).collect();
        decide(View {
            total: self.free + self.workers.iter().map(|worker| worker.owned).sum::<u16>(),
            free: self.free + owned(State::Dead).sum::<u16>(),
            mine: self.workers[0].owned,
            others: &others,
            draining: self.workers[0].state == State::Draining,
        })
    }

    /// Writes the world down, each worker's shards where those before it have left off.
    async fn store(&self, pool: &PgPool, group: &str) {
        let mut tx = pool.begin().await.unwrap();
        let owners = self
            .workers
            .iter()
            .flat_map(|worker| std::iter::repeat_n(Some(worker.id), usize::from(worker.owned)));
        let owners: Vec<Option<Uuid>> =
            owners.chain(std::iter::repeat_n(None, usize::from(self.free))).collect();
        // Dealt like cards, so that what is free and what is whose lies anywhere.
        sqlx::query(
            "insert into tidings.shard (group_name, shard, worker_id, term)
             select $1, row_number() over (order by n * 17 % 41, n) - 1, o.worker_id, 7
             from unnest($2::uuid[]) with ordinality as o (worker_id, n)",
        )
        .bind(group)
        .bind(owners)
        .execute(&mut *tx)
        .await
        .unwrap();
        for Member { id, state, .. } in &self.workers {
            let served = if *state == State::Elsewhere { "elsewhere" } else { group };
            sqlx::query(
                "insert into tidings.worker (worker_id, host, pid, joined_at, seen_at, expires_at, draining, groups)
                 select $1, '', 1, t, t, t + case when $2 then interval '-1 s' else interval '1 h' end, $3, array[$4]
                 from clock_timestamp() t",
            )
            .bind(id)
            .bind(*state == State::Dead)
            .bind(*state == State::Draining)
            .bind(served)
            .execute(&mut *tx)
            .await
            .unwrap();
        }
        tx.commit().await.unwrap();
    }
}

/// Reads a decision from the answer: what was taken has a new term.
fn decision(before: u16, rows: &[Row]) -> Decision {
    let owned = rows.iter().filter(|row| row.shard.is_some()).count();
    let give_up = rows.iter().filter(|row| row.give_up == Some(true)).count();
    let take = rows.iter().filter(|row| row.term == Some(8)).count();
    assert_eq!(owned, usize::from(before) + take, "what is owned stays owned until it is released");
    assert!(rows.iter().all(|row| row.alive));
    Decision { give_up: u16::try_from(give_up).unwrap(), take: u16::try_from(take).unwrap() }
}

/// The highest are given up, so that the next hold means the same ones.
fn assert_order(rows: &[Row]) {
    let give_up: Vec<bool> = rows.iter().filter_map(|row| row.give_up).collect();
    assert!(rows.is_sorted_by_key(|row| row.shard));
    assert!(give_up.is_sorted(), "{give_up:?}");
}
