//! `tidings subscriber update`.

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tidings::subscriber::{self, Update};
use tidings_worker::webhook::KIND;

use super::{add::check_ladder, find};
use crate::{
    arguments::subscriber::update::{Changes, Setting, Update as Arguments},
    context::Context,
};

/// What a change came to.
#[derive(Debug, Serialize)]
struct Updated {
    subscriber_id: i32,
    name: String,
    change: &'static str,
    version: i32,
}

/// Changes a subscriber, after what is new about it has been checked.
pub(super) async fn run(context: &Context, arguments: &Arguments) -> Result<()> {
    let named = &arguments.subscriber;
    let doing = || format!("change the subscriber `{}`", named.name);
    let update = update(arguments);
    check_ladder(update.retry.as_ref().and_then(Option::as_ref)).with_context(doing)?;
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let found = find(&mut tx, &named.tenant.tenant, &named.name).await?.summary;
    // A stranger's name server is not waited for with rows locked.
    tx.rollback().await.with_context(doing)?;
    let url = update.config.as_ref().and_then(|config| config.get("url"));
    if let Some(url) = url.filter(|_| found.kind == KIND) {
        context.webhook(None)?.check(&json!({ "url": url })).await.with_context(doing)?;
    }
    let mut tx = database.begin().await?;
    let policy = context.global.policy();
    let id = found.subscriber_id;
    let version = subscriber::update(&mut tx, &policy, id, &update).await.with_context(doing)?;
    tidings::commit(tx).await?;
    database.close().await?;
    let name = update.name.unwrap_or(found.name);
    let said = format!(
        "subscriber {name} (id {id}) updated; it has version {version}, and its worker goes by it within a second or so"
    );
    context.output.done(&Updated { subscriber_id: id, name, change: "updated", version }, &said)
}

fn update(arguments: &Arguments) -> Update {
    let Changes { rename, in_flight, rate, retry, .. } = &arguments.changes;
    Update {
        name: rename.clone(),
        config: patch(&arguments.changes),
        in_flight_max: in_flight.map(Setting::value),
        rate_per_s: rate.map(Setting::value),
        retry: retry.clone().map(Setting::value),
        if_version: arguments.if_version,
    }
}

/// Returns the changes of the configuration as a merge patch; `None` if there are none.
fn patch(changes: &Changes) -> Option<Value> {
    if changes.config.is_some() {
        return changes.config.clone();
    }
    let mut patch = Map::new();
    if let Some(url) = &changes.url {
        patch.insert("url".to_owned(), json!(url));
    }
    if let Some(timeout) = changes.timeout {
        let timeout_ms =
            timeout.value().and_then(|timeout| u64::try_from(timeout.as_millis()).ok());
        patch.insert("timeout_ms".to_owned(), json!(timeout_ms));
    }
    let set = changes.headers.iter().map(|(name, value)| (name.clone(), json!(value)));
    let removed = changes.removed_headers.iter().map(|name| (name.clone(), Value::Null));
    let headers: Map<_, _> = removed.chain(set).collect();
    if !headers.is_empty() {
        patch.insert("headers".to_owned(), Value::Object(headers));
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}
