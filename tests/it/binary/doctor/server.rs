//! Settings of the server, partitions, tables, and what keeps dead rows.

use sqlx::Connection;
use tidings_cli::postgres::{Auth, Embedded, Options};
use tidings_tests::{Database, Pooler, Temporary, search};

use super::{ask, at, make, on, run};

#[tokio::test]
async fn reckless_settings_of_the_server_are_named() {
    let database = Database::new().await;
    let name = database.name();
    make(
        &database,
        format!(
            "alter database {name} set synchronous_commit = off;
             alter database {name} set default_transaction_read_only = on;"
        ),
    )
    .await;
    let report = ask(on(&database), &[]).await;
    assert!(report.found("server", "warning", "fsync_off").0.starts_with("fsync is off"));
    let (_, cure) = report.found("server", "warning", "synchronous_commit_off");
    assert!(cure.contains(&format!("alter database \"{name}\" set synchronous_commit = on")));
    report.found("server", "error", "server_read_only");
}

#[tokio::test]
async fn role_that_may_not_look_is_told_what_it_lacks() {
    let database = Database::new().await;
    let role = format!("looker_{}", database.name());
    make(&database, format!("create role {role} login password 'x'")).await;
    let address = database.server().address();
    let mine = format!("{}:{}", address.role, address.password);
    let session = database.connect().await;
    let report = ask(at(&database.url().replace(&mine, &format!("{role}:x"))), &[]).await;
    drop(session);
    let (what, cure) = report.found("server", "info", "sessions_hidden");
    assert!(what.contains(&role) && cure.contains("pg_read_all_stats"), "{what} {cure}");
    let (what, cure) = report.found("partitions", "warning", "unchecked");
    assert!(what.contains("permission denied"), "{what}");
    assert!(cure.starts_with("run it as the owner of the schema"), "{cure}");
    make(&database, format!("drop role {role}")).await;
}

#[tokio::test]
async fn check_that_takes_too_long_ends_in_time_and_says_so() {
    let database = Database::new().await;
    let mut holder = database.connect().await;
    let mut tx = holder.begin().await.unwrap();
    sqlx::query("lock table tidings.delivery").execute(&mut *tx).await.unwrap();
    let report = ask(on(&database), &["--timeout", "200ms"]).await;
    let (what, cure) = report.found("workers", "warning", "unchecked");
    assert!(what.contains("statement timeout"), "{what}");
    assert_eq!(cure, "raise --timeout");
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn days_without_a_partition_are_found_and_the_cure_makes_them() {
    let database = Database::new().await;
    let drop_day = |parent: &str, days: i32| {
        format!(
            "do $$ begin execute (
               select format('drop table tidings.%I', p.name) from tidings.partition p
               where p.parent = '{parent}' and p.starts_at <= now() + interval '{days} days' and now() + interval '{days} days' < p.ends_at);
             end $$;"
        )
    };
    make(&database, drop_day("attempt", 2)).await;
    let report = ask(on(&database), &[]).await;
    let (what, _) = report.found("partitions", "warning", "partitions_short");
    assert!(what.starts_with("the partitions of `attempt` end within 2 days"), "{what}");
    make(&database, drop_day("event", 0)).await;
    let report = ask(on(&database), &[]).await;
    let (what, cure) = report.found("partitions", "error", "partition_missing");
    assert!(what.contains("nothing can be registered"), "{what}");
    make(
        &database,
        "delete from tidings.partition p where to_regclass(format('tidings.%I', p.name)) is null",
    )
    .await;
    make(&database, cure).await;
    let report = ask(on(&database), &[]).await;
    assert!(!report.codes().iter().any(|code| code.starts_with("partition")), "{report:?}");
}

