//! Workers that die, stop and come back at the worst moment: nothing is lost, order is kept, and nobody who has lost
//! a lane goes on serving it.

mod relay;
mod step;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use sqlx::PgPool;
use tidings::secret::Keyring;
use tidings_tests::{
    Database, Draft, Gate, Launch, Pooler, Process, Receiver, Reply, SOON, World, eventually,
};
use tokio_util::sync::CancellationToken;

const TYPE: &str = "item:changed";
const LANES: usize = 12;
const KEYS: usize = 3;

/// One request as it arrived.
#[derive(Clone, Debug)]
struct Request {
    at: Instant,
    courier: String,
    lane: usize,
    key: String,
    number: u64,
    accepted: bool,
}

/// The lanes, their receiver and everything that arrived there.
struct Arena {
    world: World,
    receiver: Receiver,
    requests: Arc<Mutex<Vec<Request>>>,
    keyring: Keyring,
    couriers: u32,
}

impl Arena {
    async fn new() -> Self {
        let world = World::on(Database::durable().await, &[TYPE]).await;
        let keyring = Keyring::generate(&mut rand::rng());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let log = Arc::clone(&requests);
        let receiver = Receiver::start(move |received| {
            let body = received.json();
            let mut log = log.lock().unwrap();
            // Every seventh attempt fails, whoever makes it.
            let accepted = log.len() % 7 != 3;
            log.push(Request {
                at: Instant::now(),
                courier: received.header("user-agent").to_owned(),
                lane: usize::try_from(body["data"]["lane"].as_u64().unwrap()).unwrap(),
                key: body["data"]["key"].as_str().unwrap().to_owned(),
                number: body["data"]["n"].as_u64().unwrap(),
                accepted,
            });
            Reply::status(if accepted { 204 } else { 503 })
        })
        .await;
        let arena = Self { world, receiver, requests, keyring, couriers: 0 };
        arena.subscribe().await;
        arena.watch_terms().await;
        arena
    }

    /// One ordered subscriber per lane; each retries quickly.
    async fn subscribe(&self) {
        for lane in 0..LANES {
            let id =
                webhook(&self.world, &self.keyring, &format!("lane-{lane}"), &self.receiver.url())
                    .await;
            self.world.subscribe(id, TYPE, &format!("lane=l{lane}"), true).await;
        }
    }

    /// Writes down who took which shard under which term.
    async fn watch_terms(&self) {
        sqlx::raw_sql(
            "create table public.history (n bigint generated always as identity, shard smallint, term bigint, host text);
             create function watch() returns trigger language plpgsql as $$
             begin
               insert into public.history (shard, term, host)
               select new.shard, new.term, w.host from tidings.worker w where w.worker_id = new.worker_id;
               return null;
             end $$;
             create trigger watch after update on tidings.shard for each row
               when (new.group_name = 'webhook' and old.term < new.term) execute function watch();",
        )
        .execute(&self.world.pool)
        .await
        .unwrap();
    }

    fn launch(&mut self, url: &str, session: &str, lease_ms: u64) -> Process {
        self.couriers += 1;
        Launch::new(env!("CARGO_BIN_EXE_courier"))
            .args([
                format!("courier-{}", self.couriers),
                url.to_owned(),
                session.to_owned(),
                lease_ms.to_string(),
                self.keyring.to_text().to_string(),
            ])
            .start()
    }

    /// Registers into every lane and key until told to stop; answers how many of each were committed.
    fn write(
        &self,
        stop: &CancellationToken,
    ) -> tokio::task::JoinHandle<HashMap<(usize, String), u64>> {
        let (pool, stop) = (self.world.pool.clone(), stop.clone());
        tokio::spawn(async move {
            let writers: Vec<_> = (0..KEYS)
                .map(|key| tokio::spawn(write_key(pool.clone(), key, stop.clone())))
                .collect();
            let mut committed = HashMap::new();
            for writer in writers {
                committed.extend(writer.await.unwrap());
            }
            committed
        })
    }

    /// Says what went wrong, if anything.
    async fn faults(&self, committed: &HashMap<(usize, String), u64>) -> Vec<String> {
        let requests = self.requests.lock().unwrap().clone();
        let mut faults = lost(&requests, committed);
        faults.extend(disorder(&requests));
        faults.extend(self.stale(&requests).await);
        faults
    }

