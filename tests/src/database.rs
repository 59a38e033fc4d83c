//! A database for one test.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
};

use sqlx::{
    Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::Server;

/// How many connections one test may have through its pool. The server has 300 for all tests that run at once.
const POOL_CONNECTIONS: u32 = 20;

/// A database of its own for one test, with the schema in place; dropped some time after the test.
#[derive(Debug)]
pub struct Database {
    server: Arc<Server>,
    name: String,
    pool: PgPool,
}

impl Database {
    /// Makes a database on the shared server for tests of logic.
    pub async fn new() -> Self {
        Self::on(&Server::shared().await).await
    }

    /// Makes a database on the shared server whose commits survive a crash.
    pub async fn durable() -> Self {
        Self::on(&Server::durable().await).await
    }

    /// Makes a database on this server.
    pub async fn on(server: &Arc<Server>) -> Self {
        let name = next_name();
        server.copy_template(&name).await;
        Self::open(server, name)
    }

    /// Makes a database without the schema, for tests of the migrations.
    pub async fn blank() -> Self {
        let server = Server::shared().await;
        let name = next_name();
        server.administer(format!("create database {name}")).await.unwrap();
        Self::open(&server, name)
    }

    fn open(server: &Arc<Server>, name: String) -> Self {
        let options: PgConnectOptions = server.url(&name).parse().unwrap();
        let pool =
            PgPoolOptions::new().max_connections(POOL_CONNECTIONS).connect_lazy_with(options);
        Self { server: Arc::clone(server), name, pool }
    }

    /// Returns a pool of up to 20 direct sessions.
    #[must_use]
    pub const fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Returns the URL of the database, for a process or a pool of its own.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// Returns the name of the database.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the server that the database is on.
    #[must_use]
    pub const fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Opens a session outside the pool.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url()).await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A janitor that is gone, or a server that is stopped, leaves the database to the end of the server's folder.
        drop(JANITOR.send((Arc::clone(&self.server), self.name.clone())));
    }
}

/// Drops databases behind the tests' backs, on a thread and a runtime of its own: a destructor cannot wait.
static JANITOR: LazyLock<mpsc::Sender<(Arc<Server>, String)>> = LazyLock::new(|| {
    let (sender, receiver) = mpsc::channel::<(Arc<Server>, String)>();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for (server, name) in receiver {
            let statement = format!("drop database if exists {name} with (force)");
            drop(runtime.block_on(server.administer(statement)));
        }
    });
    sender
});

fn next_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Kind, eventually};

    #[tokio::test]
    async fn databases_are_apart_and_dropped_in_the_end() {
        let (one, two) = (Database::new().await, Database::new().await);
        sqlx::query("create table note (text text)").execute(one.pool()).await.unwrap();
        sqlx::query("select * from note").execute(two.pool()).await.unwrap_err();
        let name = one.name().to_owned();
        drop(one);
        eventually(Duration::from_secs(30), "the database is dropped", async || {
            let query = "select exists (select from pg_database where datname = $1)";
            let exists: bool =
                sqlx::query_scalar(query).bind(&name).fetch_one(two.pool()).await.unwrap();
            (!exists).then_some(())
        })
        .await;
    }

    #[tokio::test]
    async fn crash_of_the_server_loses_no_commit_and_keeps_the_address() {
        let server = Arc::new(Server::start(Kind::Durable).await);
        let database = Database::on(&server).await;
        sqlx::query("create table note (text text)").execute(database.pool()).await.unwrap();
        sqlx::query("insert into note values ('x')").execute(database.pool()).await.unwrap();
        server.crash().await;
        PgConnection::connect(&database.url()).await.unwrap_err();
        server.start_again().await;
        let count: i64 = sqlx::query_scalar("select count(*) from note")
            .fetch_one(&mut database.connect().await)
            .await
            .unwrap();
        assert_eq!(count, 1);
    }
}
