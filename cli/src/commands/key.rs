//! `tidings key` and `tidings channel`: who may send to a relay.

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::Serialize;
use tidings_relay::{
    channel::{self, Channel, Settings},
    key::{self, Key},
};

use crate::{
    arguments::relay::{ChannelCommand, KeyCommand, SetChannel},
    connection::now,
    context::{Context, random},
    output::{
        sheet::Sheet,
        table::{Cell, Column, Table},
    },
};

/// A key that was made.
#[derive(Serialize)]
struct Added {
    key_id: i32,
    channel: String,
    key: String,
}

/// What was changed.
#[derive(Debug, Serialize)]
struct Done<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    change: &'static str,
}

/// Does what `command` says about keys.
pub(crate) async fn run(context: &Context, command: &KeyCommand) -> Result<()> {
    match command {
        KeyCommand::Add { channel } => add(context, channel).await,
        KeyCommand::List => list(context).await,
        KeyCommand::Revoke { id } => revoke(context, *id).await,
    }
}

/// Does what `command` says about channels.
pub(crate) async fn channel(context: &Context, command: &ChannelCommand) -> Result<()> {
    match command {
        ChannelCommand::Set(set) => self::set(context, set).await,
        ChannelCommand::List => channels(context).await,
    }
}

async fn add(context: &Context, channel: &str) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let added = key::add(&mut tx, &mut random(), channel).await.context("make a key")?;
    tidings::commit(tx).await?;
    database.close().await?;
    let added =
        Added { key_id: added.key_id, channel: channel.to_owned(), key: added.text.to_string() };
    context.output.show(&added, || {
        Sheet::new()
            .heading(format!("key {} of channel {channel} made", added.key_id))
            .field("key", &added.key)
            .field("", "it is not shown again; relays take it within seconds")
    })
}

async fn revoke(context: &Context, key_id: i32) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    key::revoke(&mut tx, key_id).await.context("revoke the key")?;
    tidings::commit(tx).await?;
    database.close().await?;
    let done = Done { key_id: Some(key_id), channel: None, change: "revoked" };
    context.output.done(&done, &format!("key {key_id} revoked; relays refuse it within seconds"))
}

async fn set(context: &Context, set: &SetChannel) -> Result<()> {
    let settings = Settings { profile: set.profile, events_per_minute: set.quota };
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    channel::set(&mut tx, &set.name, settings).await.context("set the channel")?;
    tidings::commit(tx).await?;
    database.close().await?;
    let done = Done { key_id: None, channel: Some(&set.name), change: "set" };
    context.output.done(&done, &format!("channel {} set; relays follow within seconds", set.name))
}

async fn list(context: &Context) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let (keys, now) = (key::list(&mut tx).await?, now(&mut tx).await?);
    tx.rollback().await?;
    database.close().await?;
    context.output.list(&keys, || keys_table(&keys, now))
}

async fn channels(context: &Context) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let (channels, now) = (channel::list(&mut tx).await?, now(&mut tx).await?);
    tx.rollback().await?;
    database.close().await?;
    context.output.list(&channels, || channels_table(&channels, now))
}

fn keys_table(keys: &[Key], now: DateTime<Utc>) -> Table {
    let columns = [
        Column::number("ID"),
        Column::new("CHANNEL"),
        Column::new("BEGINS"),
        Column::new("ADDED"),
        Column::new("REVOKED"),
    ];
    let mut table =
        Table::new(&columns, "there are no keys; make one with `tidings key add CHANNEL`");
    for key in keys {
        table.row([
            Cell::new(key.key_id.to_string()),
            Cell::new(&key.channel),
            Cell::new(&key.hint),
            Cell::when(key.created_at, now),
            key.revoked_at.map_or_else(|| Cell::new(""), |at| Cell::when(at, now)),
        ]);
    }
    table
}

fn channels_table(channels: &[Channel], now: DateTime<Utc>) -> Table {
    let columns = [
        Column::new("CHANNEL"),
        Column::new("PROFILE"),
        Column::number("PER MINUTE"),
        Column::number("KEYS"),
        Column::new("ADDED"),
    ];
    let mut table = Table::new(&columns, "there are no channels");
    for channel in channels {
        table.row([
            Cell::new(&channel.name),
            Cell::new(&channel.profile),
            Cell::maybe(channel.events_per_minute),
            Cell::new(channel.keys.to_string()),
            Cell::when(channel.created_at, now),
        ]);
    }
    table
}
