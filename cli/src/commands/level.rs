//! `tidings level`.

use anyhow::Result;
use serde::Serialize;
use tidings::{Level, privacy};

use crate::{arguments::sink::SetLevel, context::Context};

/// The level, and the one before it.
#[derive(Debug, Serialize)]
struct InForce {
    level: Level,
    #[serde(skip_serializing_if = "Option::is_none")]
    was: Option<Level>,
}

/// Shows what is collected, or changes it.
pub(crate) async fn run(context: &Context, set: &SetLevel) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let in_force = match set.level {
        None => InForce { level: privacy::level(&mut tx).await?, was: None },
        Some(level) => InForce { level, was: Some(privacy::set_level(&mut tx, level).await?) },
    };
    tidings::commit(tx).await?;
    database.close().await?;
    let said = match in_force {
        InForce { level, was: None } => format!("the level is {level}: {}", meaning(level)),
        InForce { level, was: Some(was) } if level == was => {
            format!("the level was {level} already")
        }
        InForce { level, was: Some(was) } => {
            format!("the level is {level} now, and was {was}: {}", meaning(level))
        }
    };
    context.output.done(&in_force, &said)
}

const fn meaning(level: Level) -> &'static str {
    match level {
        Level::Off => "nothing is collected, and what waits is not sent",
        Level::Security => "only what keeps installations safe is collected",
        Level::Basic => "what is used at all is collected",
        Level::Enhanced => "how it is used is collected as well",
        Level::Full => "everything that is anonymous is collected",
    }
}
