//! Events that are sent to an index again, and that are taken out of it.

use std::sync::Arc;

use chrono::DateTime;
use reqwest::Method;
use serde_json::{Value, json};
use tidings::{Level, privacy};
use tidings_pipeline::{
    Error,
    erase::{Erasure, Subjects},
    gate::Gate,
    sink::{
        Guard, Hooks,
        resend::{Job, Range, Resent},
        search::Sink,
    },
};
use tidings_tests::Database;

use super::{SOON, Stage, all, event, events, id, with};

const ALL: Range =
    Range::Time { from: DateTime::UNIX_EPOCH, until: DateTime::<chrono::Utc>::MAX_UTC };

/// The day of the events, as the account has it.
const DAY: &str = "2023-11-14";

async fn resend(stage: &Stage, database: &Database, range: Range) -> Result<Resent, Error> {
    let sink = Sink::new(stage.options.clone()).unwrap();
    let hooks = Guard::new(Gate::new(database.pool().clone()));
    let job = Job { pool: database.pool(), hooks: &hooks, range };
    sink.resend(&stage.log, &job, |_| {}).await
}

/// Returns what has moved in the account of the sink: stored and rejected.
async fn moved(database: &Database) -> Vec<(i64, i64)> {
    let query =
        "select stored, rejected from tidings.telemetry_day where day = $1::date and sink = 'os'";
    sqlx::query_as(query).bind(DAY).fetch_all(database.pool()).await.unwrap()
}

#[tokio::test]
async fn index_that_was_deleted_is_restored_exactly() {
    let (stage, database) = (Stage::new().await, Database::new().await);
    let refusal = resend(&stage, &database, ALL).await.unwrap_err().to_string();
    assert!(refusal.contains("has not taken anything yet"), "{refusal}");
    stage.append(events(300)).await;
    stage.drain(SOON).await;
    // What comes later is for the sink itself.
    stage.append((300..310).map(event)).await;
    let path = format!("{}*", stage.options.prefix);
    stage.node.call(Method::DELETE, &path, &Value::Null).await;
    let resent = resend(&stage, &database, ALL).await.unwrap();
    let expected = Resent { taken: 300, stored: 300, pending: 10, ..Resent::default() };
    assert_eq!(resent, expected);
    assert_eq!(stage.ids().await, all(300));
    let again = resend(&stage, &database, ALL).await.unwrap();
    assert_eq!((again.stored, again.already_there), (0, 300));
    let part = Range::Offsets { partition: 1, first: 10, next: 30 };
    assert_eq!(resend(&stage, &database, part).await.unwrap().taken, 20);
    assert_eq!(moved(&database).await, []);
    stage.drain(SOON).await;
    assert_eq!((stage.ids().await, stage.ledger()), (all(310), [310, 0, 0]));
}

#[tokio::test]
async fn what_the_index_has_refused_moves_in_its_account_once() {
    let (stage, database) = (Stage::new().await, Database::new().await);
    let refused = |number| with(number, "object", json!("do_1"));
    stage.append([event(0), refused(1), event(2), refused(3)]).await;
    stage.drain(SOON).await;
    assert_eq!(stage.ledger(), [2, 0, 2]);
    let vain = resend(&stage, &database, ALL).await.unwrap();
    assert_eq!((vain.rejected, vain.recovered, stage.failed().len()), (2, 0, 2));
    // Somebody has made the mapping fit, and the index anew.
    let path = format!("{}telemetry-2023.11.14", stage.options.prefix);
    stage.node.call(Method::DELETE, &path, &Value::Null).await;
    let mapping =
        json!({"mappings": {"properties": {"object": {"type": "object", "enabled": false}}}});
    stage.node.call(Method::PUT, &path, &mapping).await;
    let resent = resend(&stage, &database, ALL).await.unwrap();
    let expected = Resent { taken: 4, stored: 4, recovered: 2, ..Resent::default() };
    assert_eq!((resent, stage.ids().await), (expected, all(4)));
    assert_eq!(moved(&database).await, [(2, -2)]);
    // Lost and sent again, they do not move a second time.
    stage.node.call(Method::DELETE, &format!("{path}/_doc/{}", id(1)), &Value::Null).await;
    let again = resend(&stage, &database, ALL).await.unwrap();
    assert_eq!((again.already_there, again.recovered), (3, 0));
    assert_eq!(moved(&database).await, [(2, -2)]);
}

#[tokio::test]
async fn level_that_is_lowered_between_relay_and_sink_holds_for_what_waits_also_when_it_is_raised()
{
    let (stage, database) = (Stage::new().await, Database::new().await);
    let error = with(1, "eid", json!("ERROR"));
    stage.append([event(0), error, event(2)]).await;
    for level in [Level::Security, Level::Full] {
        let mut tx = database.pool().begin().await.unwrap();
        privacy::set_level(&mut tx, level).await.unwrap();
        tidings::commit(tx).await.unwrap();
    }
    let hooks: Arc<dyn Hooks> = Arc::new(Guard::new(Gate::new(database.pool().clone())));
    let metrics = stage.drain_by(hooks, SOON).await;
    let filtered = metrics.filtered.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((stage.ids().await, filtered), (vec![id(1)], 2));
    let resent = resend(&stage, &database, ALL).await.unwrap();
    assert_eq!((resent.filtered, resent.already_there), (2, 1));
}

#[tokio::test]
async fn who_is_erased_is_in_no_index_whatever_names_them() {
    let (stage, database) = (Stage::new().await, Database::new().await);
    let of = |number: usize, actor: &str, device: Option<&str>| {
        let mut event = event(number);
        event["actor"]["id"] = json!(actor);
        event["context"]["did"] = json!(device);
        event
    };
    let ours = (0..2_500).map(|number| of(number, "ada", Some("d")));
    let others = [
        of(2_500, "bob", Some("d1")),
        of(2_501, "d1", None),
        of(2_502, "d1", Some("d2")),
        of(2_503, "k1:x", Some("d2")),
        of(2_504, "bob", Some("ada")),
    ];
    stage.append(ours.chain(others)).await;
    stage.drain(SOON).await;
    let text = |text: &str| vec![text.to_owned()];
    let subjects = Subjects { actors: text("ada"), devices: text("d1"), hashes: text("k1:x") };
    let erasure = Erasure::begin(database.pool(), subjects).await.unwrap();
    let sink = Sink::new(stage.options.clone()).unwrap();
    assert_eq!(sink.erase(erasure.subjects(), |_| {}).await.unwrap(), 2_503);
    assert_eq!(stage.ids().await, [id(2_502), id(2_504)]);
    assert_eq!(sink.erase(erasure.subjects(), |_| {}).await.unwrap(), 0);
    // Nor do they come back.
    let resent = resend(&stage, &database, ALL).await.unwrap();
    assert_eq!((resent.filtered, resent.stored, resent.already_there), (2_503, 0, 2));
}
