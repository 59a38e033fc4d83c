//! After the summary, if everything stays up: where it is, and what still happens.

use std::time::Duration;

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use super::{paint::Paint, print, receipts::Receipt, stage::Stage};

/// How often the receivers are looked at; fast enough for a person.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Returns what a person may do now.
pub(crate) fn invitation(stage: &Stage, paint: Paint) -> String {
    let (shop, database) = (&stage.shop_url, stage.database_url());
    let title = paint.bold("Everything is still up; Ctrl-C ends it");
    let tidings = stage.recorder.program.display();
    let files = stage.pipeline.folder.display();
    format!(
        r#"
{title}

  Click around in the shop, and see below what it reports and sells:
    {shop}/

  Or place an order:
    curl {shop}/orders -H 'content-type: application/json' \
      -d '{{"customer": "You", "lines": [{{"product_id": 1, "quantity": 2}}]}}'

  Look inside, from another terminal:
    export DATABASE_URL='{database}'
    {tidings} subscriber list
    {tidings} event list
    {tidings} event show ID
    {tidings} delivery list
    psql "$DATABASE_URL"

  And at telemetry, also what you click:
    {tidings} telemetry search tea --limit 5
    {tidings} telemetry account
    {tidings} telemetry failed list
    zcat {files}/dt=*/*/*/*.gz | tail -1

"#
    )
}

/// Tells what arrives, until `shutdown` is cancelled.
pub(crate) async fn narrate(stage: &Stage, shutdown: &CancellationToken) -> Result<()> {
    let count =
        || stage.subscribers.iter().map(|subscriber| subscriber.receiver.receipts().count());
    let mut told: Vec<_> = count().collect();
    let mut recorded = stage.recorder.after(0).len();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
        let fresh = stage.recorder.after(recorded);
        recorded += fresh.len();
        for line in fresh {
            print(&format!("  {line}\n"))?;
        }
        for (subscriber, told) in stage.subscribers.iter().zip(&mut told) {
            let receiver = &subscriber.receiver;
            let fresh = receiver.receipts().after(*told).to_vec();
            for receipt in &fresh {
                print(&line(receiver.name(), receipt))?;
            }
            *told += fresh.len();
        }
    }
    Ok(())
}

fn line(subscriber: &str, receipt: &Receipt) -> String {
    let Receipt { event_id, event_type, order_id, revision, .. } = receipt;
    format!(
        "  {subscriber:<12}{event_type:<22}order {order_id} revision {revision}, event {event_id}\n"
    )
}
