//! `tidings telemetry search`.

use anyhow::Result;
use chrono::{DateTime, Utc};
use tidings_pipeline::sink::table::{self, Found, Query};

use crate::{
    arguments::telemetry::Search,
    connection::{Place, now},
    context::Context,
    output::table::{Cell, Column, Table},
};

/// Shows the events of the table that fit, the latest first.
pub(super) async fn run(context: &Context, arguments: &Search) -> Result<()> {
    let place = Place::find(&context.global)?;
    let mut database = place.open().await?;
    let mut tx = database.begin().await?;
    let now = now(&mut tx).await?;
    tx.rollback().await?;
    database.close().await?;
    let Search { text, eid, mid, device, channel, since, limit } = arguments.clone();
    let since = since.map(|since| since.at(now));
    let text = text.join(" ");
    let query = Query { text, eid, mid, device, channel, since, after: None, limit };
    let pool = place.pool(1, true).await?;
    let found = table::search(&pool, &query).await?;
    pool.close().await;
    context.output.list(&found, || rows(&found, now))
}

fn rows(found: &[Found], now: DateTime<Utc>) -> Table {
    let columns = [
        Column::new("HAPPENED"),
        Column::new("EID"),
        Column::new("CHANNEL"),
        Column::flexible("DEVICE"),
        Column::flexible("MID"),
        Column::flexible("PRODUCER"),
    ];
    let mut table = Table::new(&columns, "no events");
    for one in found {
        let cell = |text: &Option<String>| Cell::new(text.clone().unwrap_or_default());
        table.row([
            Cell::when(one.ets, now),
            cell(&one.eid),
            cell(&one.channel),
            cell(&one.device),
            cell(&one.mid),
            cell(&one.pdata_id),
        ]);
    }
    table
}
