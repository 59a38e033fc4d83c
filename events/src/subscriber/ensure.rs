//! A subscriber that is there because a configuration says so.

use rand::CryptoRng;
use sqlx::PgTransaction;

use super::{NewSubscriber, Update, add, find, open, set_credentials, update};
use crate::{
    Error, Result,
    endpoint::Policy,
    secret::{Credentials, Keyring},
};

/// What [`ensure`] has done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ensured {
    /// The subscriber was not there, and is now; a secret that was made for it is not shown.
    Added(i32),
    /// Its configuration or credentials were others.
    Changed(i32),
    /// It was as it is to be.
    Unchanged(i32),
}

impl Ensured {
    /// Returns the id of the subscriber.
    #[must_use]
    pub const fn subscriber_id(self) -> i32 {
        match self {
            Self::Added(id) | Self::Changed(id) | Self::Unchanged(id) => id,
        }
    }
}

/// Sees to it that a subscriber is there, in the caller's transaction: for programs whose configuration says that there
/// is one, each time that they start.
///
/// One that is not there is added, and gets no events until it has a subscription.
/// Of one that is there, the members of [`NewSubscriber::config`] and the credentials become those of `new`; everything
/// else stays as people have made it.
/// Several programs may do this at a time.
///
/// # Errors
///
/// Those of [`add`](super::add()) and [`update`](super::update()); a subscriber of that name of another kind or view is
/// [`Error::SubscriberExists`].
/// The transaction stays usable, unless the database does not answer.
pub async fn ensure<R: CryptoRng + ?Sized>(
    tx: &mut PgTransaction<'_>,
    keyring: Option<&Keyring>,
    rng: &mut R,
    policy: &Policy,
    new: NewSubscriber,
) -> Result<Ensured> {
    if let Some(found) = find(tx, &new.tenant, &new.name).await? {
        return keep(tx, (keyring, rng), policy, found.summary.subscriber_id, new).await;
    }
    match add(tx, keyring, rng, policy, new.clone()).await {
        Ok(added) => Ok(Ensured::Added(added.subscriber_id)),
        // Somebody else has added it since we looked.
        Err(Error::SubscriberExists { name }) => match find(tx, &new.tenant, &name).await? {
            Some(found) => keep(tx, (keyring, rng), policy, found.summary.subscriber_id, new).await,
            None => Err(Error::SubscriberExists { name }),
        },
        Err(error) => Err(error),
    }
}

/// Makes a subscriber that is there what it is to be.
async fn keep<R: CryptoRng + ?Sized>(
    tx: &mut PgTransaction<'_>,
    (keyring, rng): (Option<&Keyring>, &mut R),
    policy: &Policy,
    id: i32,
    new: NewSubscriber,
) -> Result<Ensured> {
    let missing = || Error::NoSuchSubscriber { subscriber_id: id };
    let (stored, version) = crate::store::subscriber::lock(tx, id).await?.ok_or_else(missing)?;
    if (&stored.kind, stored.view) != (&new.kind, new.view) {
        return Err(Error::SubscriberExists { name: new.name });
    }
    let mut changed = false;
    let members = new.config.as_object().into_iter().flatten();
    if members.clone().any(|(name, value)| stored.config.get(name) != Some(value)) {
        let config = Some(new.config.clone());
        let change = Update { config, if_version: Some(version), ..Update::default() };
        update(tx, policy, id, &change).await?;
        changed = true;
    }
    if let Some(credentials) = &new.credentials {
        let opened = open(tx, keyring, id).await?.and_then(|subscriber| subscriber.credentials);
        if opened.as_ref().map(Credentials::as_header) != Some(credentials.as_header()) {
            set_credentials(tx, keyring, rng, id, Some(credentials)).await?;
            changed = true;
        }
    }
    Ok(if changed { Ensured::Changed(id) } else { Ensured::Unchanged(id) })
}
