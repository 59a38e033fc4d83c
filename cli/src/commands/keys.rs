//! `tidings subscriber rotate` and `jwks`, and the same for the installation, `tidings keys`.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tidings::{
    secret::Credentials,
    subscriber::{self, KeyOwner, NewKey, Rotated, Rotation},
};

use super::subscriber::{find, secret, secret_text};
use crate::{
    arguments::subscriber::{
        Named,
        rotate::{Given, KeysCommand, Rotate, SetCredentials},
    },
    context::{Context, random},
    duration,
    exit::Exit,
    failure::Coded,
    output::sheet::Sheet,
};

/// What a rotation came to.
#[derive(Debug, Serialize)]
struct Done {
    /// `None` for the installation.
    subscriber_id: Option<i32>,
    name: Option<String>,
    overlap_s: u64,
    #[serde(flatten)]
    rotated: Rotated,
}

/// What became of credentials.
#[derive(Debug, Serialize)]
struct CredentialsSet {
    subscriber_id: i32,
    name: String,
    change: &'static str,
}

/// Sets what a subscriber asks for.
pub(crate) async fn credentials(context: &Context, arguments: &SetCredentials) -> Result<()> {
    let named = &arguments.subscriber;
    let doing = || format!("set the credentials of `{}`", named.name);
    let given = read(&arguments.given).with_context(doing)?;
    let keys = context.keys()?;
    let keyring = keys.as_ref().map(|keys| &keys.keyring);
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let found = find(&mut tx, &named.tenant.tenant, &named.name).await?.summary;
    let (subscriber_id, name) = (found.subscriber_id, found.name);
    let rng = &mut random();
    let set = subscriber::set_credentials(&mut tx, keyring, rng, subscriber_id, given.as_ref());
    set.await.with_context(doing)?;
    tidings::commit(tx).await?;
    database.close().await?;
    let change = if given.is_some() { "set" } else { "removed" };
    let said = match change {
        "set" => {
            format!("credentials of {name} (id {subscriber_id}) set; they are sent from now on")
        }
        _ => format!("credentials of {name} (id {subscriber_id}) removed"),
    };
    context.output.done(&CredentialsSet { subscriber_id, name, change }, &said)
}

fn read(given: &Given) -> Result<Option<Credentials>> {
    if let Some(token) = &given.bearer {
        return Ok(Some(Credentials::bearer(secret_text(token)?.trim())?));
    }
    let Some(pair) = &given.basic else { return Ok(None) };
    let pair = secret_text(pair)?;
    // Not the end of a password, which may be anything.
    let pair = pair.trim_end_matches(['\r', '\n']);
    let (name, password) = pair.split_once(':').ok_or_else(|| {
        Coded::new(Exit::Refused, "there is no colon between the name and the password")
    })?;
    Ok(Some(Credentials::basic(name, password)?))
}

/// Does what `command` says, for the installation.
pub(crate) async fn run(context: &Context, command: &KeysCommand) -> Result<()> {
    match command {
        KeysCommand::Rotate(overlap) => rotate_installation(context, overlap.overlap).await,
        KeysCommand::Jwks => jwks(context, None).await,
    }
}

/// Gives a subscriber a new secret or key pair.
pub(crate) async fn rotate(context: &Context, arguments: &Rotate) -> Result<()> {
    let named = &arguments.subscriber;
    let doing = || format!("rotate the keys of `{}`", named.name);
    let given = arguments.secret.as_deref().map(secret).transpose().with_context(doing)?;
    let new = if arguments.key_pair { NewKey::KeyPair(None) } else { NewKey::Secret(given) };
    let overlap = arguments.overlap.overlap;
    let keys = context.keys()?;
    let keyring = keys.as_ref().map(|keys| &keys.keyring);
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let found = find(&mut tx, &named.tenant.tenant, &named.name).await?.summary;
    let (id, name) = (found.subscriber_id, found.name);
    let rotation = Rotation { new, overlap };
    let rng = &mut random();
    let rotated = subscriber::rotate(&mut tx, keyring, rng, id, rotation).await;
    let rotated = rotated.with_context(doing)?;
    tidings::commit(tx).await?;
    database.close().await?;
    let overlap_s = overlap.as_secs();
    let done = Done { subscriber_id: Some(id), name: Some(name), overlap_s, rotated };
    context.output.show(&done, || done.sheet(overlap))
}

async fn rotate_installation(context: &Context, overlap: Duration) -> Result<()> {
    let doing = "rotate the key pair of the installation";
    let keys = context.keys()?;
    let keyring = keys.as_ref().map(|keys| &keys.keyring);
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let rng = &mut random();
    let rotated = subscriber::rotate_installation(&mut tx, keyring, rng, None, overlap).await;
    let rotated = rotated.context(doing)?;
    tidings::commit(tx).await?;
    database.close().await?;
    let overlap_s = overlap.as_secs();
    let done = Done { subscriber_id: None, name: None, overlap_s, rotated };
    context.output.show(&done, || done.sheet(overlap))
}

/// Prints the public keys of a subscriber, or of the installation.
pub(crate) async fn jwks(context: &Context, named: Option<&Named>) -> Result<()> {
    let mut database = context.open().await?;
    let mut tx = database.begin().await?;
    let owner = match named {
        None => KeyOwner::Installation,
        Some(named) => {
            let found = find(&mut tx, &named.tenant.tenant, &named.name).await?.summary;
            KeyOwner::Subscriber(found.subscriber_id)
        }
    };
    let document = subscriber::jwks(&mut tx, owner).await?;
    tx.rollback().await.context("read the public keys")?;
    database.close().await?;
    let document = document.unwrap_or_else(|| serde_json::json!({ "keys": [] }));
    // A document of the Web is the same for people and for programs.
    let text = serde_json::to_string_pretty(&document).context("write the keys as JSON")? + "\n";
    context.output.text(&document, &text)
}

impl Done {
    fn sheet(&self, overlap: Duration) -> Sheet {
        let Rotated { secret, public_key, old_keys, .. } = &self.rotated;
        let whose = match (&self.name, self.subscriber_id) {
            (Some(name), Some(id)) => format!("subscriber {name} (id {id})"),
            _ => "the installation".to_owned(),
        };
        let what = if public_key.is_some() { "key pair" } else { "secret" };
        let old = match old_keys {
            0 => "none signs any more".to_owned(),
            old => format!("{old} go on signing for {} at most", duration::format(overlap)),
        };
        let sheet = Sheet::new().heading(format!("{whose} has a new {what}"));
        let sheet = match secret {
            None => sheet,
            Some(secret) => sheet.field("secret", secret.as_str()).field(
                "",
                "it is not shown again: hand it to the subscriber now, it verifies signatures with it",
            ),
        };
        sheet.maybe("public key", public_key.as_ref()).field("old keys", old)
    }
}
