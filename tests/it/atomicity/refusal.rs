//! Whatever cannot be registered is refused without harm to the application's transaction.

use chrono::DateTime;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, PgTransaction, postgres::PgDatabaseError};
use tidings::{
    Error, Event, Options, analytics, register::TELEMETRY_BYTES_MAX, register_event,
    register_event_with,
};
use tidings_tests::{Proxy, SOON, World};
use uuid::Uuid;

use super::{OrderPlaced, failed, note, placed, world};

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:lost", version = 1)]
struct Unknown {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 2)]
struct NextVersion {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:closed", version = 1)]
struct Retired {}

#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct Broken {
    #[serde(serialize_with = "fail")]
    total: u64,
}

/// A short notification view and any telemetry view.
#[derive(Event, Serialize, JsonSchema)]
#[event(name = "order:placed", version = 1)]
struct Measured {
    #[telemetry(with = zeros)]
    zeros: usize,
    #[telemetry(with = lists)]
    lists: usize,
    #[telemetry]
    tail: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the derive asks for this signature")]
fn zeros(count: &usize) -> Vec<u32> {
    vec![0; *count]
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the derive asks for this signature")]
fn lists(count: &usize) -> analytics::Value {
    (0..*count).fold(0_u64.into(), |inner, _| analytics::Value::list([Some(inner)]))
}

impl Measured {
    const SMALL: Self = Self { zeros: 0, lists: 0, tail: 0 };

    fn telemetry_bytes(&self) -> usize {
        serde_json::to_string(&self.telemetry()).unwrap().len()
    }

    /// Returns an event whose telemetry view has so many bytes.
    fn of_bytes(bytes: usize) -> Self {
        // Each zero takes two bytes, but for the first, which has no comma; the tail makes up for an odd byte.
        let more = bytes - Self::SMALL.telemetry_bytes() + 1;
        let tail = if more.is_multiple_of(2) { 0 } else { 10 };
        Self { zeros: more / 2, tail, ..Self::SMALL }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn fail<S: Serializer>(_: &u64, _: S) -> Result<S::Ok, S::Error> {
    Err(serde::ser::Error::custom("no total"))
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

fn body(body: Value) -> OrderPlaced {
    OrderPlaced { body }
}

/// Tries to register, and shows that the transaction goes on.
async fn refused(tx: &mut PgTransaction<'_>, event: &dyn Event, options: Options) -> Error {
    let error = register_event_with(tx, event, options).await.unwrap_err();
    note(tx).await;
    error
}

fn text(error: &Error) -> String {
    // Ids differ from run to run.
    let words = error.to_string();
    words
        .split(' ')
        .map(|word| if Uuid::parse_str(word.trim_matches(',')).is_ok() { "ID" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table of all refusals")]
async fn every_refusal_says_why_and_leaves_the_transaction_usable() {
    let world = world().await;
    world.subscriber("one", "**").await;
    world.types(&["order:closed"]).await;
    world
        .execute("update tidings.event_type set retired_at = now() where type = 'order:closed'")
        .await;
    let mut tx = world.pool.begin().await.unwrap();
    let own: Uuid = world.value("select overlay(tidings.uuid_floor(clock_timestamp())::text placing '7abc' from 15)::uuid").await;
    let taken = Options::default().idempotency_key("taken");
    register_event_with(&mut tx, &placed(1), taken.clone().event_id(own)).await.unwrap();

    let none = Options::default;
    let cases: Vec<(Box<dyn Event>, Options, &str)> = vec![
        (
            Box::new(Unknown {}),
            none(),
            "event type `order:lost` version 1 is not in the database's catalogue; sync the application's catalogue at start",
        ),
        (
            Box::new(NextVersion {}),
            none(),
            "event type `order:placed` version 2 is not in the database's catalogue; sync the application's catalogue at start",
        ),
        (
            Box::new(Retired {}),
            none(),
            "event type `order:closed` is retired; register its successor",
        ),
        (Box::new(Broken { total: 1 }), none(), "build the notification view of `order:placed`"),
        (Box::new(failed("", "j")), none(), "build the scope of `job:failed`"),
        (
            Box::new(body(json!("x".repeat(1_048_576)))),
            none(),
            "the notification view of `order:placed` has 1048587 bytes, and 1048576 are allowed; send a reference to large data",
        ),
        (
            Box::new(body(nested(64))),
            none(),
            "the notification view of `order:placed` nests deeper than 64 levels; flatten it",
        ),
        (
            Box::new(placed(1)),
            none().tenant("x".repeat(256)),
            "the tenant has 256 bytes, and 255 are allowed; use its SHA-256 instead",
        ),
        (
            Box::new(placed(1)),
            none().ordering_key("x".repeat(256)),
            "the ordering key has 256 bytes, and 255 are allowed; use its SHA-256 instead",
        ),
        (
            Box::new(placed(1)),
            none().idempotency_key("x".repeat(256)),
            "the idempotency key has 256 bytes, and 255 are allowed; use its SHA-256 instead",
        ),
        (
            Box::new(placed(2)),
            taken,
            "the idempotency key was used for event ID which has other content; use a key that belongs to this one event",
        ),
        (
            Box::new(placed(2)),
            none().event_id(own),
            "event id ID was used for an event with other content",
        ),
        (
            Box::new(placed(1)),
            none().event_id(Uuid::nil()),
            "event id ID is not a UUIDv7 of the last or the next hour; leave it out",
        ),
    ];
    for (event, options, expected) in cases {
        let error = refused(&mut tx, &*event, options).await;
        assert_eq!(text(&error), expected);
    }
    tx.commit().await.unwrap();
    assert_eq!(world.value::<i64>("select count(*) from note").await, 13);
    assert_eq!(world.value::<i64>("select count(*) from tidings.event").await, 1);
}

#[tokio::test]
async fn text_that_the_database_cannot_store_is_refused_before_anything_is_sent() {
    // What went wrong: the database refused the byte, and its error took the caller's transaction along.
    let world = world().await;
    let mut tx = world.pool.begin().await.unwrap();
    for (options, part) in [
        (Options::default().tenant("a\0b"), "tenant"),
        (Options::default().ordering_key("a\0b"), "ordering key"),
        (Options::default().idempotency_key("a\0b"), "idempotency key"),
    ] {
        let error = refused(&mut tx, &placed(1), options).await;
        assert!(matches!(error, Error::Unstorable { field } if field == part), "{part}: {error}");
    }
    // In a payload and in a scope it is written as an escape, and may stand.
    register_event_with(&mut tx, &body(json!("a\0b")), Options::default()).await.unwrap();
    register_event_with(&mut tx, &failed("a\0b", "j"), Options::default().ordering_key("j"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn telemetry_that_is_too_large_or_too_deep_is_refused_before_anything_is_sent() {
    let world = world().await;
    let proxy = Proxy::start(world.database.server().address().port).await;
    let mut conn = PgConnection::connect(&proxy.url(&world.database.url())).await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    note(&mut tx).await;
    let large = Measured::of_bytes(TELEMETRY_BYTES_MAX + 1);
    assert_eq!(large.telemetry_bytes(), 28_673);
    // Below the root and one of its two trees.
    let deep = Measured { lists: 63, ..Measured::SMALL };
    // Whoever sends anything now does not come back.
    proxy.stall();
    for (event, expected) in [
        (
            &large,
            "the telemetry view of `order:placed` has 28673 bytes, and 28672 are allowed; send a reference to large data",
        ),
        (&deep, "the telemetry view of `order:placed` nests deeper than 64 levels; flatten it"),
    ] {
        let one = tokio::time::timeout(SOON, register_event(&mut tx, event)).await.unwrap();
        assert_eq!(one.unwrap_err().to_string(), expected);
        let many: [&dyn Event; 2] = [&Measured::SMALL, event];
        let many = tidings::register_events(&mut tx, &many);
        let many = tokio::time::timeout(SOON, many).await.unwrap();
        assert_eq!(many.unwrap_err().to_string(), expected);
    }
    proxy.resume();
    // The largest and the deepest that is allowed is registered in the same transaction.
    let largest = Measured::of_bytes(TELEMETRY_BYTES_MAX);
    assert_eq!(largest.telemetry_bytes(), 28_672);
    register_event(&mut tx, &largest).await.unwrap();
    register_event(&mut tx, &Measured { lists: 62, ..Measured::SMALL }).await.unwrap();
    tidings::commit(tx).await.unwrap();
    assert_eq!(world.value::<i64>("select count(*) from note").await, 1);
    assert_eq!(world.value::<i64>("select count(*) from tidings.event").await, 2);
}

#[tokio::test]
async fn day_without_a_partition_is_refused_and_is_mended_by_making_one() {
    let world = world().await;
    drop_todays_partition(&world).await;
    let mut tx = world.pool.begin().await.unwrap();
    let error = refused(&mut tx, &placed(1), Options::default()).await;
    assert!(matches!(error, Error::NoPartition), "{error}");
    let many: [&dyn Event; 2] = [&placed(1), &placed(2)];
    let error = tidings::register_events(&mut tx, &many).await.unwrap_err();
    assert!(matches!(error, Error::NoPartition), "{error}");
    tx.commit().await.unwrap();
    let error = sql_error(&world, "select tidings.register_event('order:placed', '{}')").await;
    assert_eq!(error.code(), "TD011");
    world.execute("select tidings.make_partitions(1)").await;
    world.execute("select tidings.register_event('order:placed', '{}')").await;
}

/// Both of today and of tomorrow, so that the test may run at midnight.
async fn drop_todays_partition(world: &World) {
    world
        .execute(
            "do $$ declare v_name text; begin
               for v_name in delete from tidings.partition where parent = 'event'
                 and starts_at < clock_timestamp() + interval '1 day' returning name
               loop execute format('drop table tidings.%I', v_name); end loop;
             end $$;
             update tidings.event_type set partitioned_until = tidings.partitioned_until()",
        )
        .await;
}

async fn sql_error(world: &World, statement: &str) -> PgDatabaseError {
    let run = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&world.pool).await;
    let Err(error) = run else { panic!("{statement} was accepted") };
    let error = error.into_database_error().unwrap();
    *error.downcast::<PgDatabaseError>()
}

#[tokio::test]
async fn sql_callers_get_an_error_with_a_code_of_its_own_and_a_hint() {
    let world = world().await;
    world.types(&["order:closed"]).await;
    world
        .execute("update tidings.event_type set retired_at = now() where type = 'order:closed'")
        .await;
    let register =
        |more: &str| format!("select tidings.register_event('order:placed', '{{}}'{more})");
    world
        .execute(
            "select tidings.register_event('order:placed', '{\"n\": 1}', idempotency_key => 'k')",
        )
        .await;
    let own = "overlay(tidings.uuid_floor(clock_timestamp())::text placing '7abc' from 15)::uuid";
    let cases = [
        ("TD001", "select tidings.register_event('order:lost', '{}')".to_owned()),
        ("TD002", register(", version => 9::smallint")),
        ("TD003", "select tidings.register_event('order:closed', '{}')".to_owned()),
        ("TD004", register(", scope => 'project'")),
        ("TD004", register(", scope => '/'")),
        ("TD004", register(", scope => 'a=1/a b=2'")),
        ("TD004", register(", scope => 'a=1/b=2/c=3/d=4/e=5/f=6/g=7/h=8/i=9'")),
        ("TD005", register(", ordering_key => repeat('x', 256)")),
        ("TD005", register(", idempotency_key => repeat('x', 256)")),
        ("TD005", register(", tenant => repeat('x', 256)")),
        ("TD006", register(", event_id => gen_random_uuid()")),
        ("TD006", register(", event_id => '0192d3a0-0000-7000-8000-000000000000'")),
        ("TD007", "select tidings.register_event('order:placed', to_json(repeat('x', 1048576)))".to_owned()),
        ("TD007", register(", telemetry => json_build_object('x', repeat('x', 28672))")),
        ("TD007", register(", headers => json_build_object('x', repeat('x', 32768))")),
        ("TD008", "select tidings.register_event('order:placed', (repeat('[', 65) || repeat(']', 65))::json)".to_owned()),
        ("TD009", register(", idempotency_key => 'k'")),
        ("TD010", format!(
            "select tidings.register_event('order:placed', to_json(n), event_id => v)
             from (select {own} as v) o, generate_series(1, 2) n"
        )),
        ("TD012", "select tidings.register_event(null, '{}')".to_owned()),
        ("TD012", register(", tenant => null")),
        ("TD012", register(", delay => '-1 second'")),
        ("TD012", register(", headers => '[]'")),
        ("TD012", "select tidings.register_events('{}')".to_owned()),
    ];
    for (code, statement) in cases {
        let error = sql_error(&world, &statement).await;
        assert_eq!(error.code(), code, "{statement}: {error}");
        assert!(error.hint().is_some_and(|hint| hint.len() > 10), "{statement}: {error}");
    }
    assert_eq!(world.value::<i64>("select count(*) from tidings.event").await, 1);
}

#[tokio::test]
async fn deepest_and_largest_that_is_allowed_is_registered_by_both_doors() {
    let world = world().await;
    let mut tx = world.pool.begin().await.unwrap();
    register_event_with(&mut tx, &body(nested(63)), Options::default()).await.unwrap();
    register_event_with(&mut tx, &body(json!("x".repeat(1_048_576 - 11))), Options::default())
        .await
        .unwrap();
    let at = DateTime::from_timestamp(-62_135_596_800, 0).unwrap();
    register_event_with(&mut tx, &placed(1), Options::default().occurred_at(at)).await.unwrap();
    tx.commit().await.unwrap();
    // Brackets in texts are no levels.
    world
        .execute(
            "select tidings.register_event('order:placed', (repeat('[', 64) || repeat(']', 64))::json);
             select tidings.register_event('order:placed', to_json(repeat('[', 1000)));
             select tidings.register_event('order:placed', ('[' || repeat('[],', 1000) || '1]')::json)",
        )
        .await;
}

#[tokio::test]
async fn role_that_may_execute_the_functions_registers_by_both_doors_and_reads_nothing() {
    let world = world().await;
    let role = format!("{}_shop", world.database.name());
    let run = async |statements: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&world.pool).await.unwrap();
    };
    run(format!("create role {role}; grant insert on note to {role}")).await;
    let mut conn = world.database.connect().await;
    let set_role = sqlx::AssertSqlSafe(format!("set role {role}"));
    sqlx::raw_sql(set_role).execute(&mut conn).await.unwrap();
    let by_sql = "select tidings.register_event('order:placed', '{}');
                  select tidings.register_events('[{\"type\": \"order:placed\", \"payload\": {}}]')";
    assert_denied(sqlx::raw_sql(by_sql).execute(&mut conn).await.unwrap_err());

    // In the words of `events/README.md`: first what SQL needs, then what the library needs as well.
    let grant = "grant usage on schema tidings to";
    run(format!("{grant} {role}")).await;
    let grant = "grant execute on function tidings.register_event, tidings.register_events to";
    run(format!("{grant} {role}")).await;
    sqlx::raw_sql(by_sql).execute(&mut conn).await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    let Err(Error::Unanswered { source, .. }) = register_event(&mut tx, &placed(1)).await else {
        panic!("registered without the right to")
    };
    assert_denied(source);
    tx.rollback().await.unwrap();
    let grant = "grant execute on function tidings.register_v1, tidings.register_many_v1, tidings.sync_catalogue_v3 to";
    run(format!("{grant} {role}")).await;
    tidings::catalogue![OrderPlaced].unwrap().sync(&mut conn).await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    note(&mut tx).await;
    register_event(&mut tx, &placed(1)).await.unwrap();
    tidings::register_events(&mut tx, &[&placed(2), &placed(3)]).await.unwrap();
    tidings::commit(tx).await.unwrap();
    assert_eq!(world.value::<i64>("select count(*) from tidings.event").await, 5);
    let read = sqlx::raw_sql("select from tidings.event").execute(&mut conn).await;
    assert_denied(read.unwrap_err());
}

fn assert_denied(error: sqlx::Error) {
    let error = error.into_database_error().unwrap();
    assert_eq!(error.code().as_deref(), Some("42501"), "{error}");
}