    /// Requests from an owner whose term was over when another's request had been made.
    async fn stale(&self, requests: &[Request]) -> Vec<String> {
        let terms: Vec<(i16, i64, String)> =
            sqlx::query_as("select shard, term, host from public.history")
                .fetch_all(&self.world.pool)
                .await
                .unwrap();
        let shards: Vec<(String, i16)> =
            sqlx::query_as("select name, shard from tidings.subscriber where kind = 'webhook'")
                .fetch_all(&self.world.pool)
                .await
                .unwrap();
        let shards: HashMap<String, i16> = shards.into_iter().collect();
        let mut held: HashMap<(i16, &str), Vec<i64>> = HashMap::new();
        for (shard, term, host) in &terms {
            held.entry((*shard, host)).or_default().push(*term);
        }
        let mut faults = Vec::new();
        let mut current: BTreeMap<usize, i64> = BTreeMap::new();
        for request in requests {
            let shard = shards[&format!("lane-{}", request.lane)];
            let term = current.entry(request.lane).or_default();
            let own = held.get(&(shard, request.courier.as_str()));
            match own.and_then(|own| own.iter().copied().filter(|own| own >= term).min()) {
                Some(own) => *term = own,
                None => faults.push(format!("{request:?} was sent under a term older than {term}")),
            }
        }
        faults
    }
}

