//! What every command works with.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use rand::rngs::StdRng;
use tidings::secret::{KeyId, Keyring};
use tidings_worker::{
    Webhook,
    webhook::{Builder, Settings},
};

use crate::{
    arguments::{global::Global, serve::Serve},
    connection::{Database, Place},
    environment, keys,
    output::Output,
    telemetry,
};

/// The variable that holds keys in place of a file.
const KEY: &str = "TIDINGS_KEY";

/// What every command works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// The global options.
    pub(crate) global: Global,
    /// Where results go.
    pub(crate) output: Output,
}

/// Keys, and where they are from.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// The keys.
    pub(crate) keyring: Keyring,
    /// `TIDINGS_KEY`, or the path of the key file.
    pub(crate) source: String,
}

impl Keys {
    /// Returns the id of the key that seals.
    pub(crate) fn id(&self) -> KeyId {
        self.keyring.current()
    }
}

impl Context {
    /// Opens the database of the command.
    pub(crate) async fn open(&self) -> Result<Database> {
        Place::find(&self.global)?.open().await
    }

    /// Returns the keys that are given, or those in the data folder; `None` if there are none.
    ///
    /// # Errors
    ///
    /// What was given cannot be read.
    pub(crate) fn keys(&self) -> Result<Option<Keys>> {
        if let Some(keys) = keys_in_environment()? {
            return Ok(Some(keys));
        }
        let path = self.key_file();
        if self.global.key_file.is_none() && !path.exists() {
            return Ok(None);
        }
        warn_of_open_file(&path);
        Ok(Some(Keys { keyring: keys::load(&path)?, source: path.display().to_string() }))
    }

    /// Returns the keys that are given; makes a key file where there are none.
    ///
    /// # Errors
    ///
    /// What was given cannot be read, or the file cannot be made.
    pub(crate) fn keys_or_make(&self) -> Result<Keys> {
        if let Some(keys) = keys_in_environment()? {
            return Ok(keys);
        }
        let path = self.key_file();
        let (keyring, made) = keys::load_or_make(&path)?;
        if made {
            telemetry::key_made(&path);
        }
        warn_of_open_file(&path);
        Ok(Keys { keyring, source: path.display().to_string() })
    }

    /// Returns the webhook deliverer, under the operator's rules.
    pub(crate) fn webhook(&self, serve: Option<&Serve>) -> Result<Webhook> {
        let mut settings = Settings { policy: self.global.policy(), ..Settings::default() };
        if let Some(serve) = serve {
            settings.timeout = serve.webhook_timeout;
            settings.connect_timeout = serve.webhook_connect_timeout;
        }
        let builder: Builder = Webhook::builder();
        builder.settings(settings).build().context("prepare to call webhooks")
    }

    fn key_file(&self) -> PathBuf {
        self.global.key_file.clone().unwrap_or_else(|| keys::file_in(&self.global.data))
    }
}

/// Returns a generator for secrets and nonces, seeded by the operating system.
pub(crate) fn random() -> StdRng {
    rand::make_rng()
}

fn keys_in_environment() -> Result<Option<Keys>> {
    let Some(text) = environment::variable(KEY) else { return Ok(None) };
    let text = text.into_string().ok().with_context(|| format!("read {KEY}: it is not UTF-8"))?;
    let keyring = Keyring::parse(&text).with_context(|| format!("read {KEY}"))?;
    Ok(Some(Keys { keyring, source: KEY.to_owned() }))
}

fn warn_of_open_file(path: &std::path::Path) {
    if keys::is_open_to_others(path) {
        telemetry::key_open_to_others(path);
    }
}
