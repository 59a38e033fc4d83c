//! The public keys by which receivers verify, as a document that they can fetch.

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::SYSTEM_LANE;
use crate::{
    Result,
    secret::PublicKey,
    store::{secret as store, subscriber},
};

/// Whose keys are published.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyOwner {
    /// Those of the installation, which sign for every subscriber without a key pair of its own.
    Installation,
    /// Those that sign for the subscriber with this id.
    Subscriber(i32),
}

/// Returns the public keys of `owner` as a JSON Web Key Set (RFC 7517), newest first; `None` if there is no such
/// subscriber.
///
/// Old keys are in it until they stop signing, and new ones from the commit of their rotation on.
/// Each has its fingerprint as `kid`.
///
/// # Errors
///
/// A database that does not answer.
pub async fn jwks(conn: &mut PgConnection, owner: KeyOwner) -> Result<Option<Value>> {
    let keys = match owner {
        KeyOwner::Installation => store::public_keys(conn, SYSTEM_LANE).await?,
        KeyOwner::Subscriber(id) => {
            if id == SYSTEM_LANE || subscriber::tenant(conn, id).await?.is_none() {
                return Ok(None);
            }
            let own = store::public_keys(conn, id).await?;
            if own.is_empty() { store::public_keys(conn, SYSTEM_LANE).await? } else { own }
        }
    };
    let keys: Vec<Value> = keys.iter().map(PublicKey::to_jwk).collect();
    Ok(Some(json!({ "keys": keys })))
}
