//! The programs of `examples/sql`, as the role that they need and no more.

use std::fs;

use sqlx::AssertSqlSafe;
use tidings_tests::Database;
use uuid::Uuid;

use super::toolchain::{Program, psql, root};

/// A database as `examples/sql/README.md` sets it up, and the role of the programs.
struct Shop {
    database: Database,
    role: String,
}

impl Shop {
    async fn new() -> Self {
        let database = Database::new().await;
        // Roles belong to the whole server.
        let role = format!("shop_{}", Uuid::new_v4().simple());
        let variable = format!("role={role}");
        let said = psql(&database.url(), "examples/sql/set-up.sql", &[&variable]).await;
        assert_eq!(said, "order:placed|1|added\n");
        let again = psql(&database.url(), "examples/sql/set-up.sql", &[&variable]).await;
        assert_eq!(again, "", "a second time, there is nothing to do");
        let password = format!("alter role {role} password 'not secret'");
        sqlx::query(AssertSqlSafe(password)).execute(database.pool()).await.unwrap();
        Self { database, role }
    }

    /// Returns the URL for the programs.
    fn url(&self) -> String {
        let port = self.database.server().address().port;
        let name = self.database.name();
        format!("postgres://{}:not%20secret@127.0.0.1:{port}/{name}?sslmode=disable", self.role)
    }

    /// Returns the events: id, type, scope, ordering key and payload.
    async fn events(&self) -> Vec<(Uuid, String, String, String, String)> {
        let query = "select event_id, type, scope, ordering_key, payload::jsonb::text from tidings.event order by 1";
        sqlx::query_as(query).fetch_all(self.database.pool()).await.unwrap()
    }

    async fn orders(&self) -> Vec<(i64, String)> {
        let query = "select number, customer from shop_order order by 1";
        sqlx::query_as(query).fetch_all(self.database.pool()).await.unwrap()
    }

    async fn close(self) {
        let statements = format!("drop owned by {0}; drop role {0}", self.role);
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(self.database.pool()).await.unwrap();
    }
}

/// Returns the text with every id replaced by the number of its first appearance, and the ids in this order.
fn numbered(text: &str) -> (String, Vec<Uuid>) {
    let mut ids = Vec::new();
    let lines = text.lines().map(|line| {
        let Some((before, id)) = line.rsplit_once(' ') else { return line.to_owned() };
        let Ok(id) = id.parse::<Uuid>() else { return line.to_owned() };
        let place = ids.iter().position(|known| *known == id).unwrap_or(ids.len());
        if place == ids.len() {
            ids.push(id);
        }
        format!("{before} #{place}")
    });
    (lines.collect::<Vec<_>>().join("\n"), ids)
}

/// Returns what the page says that a program prints: the first block that is text, or the second.
fn documented(block: usize) -> String {
    let page = fs::read_to_string(root().join("examples/sql/README.md")).unwrap();
    let blocks: Vec<&str> = page.split("```text\n").skip(1).collect();
    assert_eq!(blocks.len(), 2);
    blocks[block].split("```").next().unwrap().to_owned()
}

/// Runs a program twice, and checks what it prints, what it writes and what it leaves out.
async fn check(program: Program, block: usize) {
    let shop = Shop::new().await;
    let url = shop.url();
    let (said, ids) = numbered(&program.run(&url, "").await);
    assert_eq!(said, numbered(&documented(block)).0);

    let text = |text: &str| text.to_owned();
    let payload = text(r#"{"order": 7, "customer": "Ada"}"#);
    let event = (ids[0], text("order:placed"), text("shop=berlin"), text("order-7"), payload);
    assert_eq!(shop.events().await, std::slice::from_ref(&event));
    assert_eq!(shop.orders().await, [(7, text("Ada"))]);

    // Another run repeats the order, as a client does that was not answered.
    let (_, again) = numbered(&program.run(&url, "").await);
    assert_eq!(again[0], ids[0]);
    assert_eq!(shop.events().await, std::slice::from_ref(&event));

    // And another order is another event.
    let (_, other) = numbered(&program.arg("70").run(&url, "").await);
    assert_eq!(shop.orders().await, [(7, text("Ada")), (70, text("Ada"))]);
    let found: Vec<_> = shop.events().await.into_iter().map(|event| event.0).collect();
    assert_eq!(found, [ids[0], other[0]]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn program_in_sql_registers_beside_its_writes() {
    check(Program::shell("examples/sql/psql", "register.sh"), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn program_in_python_registers_beside_its_writes() {
    check(Program::python("examples/sql/python", "register.py").await, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn program_in_node_registers_beside_its_writes() {
    check(Program::node("examples/sql/node", "register.js").await, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn program_in_go_registers_beside_its_writes() {
    check(Program::go("examples/sql/go").await, 0).await;
}
