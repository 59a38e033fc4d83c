//! A crash of the server undoes settlements that were not on disk yet; what they settled is sent again.

use std::sync::Arc;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::{Connection, PgConnection};
use tidings::deliverer::Memory;
use tidings_tests::{Database, Draft, Kind, SOON, Server, World, eventually, world::Guard};
use uuid::Uuid;

use super::{read_again, without_holds};

/// A worker on a server whose log goes to disk only with a commit that waits for it.
struct Doomed {
    server: Arc<Server>,
    world: World,
    worker: Guard,
    memory: Memory,
    lane: i32,
}

impl Doomed {
    async fn new() -> Self {
        let server = Arc::new(Server::start(Kind::Durable).await);
        let world = World::on(Database::on(&server).await, &["order:placed"]).await;
        for setting in ["set wal_writer_delay = '10s'", "set autovacuum = off"] {
            let statement = format!("alter system {setting}");
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&world.pool).await.unwrap();
        }
        world.execute("select pg_reload_conf()").await;
        let lane = world.subscriber("one", "order:placed").await;
        let memory = Memory::new();
        let worker = world.worker(memory.clone()).await;
        let doomed = Self { server, world, worker, memory, lane };
        doomed.deliver().await;
        doomed
    }

    /// Registers an event and waits until it is delivered and settled.
    async fn deliver(&self) -> Uuid {
        let before = self.memory.count();
        let event = self.world.register(Draft::new("order:placed")).await;
        self.world.wake(&[self.lane]);
        tokio::time::timeout(SOON, self.memory.wait_for(before + 1)).await.unwrap();
        self.world.drained().await;
        event
    }

    /// Delivers, keeps the holds from flushing the settlement along with their own commits, and has the lane read
    /// beyond.
    async fn deliver_without_flush(&self) -> (Uuid, PgConnection) {
        let conn = without_holds(&self.world, &self.worker).await;
        let event = self.deliver().await;
        read_again(&self.world, &self.worker, self.lane).await;
        (event, conn)
    }

    /// Waits until the event has been sent again, and settled.
    async fn is_repeated(&self, event: Uuid) {
        eventually(SOON, "the event is sent again", || async {
            let sent = self.memory.event_ids().into_iter().filter(|sent| *sent == event).count();
            (sent == 2).then_some(())
        })
        .await;
        eventually(SOON, "it is settled", || async {
            let pending = sqlx::query_scalar::<_, i64>("select count(*) from tidings.delivery");
            (pending.fetch_one(&self.world.pool).await.ok()? == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_of_the_server_loses_nothing_and_repeats_what_was_not_on_disk() {
    let doomed = Doomed::new().await;
    let (event, _unheld) = doomed.deliver_without_flush().await;
    doomed.server.crash().await;
    doomed.server.start_again().await;
    doomed.is_repeated(event).await;
    doomed.deliver().await;
    assert_eq!(doomed.memory.count(), 4, "nothing else was sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_of_one_session_that_takes_the_others_along_repeats_what_was_not_on_disk_too() {
    // What went wrong: the postmaster lives on, so its start tells nothing; the row was back below the cursor.
    let doomed = Doomed::new().await;
    let mut victim = doomed.world.database.connect().await;
    let pid: i32 =
        sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut victim).await.unwrap();
    let (event, mut unheld) = doomed.deliver_without_flush().await;
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    while unheld.ping().await.is_ok() {}
    doomed.is_repeated(event).await;
}
