//! `tidings migrate`.

use anyhow::Result;

use crate::{connection::Place, context::Context, schema};

/// Brings the schema of the database up to date.
pub(crate) async fn run(context: &Context) -> Result<()> {
    let place = Place::find(&context.global)?;
    let pool = place.pool(2, false).await?;
    let migrated = schema::migrate(&pool, &context.output).await?;
    pool.close().await;
    let (version, shown) = (migrated.version, place.shown());
    let said = match migrated.applied.len() {
        0 => format!("the schema at {shown} was up to date already, at version {version}"),
        1 => format!("1 migration applied; the schema at {shown} is at version {version} now"),
        count => {
            format!("{count} migrations applied; the schema at {shown} is at version {version} now")
        }
    };
    context.output.done(&migrated, &said)
}
