//! `POST /api/telemetry/import`: the body is the archive as it is.

use std::sync::Arc;

use axum::{http::StatusCode, response::Response};
use bytes::Bytes;
use futures_util::future::try_join_all;
use serde_json::json;
use tidings_pipeline::archive::{Archive, Importer, Limits, Problem, Report, Status};

use super::{
    Destination,
    group::{Group, gathered},
};
use crate::{
    body, channel::ANONYMOUS, door::Visit, incoming::Incoming, refusal::Refusal, telemetry_batch,
};

/// How many bytes an item takes in the report, and in the answer that is made of it.
const ENTRY_BYTES: usize = 1024;

/// Takes an archive.
///
/// Groups of items are committed one after the other: who is told to come again sends the same, and adds nothing twice.
pub(crate) async fn take(visit: &mut Visit, body: Incoming) -> Result<Response, Refusal> {
    // Before the body, which is large.
    let channel = visit.channel(None).await?;
    let body = body::read_archive(&visit.headers, body, &visit.state.limits, &visit.room).await?;
    let destination = Destination {
        channel_id: channel.id,
        importer: Importer {
            channel: channel.name.clone(),
            profile: channel.profile.clone(),
            name: visit.key_hint().unwrap_or_else(|| ANONYMOUS.to_owned()),
        },
        syncts: visit.state.watcher.now().timestamp_millis(),
        level: visit.level(),
    };
    // Its directory and the copy that a database is read from are as large as it is at most.
    visit.room.grow(body.len())?;
    let mut archive = open(body, &visit.state.limits).await?;
    visit.room.grow(archive.items().saturating_mul(ENTRY_BYTES))?;
    let mut report = Report::new(&archive);
    let mut is_first = true;
    loop {
        let (back, group) = gathered(archive, &destination).await.ok_or_else(broken)?;
        archive = back;
        if group.is_empty() {
            break;
        }
        // An archive is one request: it passes with its first items, and the others are paid for afterwards.
        if std::mem::take(&mut is_first) {
            visit.charge(&channel, group.events())?;
        } else {
            visit.owe(&channel, group.events());
        }
        write(visit, group, &mut report).await?;
    }
    for (outcome, events) in [
        ("accepted", report.accepted),
        ("repeated", report.repeated),
        ("filtered", report.filtered),
        ("rejected", refused_events(&report)),
    ] {
        visit.state.metrics.events(visit.route.path, outcome, events);
    }
    let result = json!(report);
    Ok(telemetry_batch::accepted(&result, None, visit.state.watcher.now()))
}

/// Opens the archive away from the tasks that wait for the network.
async fn open(body: Bytes, limits: &crate::Limits) -> Result<Archive, Refusal> {
    let limits = Limits {
        archive_bytes_max: limits.archive_bytes_max,
        inflated_bytes_max: limits.archive_inflated_bytes_max,
        batch_bytes_max: limits.body_bytes_max,
        events_max: limits.telemetry_events_max,
        ratio_max: limits.inflate_ratio_max,
    };
    let opening = tokio::task::spawn_blocking(move || Archive::open(body, limits));
    opening.await.map_err(|_| broken())?.map_err(refuse)
}

async fn write(visit: &Visit, mut group: Group, report: &mut Report) -> Result<(), Refusal> {
    let room = Arc::new(visit.room.part());
    room.grow(group.bytes())?;
    let records = group.take_records().into_iter();
    let written = records.map(|record| visit.state.raw_log.write(record, &room));
    let fresh = try_join_all(written).await?;
    group.finish(fresh.into_iter(), report);
    Ok(())
}

/// Says why an archive is refused as a whole.
fn refuse(problem: Problem) -> Refusal {
    let status = match problem.code {
        "archive_too_large" | "too_many_files" | "too_many_items" => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    Refusal::new(status, problem.code, problem.message)
}

/// An archive that the reader was not prepared for.
fn broken() -> Refusal {
    Refusal::malformed("broken_archive", "the archive cannot be read; share it again")
}

/// Returns how many events are in items that are refused, as far as they could be counted.
fn refused_events(report: &Report) -> usize {
    let refused = report.items.iter().filter(|entry| entry.status == Status::Refused);
    refused.map(|entry| entry.events).sum()
}