#[tokio::test]
async fn tables_that_are_not_looked_after_are_named_with_the_statement_that_does_it() {
    let database = Database::new().await;
    make(
        &database,
        "alter table tidings.delivery reset (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
         alter table tidings.delivery set (autovacuum_enabled = false);
         drop index tidings.delivery_key;
         update pg_index set indisvalid = false where indexrelid = 'tidings.subscription_expand'::regclass;
         insert into tidings.delivery (event_id, due_at, first_due_at, subscriber_id)
         select gen_random_uuid(), now(), now(), 7 from generate_series(1, 60000);
         delete from tidings.delivery;",
    )
    .await;
    make(&database, "analyze tidings.delivery").await;
    let report = ask(on(&database), &[]).await;
    let (what, _) = report.found("tables", "warning", "dead_rows");
    assert!(what.starts_with("tidings.delivery has 60000 dead rows beside 0 live ones"), "{what}");
    let cures = [
        report.found("tables", "warning", "index_invalid").1,
        report.found("tables", "error", "index_missing").1,
        "vacuum tidings.delivery;",
        "alter table tidings.delivery reset (autovacuum_enabled);",
    ];
    let (_, settings) = report.found("tables", "warning", "vacuum_settings");
    assert_eq!(settings, "alter table tidings.delivery reset (autovacuum_enabled);");
    for cure in cures {
        make(&database, cure).await;
    }
    let report = ask(on(&database), &[]).await;
    let (what, settings) = report.found("tables", "warning", "vacuum_settings");
    assert!(what.contains("the autovacuum settings of any table"), "{what}");
    make(&database, settings).await;
    let report = ask(on(&database), &[]).await;
    let of_tables: Vec<_> = report.findings().filter(|(check, _)| *check == "tables").collect();
    assert!(of_tables.is_empty(), "{of_tables:?}");
}

#[tokio::test]
async fn open_transaction_is_named_with_its_session_and_the_cure_ends_it() {
    let database = Database::new().await;
    let url = database.url() + "&application_name=report";
    let mut conn = sqlx::PgConnection::connect(&url).await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut *tx).await.unwrap();
    let report = ask(on(&database), &[]).await;
    assert!(!report.codes().contains(&"old_transaction"), "it is young: {report:?}");
    let report = ask(on(&database), &["--transaction-age", "0s"]).await;
    let (what, cure) = report.found("horizon", "warning", "old_transaction");
    assert!(what.starts_with(&format!("`report` (pid {pid}, role postgres) has been idle in")));
    make(&database, cure.split("--").next().unwrap()).await;
    sqlx::query("select 1").execute(&mut *tx).await.unwrap_err();
    let report = ask(on(&database), &["--transaction-age", "0s"]).await;
    assert!(!report.codes().contains(&"old_transaction"), "{report:?}");
}

#[tokio::test]
async fn prepared_transaction_and_forgotten_slot_are_named() {
    let folder = Temporary::in_memory("doctor");
    let mut options = Options::new(folder.path())
        .setting("max_prepared_transactions", "2")
        .setting("wal_level", "logical");
    options.fsync = false;
    options.auth = Auth::Password;
    options.removed_with_process = true;
    let embedded = Embedded::start(&search(), options).await.unwrap();
    let url = embedded.url();
    run(&at(&url).args(["migrate", "--json"])).await.json();
    let mut conn = sqlx::PgConnection::connect(&url).await.unwrap();
    let trouble = "begin; create table note (text text); prepare transaction 'two''s';";
    sqlx::raw_sql(trouble).execute(&mut conn).await.unwrap();
    let report = ask(at(&url), &["--transaction-age", "0s"]).await;
    let (what, cure) = report.found("horizon", "warning", "prepared_transaction");
    assert!(what.contains("`two's`"), "{what}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(cure)).execute(&mut conn).await.unwrap();

    let slot = "select pg_create_logical_replication_slot('forgotten', 'pgoutput')";
    sqlx::raw_sql(slot).execute(&mut conn).await.unwrap();
    let report = ask(at(&url), &["--transaction-age", "0s"]).await;
    assert!(!report.codes().contains(&"prepared_transaction"), "{report:?}");
    let (what, cure) = report.found("horizon", "warning", "replication_slot");
    assert!(what.starts_with("nobody reads the replication slot `forgotten`"), "{what}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(cure)).execute(&mut conn).await.unwrap();
    let report = ask(at(&url), &[]).await;
    assert!(!report.codes().contains(&"replication_slot"), "{report:?}");
    conn.close().await.unwrap();
    embedded.stop().await.unwrap();
}

#[tokio::test]
async fn pooler_before_the_database_is_noticed() {
    let database = Database::new().await;
    let report = ask(on(&database), &[]).await;
    assert!(!report.codes().contains(&"pooler"), "{report:?}");
    let pooler = Pooler::start(&database, 4).await;
    let report = ask(at(&pooler.url()), &[]).await;
    let (_, cure) = report.found("pooler", "info", "pooler");
    assert!(cure.contains("--session pooled"), "{cure}");
}
