//! The credentials that a receiver asks for, stored sealed and never shown again.

use rand::CryptoRng;
use sqlx::PgTransaction;

use super::{SYSTEM_LANE, WEBHOOK, key::NewSecret};
use crate::{
    Error, Result,
    endpoint::Config,
    secret::{Credentials, CredentialsError, Keyring},
    store::secret as store,
};

/// Stores the credentials that a subscriber asks for in place of those it had, or removes them.
///
/// The owner of the lane sends them within a second or so of the commit.
///
/// # Errors
///
/// There is no such subscriber, its configuration has a header `authorization`, or there is no key to seal them with;
/// the transaction stays usable.
/// A database that does not answer; the transaction is lost.
pub async fn set_credentials<R: CryptoRng + ?Sized>(
    tx: &mut PgTransaction<'_>,
    keyring: Option<&Keyring>,
    rng: &mut R,
    id: i32,
    credentials: Option<&Credentials>,
) -> Result<()> {
    let holder = if id == SYSTEM_LANE { None } else { store::lock(tx, id).await? };
    let Some(holder) = holder else {
        return Err(Error::NoSuchSubscriber { subscriber_id: id });
    };
    let Some(credentials) = credentials else {
        return store::remove_credentials(tx, id).await;
    };
    if holder.kind == WEBHOOK {
        check_credentials(&Config::read(&holder.config)?)?;
    }
    let Some(keyring) = keyring else {
        return Err(Error::NoSealingKey { name: holder.name });
    };
    store::remove_credentials(tx, id).await?;
    NewSecret::from(credentials).store(tx, keyring, rng, id).await?;
    Ok(())
}

/// Checks that credentials can be sent beside the headers of `config`.
pub(super) fn check_credentials(config: &Config) -> Result<()> {
    if config.has_authorization() { Err(CredentialsError::Twice.into()) } else { Ok(()) }
}