async fn write_key(
    pool: PgPool,
    key: usize,
    stop: CancellationToken,
) -> HashMap<(usize, String), u64> {
    let mut committed: HashMap<(usize, String), u64> = HashMap::new();
    let mut random = StdRng::seed_from_u64(key as u64);
    while !stop.is_cancelled() {
        for lane in 0..LANES {
            let name = format!("k{key}");
            let number = committed.get(&(lane, name.clone())).copied().unwrap_or(0) + 1;
            let scope = format!("lane=l{lane}");
            let key = format!("l{lane}-{name}");
            let mut draft = Draft::new(TYPE).scope(&scope).key(&key);
            draft.payload = serde_json::json!({"lane": lane, "key": name, "n": number});
            let mut tx = pool.begin().await.unwrap();
            draft.register(&mut tx).await;
            // One in ten is taken back.
            if random.random_range(0..10) == 0 {
                tx.rollback().await.unwrap();
            } else {
                tx.commit().await.unwrap();
                committed.insert((lane, name), number);
            }
        }
        let pause = Duration::from_millis(random.random_range(60..120));
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
    committed
}

/// Committed events that no receiver has accepted.
fn lost(requests: &[Request], committed: &HashMap<(usize, String), u64>) -> Vec<String> {
    let accepted: HashSet<(usize, &str, u64)> = requests
        .iter()
        .filter(|request| request.accepted)
        .map(|request| (request.lane, request.key.as_str(), request.number))
        .collect();
    let mut lost = Vec::new();
    for ((lane, key), last) in committed {
        lost.extend(
            (1..=*last)
                .filter(|number| !accepted.contains(&(*lane, key, *number)))
                .map(|number| format!("lane {lane} key {key} event {number} was lost")),
        );
    }
    lost
}

/// Attempts of an event before all earlier ones of its key were accepted.
fn disorder(requests: &[Request]) -> Vec<String> {
    let mut done: HashMap<(usize, &str), u64> = HashMap::new();
    let mut faults = Vec::new();
    for request in requests {
        let done = done.entry((request.lane, &request.key)).or_default();
        if request.number > *done + 1 {
            faults.push(format!("{request:?} came when only {done} had been accepted"));
        }
        if request.accepted {
            *done = (*done).max(request.number);
        }
    }
    faults
}

/// How long the lanes that the victim had served waited for somebody else.
fn outage(requests: &[Request], victim: &str, killed_at: Instant) -> Duration {
    let mut owner: HashMap<usize, &str> = HashMap::new();
    for request in requests.iter().filter(|request| request.at <= killed_at) {
        owner.insert(request.lane, &request.courier);
    }
    owner
        .iter()
        .filter(|(_, courier)| **courier == victim)
        .map(|(lane, _)| {
            requests
                .iter()
                .find(|request| {
                    request.at > killed_at && request.lane == *lane && request.courier != victim
                })
                .map_or(Duration::MAX, |request| request.at - killed_at)
        })
        .max()
        .unwrap_or_default()
}

/// Who sent the last request of some lane.
fn serving(requests: &[Request]) -> HashSet<String> {
    let owners: HashMap<usize, &String> =
        requests.iter().map(|request| (request.lane, &request.courier)).collect();
    owners.into_values().cloned().collect()
}

/// Adds a webhook whose failures come again at once, and returns its id.
async fn webhook(world: &World, keyring: &Keyring, name: &str, url: &str) -> i32 {
    let (id, _) = world.webhook(keyring, name, url).await;
    world.set_retry(id, r#"{"delays_s": [0, 0.02]}"#).await;
    id
}

/// How workers are killed.
#[derive(Clone, Copy, Debug)]
struct Killing<'a> {
    url: &'a str,
    session: &'a str,
    lease_ms: u64,
    kills: usize,
    /// The longest that a lane may wait for its new owner.
    outage_max: Duration,
}

/// Kills one of three workers `kills` times under load, and checks everything at the end.
async fn kill_again_and_again(mut arena: Arena, how: Killing<'_>) {
    let Killing { url, session, lease_ms, kills, outage_max } = how;
    let mut random = StdRng::seed_from_u64(7);
    let mut couriers: Vec<(String, Process)> = Vec::new();
    for _ in 0..3 {
        let process = arena.launch(url, session, lease_ms);
        couriers.push((format!("courier-{}", arena.couriers), process));
    }
    let stop = CancellationToken::new();
    let writing = arena.write(&stop);
    eventually(SOON, "all lanes are served", || async {
        let requests = arena.requests.lock().unwrap();
        (requests.iter().map(|request| request.lane).collect::<HashSet<_>>().len() == LANES)
            .then_some(())
    })
    .await;
    let mut outages = Vec::new();
    for _ in 0..kills {
        // One that has lanes to lose.
        let serving = serving(&arena.requests.lock().unwrap());
        let places: Vec<usize> =
            (0..couriers.len()).filter(|place| serving.contains(&couriers[*place].0)).collect();
        let place = places[random.random_range(0..places.len())];
        let (victim, process) = couriers.remove(place);
        // At any moment of whatever it is doing.
        tokio::time::sleep(Duration::from_micros(random.next_u64() % 300_000)).await;
        process.kill().await;
        let killed_at = Instant::now();
        let process = arena.launch(url, session, lease_ms);
        couriers.push((format!("courier-{}", arena.couriers), process));
        let requests = Arc::clone(&arena.requests);
        let outage =
            eventually(outage_max + SOON, "the lanes of the dead are served by others", || async {
                let requests = requests.lock().unwrap();
                Some(outage(&requests, &victim, killed_at)).filter(|outage| *outage < Duration::MAX)
            })
            .await;
        outages.push(outage);
    }
    stop.cancel();
    let committed = writing.await.unwrap();
    arena.world.drained().await;
    let faults = arena.faults(&committed).await;
    assert!(
        faults.is_empty(),
        "{} faults, the first: {:#?}",
        faults.len(),
        &faults[..faults.len().min(5)]
    );
    let parked: i64 = arena.world.value("select count(*) from tidings.delivery").await;
    assert_eq!(parked, 0);
    outages.sort_unstable();
    let longest = outages.last().copied().unwrap_or_default();
    assert!(longest <= outage_max, "a lane waited {longest:?} for its new owner; all: {outages:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_under_load_lose_nothing_keep_order_and_are_recovered_from_within_three_seconds()
 {
    let arena = Arena::new().await;
    let url = arena.world.database.url();
    let outage_max = Duration::from_secs(3);
    let how = Killing { url: &url, session: "direct", lease_ms: 10_000, kills: 50, outage_max };
    kill_again_and_again(arena, how).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_behind_a_transaction_pooler_are_recovered_from_within_a_lease_and_a_hold() {
    let arena = Arena::new().await;
    let pooler = Pooler::start(&arena.world.database, 12).await;
    let url = pooler.url();
    // The lease, one hold of a quarter of it, and what a busy machine takes.
    let outage_max = Duration::from_millis(3000 + 750 + 750);
    let how = Killing { url: &url, session: "pooled", lease_ms: 3000, kills: 3, outage_max };
    kill_again_and_again(arena, how).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owner_that_was_stopped_settles_nothing_after_another_has_taken_over() {
    let world = World::on(Database::new().await, &[TYPE]).await;
    let keyring = Keyring::generate(&mut rand::rng());
    let gate = Gate::default();
    let (script_gate, couriers) = (gate.clone(), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&couriers);
    // The first owner's request is answered, but it is stopped before it can read the answer; the second's is held.
    let receiver = Receiver::start(move |received| {
        let mut log = log.lock().unwrap();
        log.push(received.header("user-agent").to_owned());
        match log.len() {
            1 => Reply::status(204).after(Duration::from_millis(1500)),
            _ => Reply::status(204).held(&script_gate),
        }
    })
    .await;
    let mut arena = Arena { world, receiver, requests: Arc::default(), keyring, couriers: 0 };
    let id = webhook(&arena.world, &arena.keyring, "lane-0", &arena.receiver.url()).await;
    arena.world.subscribe(id, TYPE, "", false).await;
    let url = arena.world.database.url();
    let first = arena.launch(&url, "direct", 2000);
    first.line("ready", SOON).await;
    arena.world.register(Draft::new(TYPE)).await;
    arena.receiver.wait_for(1, SOON).await;
    first.freeze().await;

    let second = arena.launch(&url, "direct", 2000);
    second.line("ready", SOON).await;
    eventually(SOON, "the second worker has taken over", || async {
        (*couriers.lock().unwrap() == ["courier-1", "courier-2"]).then_some(())
    })
    .await;
    first.thaw();
    // It learns that it was declared dead, and comes back under a new id.
    eventually(SOON, "the first worker has joined anew", || async {
        let workers: i64 =
            arena.world.value("select count(*) from tidings.worker where host = 'courier-1'").await;
        (workers == 1).then_some(())
    })
    .await;
    assert_eq!(
        arena.world.pending().await,
        1,
        "the stopped owner has settled what was no longer its own"
    );
    gate.open();
    arena.world.drained().await;
    assert_eq!(arena.receiver.received().len(), 2);
}
