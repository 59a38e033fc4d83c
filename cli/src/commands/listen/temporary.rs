//! A subscriber for as long as we listen.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tidings::{
    address::AllowList,
    endpoint::Policy,
    log::{self, DeliveryFilter},
    pattern::Pattern,
    subscriber::{self, NewSubscriber},
    subscription::{self, Wanted},
};

use crate::{
    context::{Context, random},
    exit::Exit,
    failure::Coded,
};

/// The subscriber.
#[derive(Debug)]
pub(super) struct Temporary {
    subscriber_id: i32,
    /// Its name.
    pub(super) name: String,
    /// What signs for it, as a receiver takes it.
    pub(super) secret: String,
}

impl Temporary {
    /// Adds a subscriber that is called here.
    pub(super) async fn add(
        context: &Context,
        patterns: &[String],
        address: SocketAddr,
    ) -> Result<Self> {
        let name = format!("listen-{}-{}", std::process::id(), address.port());
        let doing = || format!("add the temporary subscriber `{name}`");
        let patterns: Result<Vec<_>, _> =
            patterns.iter().map(|text| Pattern::parse(text)).collect();
        let patterns = patterns.with_context(doing)?;
        let keys = context.keys()?;
        // It goes to this machine alone; whether the workers let it is theirs to say.
        let policy = Policy { https_only: true, allow: AllowList::loopback() };
        let new = NewSubscriber::webhook(&name, format!("http://{address}/"));
        let mut database = context.open().await?;
        let mut tx = database.begin().await?;
        let keyring = keys.as_ref().map(|keys| &keys.keyring);
        let added = subscriber::add(&mut tx, keyring, &mut random(), &policy, new)
            .await
            .with_context(doing)?;
        let subscriber_id = added.subscriber_id;
        for pattern in patterns {
            subscription::add(&mut tx, subscriber_id, &Wanted::new(pattern))
                .await
                .with_context(doing)?;
        }
        tidings::commit(tx).await?;
        database.close().await?;
        let secret = added.secret.map(|secret| secret.to_string()).unwrap_or_default();
        Ok(Self { subscriber_id, name, secret })
    }

    /// Says whether deliveries have failed before they came here.
    pub(super) async fn is_refused(&self, context: &Context) -> Result<bool> {
        let filter =
            DeliveryFilter { subscriber_id: Some(self.subscriber_id), ..DeliveryFilter::default() };
        let mut database = context.open().await?;
        let mut tx = database.begin().await?;
        let pending = log::deliveries(&mut tx, &filter).await?;
        tx.rollback().await.context("look at the deliveries")?;
        database.close().await?;
        Ok(pending.iter().any(|pending| pending.attempts > 0))
    }

    /// Removes it, with what is still to be delivered.
    pub(super) async fn remove(&self, context: &Context) -> Result<()> {
        let remove = async {
            let mut database = context.open().await?;
            let mut tx = database.begin().await?;
            subscriber::remove(&mut tx, self.subscriber_id).await?;
            tidings::commit(tx).await?;
            database.close().await
        };
        remove.await.map_err(|error: anyhow::Error| {
            let Self { name, .. } = self;
            Coded::new(Exit::Database, format!("remove the temporary subscriber `{name}`"))
                .hint(format!("remove it by hand: `tidings subscriber remove {name}`"))
                .because(error)
                .into()
        })
    }
}
