//! Whether what is stored sealed for a subscriber fits the configuration that it is to have.

use sqlx::PgConnection;

use super::{NewSubscriber, WEBHOOK, credentials::check_credentials};
use crate::{
    Error, Result,
    endpoint::{Config, Profile},
    store::secret as store,
};

/// Checks that the stored keys of the subscriber `id` can sign what `changed` asks for, and that its credentials have
/// their header for themselves.
pub(super) async fn check_stored(
    conn: &mut PgConnection,
    id: i32,
    changed: &NewSubscriber,
) -> Result<()> {
    if changed.kind != WEBHOOK {
        return Ok(());
    }
    let config = Config::read(&changed.config)?;
    let stored = store::which(conn, id, config.profile == Profile::Orchest).await?;
    if stored.credentials {
        check_credentials(&config)?;
    }
    if config.needs_secret() && !stored.secret {
        return Err(Error::NoSecret { name: changed.name.clone() });
    }
    if config.needs_key_pair() && !stored.key_pair {
        return Err(Error::NoKeyPair { name: changed.name.clone() });
    }
    Ok(())
}
