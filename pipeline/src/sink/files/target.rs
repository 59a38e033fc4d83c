//! Where files go: a bucket, a container or a folder, and what may be written there.
//!
//! A file is put under its name only if nothing is there; so the late upload of an owner that has been replaced cannot
//! take the place of a file that is complete.

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::{
    ObjectStore, ObjectStoreExt as _, ObjectStoreScheme, PutMode, PutOptions, PutPayload,
    RetryConfig,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    azure::{AzureConfigKey, MicrosoftAzureBuilder},
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
    local::LocalFileSystem,
    memory::InMemory,
    path::Path,
};
use sha2::{Digest as _, Sha256};
use url::Url;
use uuid::Uuid;

use super::{http::Connector, open::hex};
use crate::{Error, Result, telemetry};

/// How long one request may take: 64 MB at 1 MB/s, and then some.
const REQUEST_MAX: Duration = Duration::from_secs(90);

const UNKNOWN_SCHEME: &str =
    "it begins with none of s3://, gs://, az:// and file:///, or names no bucket";

/// How an upload is tried again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retry {
    /// How often it is tried in all. Beyond it the sink lets go of its partitions and begins again after a pause.
    pub attempts: u32,
    /// What the first pause is at most; each further one is twice as long.
    pub pause: Duration,
    /// What any pause is at most.
    pub pause_max: Duration,
    /// How long one request may take.
    pub request_max: Duration,
}

impl Default for Retry {
    /// 8 attempts within about half a minute, beside what requests themselves take.
    fn default() -> Self {
        let (pause, pause_max) = (Duration::from_millis(200), Duration::from_secs(10));
        Self { attempts: 8, pause, pause_max, request_max: REQUEST_MAX }
    }
}

impl Retry {
    /// Returns the pause before an attempt, which are counted from zero; `random` is any number.
    ///
    /// Up to half of it is left to chance, so that processes that have failed together do not come back together.
    fn pause(&self, attempt: u32, random: u32) -> Duration {
        let longest = self.pause.saturating_mul(1 << attempt.min(16)).min(self.pause_max);
        let part = f64::from(random) / f64::from(u32::MAX);
        longest.mul_f64(0.5 + part / 2.0)
    }
}

/// A place for files.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    name: Arc<str>,
    retry: Retry,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Put {
    /// It is there now.
    Stored,
    /// It was there before, the same.
    AlreadyThere,
}

/// Whether a store can put a file only where nothing is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conditional {
    /// It can, and each event lies in one file.
    Yes,
    /// It cannot: an owner that has been replaced may write over a file that is complete. At least once.
    No,
}

impl Store {
    /// Opens the store of a URL: `s3://bucket/folder`, `gs://bucket/folder`, `az://container/folder`,
    /// `file:///folder`, or `memory:///` for trying things out.
    ///
    /// `options` are those of the crate `object_store`: `aws_endpoint`, `aws_region`, `aws_access_key_id`,
    /// `aws_secret_access_key`, `aws_virtual_hosted_style_request`, `google_service_account_key`,
    /// `azure_storage_account_name` and so on; `allow_http` for an endpoint without TLS. Nothing is read from the
    /// environment, and nothing is asked of the store yet.
    ///
    /// # Errors
    ///
    /// The URL is none of these, or an option is not known or not possible; the message names it and no value.
    pub fn open(url: &str, options: &[(String, String)], retry: Retry) -> Result<Self> {
        let bad = |reason: String| Error::BadStore { url: without_secrets(url), reason };
        let parsed = Url::parse(url).map_err(|error| bad(error.to_string()))?;
        // What the library says of a URL has all of it.
        let (scheme, path) =
            ObjectStoreScheme::parse(&parsed).map_err(|_| bad(UNKNOWN_SCHEME.to_owned()))?;
        let objects = build(&scheme, &parsed, options, retry).map_err(bad)?;
        // A folder is the root of its file system; elsewhere the path is a prefix of names.
        let prefix = if scheme == ObjectStoreScheme::Local { Path::default() } else { path };
        Ok(Self { objects, prefix, name: without_secrets(url).into(), retry })
    }

    /// Returns a store of somebody else's making, such as one for tests.
    #[must_use]
    pub fn of(objects: Arc<dyn ObjectStore>, prefix: Path, retry: Retry) -> Self {
        let name = objects.to_string().into();
        Self { objects, prefix, name, retry }
    }

    /// Returns its name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Finds out whether the store can put a file only where nothing is: some ignore that they are asked to.
    ///
    /// Writes a file `probe-…` of a few bytes, and deletes it.
    ///
    /// # Errors
    ///
    /// The store does not answer, or does not let us write.
    pub async fn probe(&self) -> Result<Conditional> {
        let path = self.path(&format!("probe-{}", Uuid::new_v4()));
        let put = || self.objects.put_opts(&path, PutPayload::from_static(b"tidings"), create());
        let first = self.attempt("probe the object store", &path, put).await;
        let found = match first {
            Err(Error::ObjectStore { source, .. }) if is_unsupported(&source) => {
                return Ok(Conditional::No);
            }
            // An attempt that was not answered has written it.
            Err(Error::ObjectStore { source, .. }) if already(&source) => Conditional::Yes,
            Err(error) => return Err(error),
            Ok(_) => match self.attempt("probe the object store", &path, put).await {
                Err(Error::ObjectStore { source, .. }) if already(&source) => Conditional::Yes,
                Err(error) => return Err(error),
                Ok(_) => Conditional::No,
            },
        };
        // What is left behind by a store that does not let us delete is small, and no file of a plan.
        if let Err(error) = self.objects.delete(&path).await {
            telemetry::probe_left(&self.name, path.as_ref(), &error);
        }
        Ok(found)
    }

    /// Puts a file where nothing is, or finds the same there.
    ///
    /// # Errors
    ///
    /// Something else is there ([`Error::OtherContent`]), or the store has not taken it in all attempts.
    pub(super) async fn put(
        &self,
        name: &str,
        bytes: Bytes,
        sha256: &str,
        conditional: Conditional,
    ) -> Result<Put> {
        let path = self.path(name);
        if conditional == Conditional::No {
            if let Some(found) = self.sha256(&path).await? {
                return same(&path, &found, sha256);
            }
            let put = || self.objects.put(&path, bytes.clone().into());
            return self.attempt("put a file", &path, put).await.map(|_| Put::Stored);
        }
        for attempt in 0..self.retry.attempts {
            let put = || self.objects.put_opts(&path, bytes.clone().into(), create());
            match self.attempt("put a file", &path, put).await {
                Ok(_) => return Ok(Put::Stored),
                Err(Error::ObjectStore { source, .. }) if already(&source) => {}
                Err(error) => return Err(error),
            }
            if let Some(found) = self.sha256(&path).await? {
                return same(&path, &found, sha256);
            }
            // 409: somebody puts the same name at this moment, and has not succeeded yet.
            self.rest(attempt).await;
        }
        Err(Error::Contended { path: path.to_string() })
    }

    /// Puts a small file where nothing is, and leaves what is there.
    pub(super) async fn put_if_missing(
        &self,
        name: &str,
        bytes: Bytes,
        conditional: Conditional,
    ) -> Result<()> {
        match self.put(name, bytes.clone(), &hex(&Sha256::digest(&bytes)), conditional).await {
            Err(Error::OtherContent { .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Puts a file in the place of what lies under its name, if it is something else: left behind by somebody who has
    /// begun the same and not finished it.
    ///
    /// # Errors
    ///
    /// Somebody puts the same name all the time, or the store has not taken it in all attempts.
    pub(super) async fn put_anew(
        &self,
        name: &str,
        bytes: Bytes,
        sha256: &str,
        conditional: Conditional,
    ) -> Result<()> {
        for _ in 0..self.retry.attempts.max(1) {
            match self.put(name, bytes.clone(), sha256, conditional).await {
                Err(Error::OtherContent { .. }) => self.delete(name).await?,
                put => return put.map(drop),
            }
        }
        Err(Error::Contended { path: self.path(name).to_string() })
    }

    /// Puts a small file, whatever lies under its name.
    pub(super) async fn overwrite(&self, name: &str, bytes: Bytes) -> Result<()> {
        let path = self.path(name);
        let put = || self.objects.put(&path, bytes.clone().into());
        self.attempt("put a file", &path, put).await.map(drop)
    }

    /// Deletes a file; one that is not there is no error.
    pub(super) async fn delete(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        match self.attempt("delete a file", &path, || self.objects.delete(&path)).await {
            Err(Error::ObjectStore { source: object_store::Error::NotFound { .. }, .. }) => Ok(()),
            deleted => deleted,
        }
    }

    /// Returns a file that is there.
    pub(super) async fn get(&self, name: &str) -> Result<Option<Bytes>> {
        let path = self.path(name);
        let read = async || self.objects.get(&path).await?.bytes().await;
        match self.attempt("read a file back", &path, read).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::ObjectStore { source: object_store::Error::NotFound { .. }, .. }) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the hash of a file that is there, in hexadecimal digits.
    pub(super) async fn sha256(&self, path: &Path) -> Result<Option<String>> {
        let read = async || {
            let mut hash = Sha256::new();
            let mut stream = self.objects.get(path).await?.into_stream();
            while let Some(bytes) = stream.try_next().await? {
                hash.update(&bytes);
            }
            Ok(hex(&hash.finalize()))
        };
        match self.attempt("read a file back", path, read).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::ObjectStore { source: object_store::Error::NotFound { .. }, .. }) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn path(&self, name: &str) -> Path {
        self.prefix.parts().chain(Path::from(name).parts()).collect()
    }

    /// Tries a request again while it may still succeed, up to the bound.
    async fn attempt<T, F: Future<Output = object_store::Result<T>>>(
        &self,
        doing: &'static str,
        path: &Path,
        request: impl Fn() -> F,
    ) -> Result<T> {
        let mut attempt = 0;
        loop {
            let source = match request().await {
                Ok(answer) => return Ok(answer),
                Err(source) => source,
            };
            attempt += 1;
            if attempt >= self.retry.attempts || !is_transient(&source) {
                return Err(Error::ObjectStore { doing, path: path.to_string(), source });
            }
            telemetry::request_retried(&self.name, path.as_ref(), attempt, &source);
            self.rest(attempt - 1).await;
        }
    }

    async fn rest(&self, attempt: u32) {
        // Its random bits; a generator would be a dependency for one number.
        let random = Uuid::new_v4().as_fields().0;
        tokio::time::sleep(self.retry.pause(attempt, random)).await;
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What the builder of a store prints may hold keys.
        formatter.debug_struct("Store").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Returns whether the same request may succeed later.
pub(crate) const fn is_transient(error: &object_store::Error) -> bool {
    // What is not named otherwise: connections, time limits, and all answers but those to names and rights.
    matches!(error, object_store::Error::Generic { .. } | object_store::Error::JoinError { .. })
}

const fn is_unsupported(error: &object_store::Error) -> bool {
    matches!(
        error,
        object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }
    )
}

const fn already(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::AlreadyExists { .. })
}

fn same(path: &Path, found: &str, sha256: &str) -> Result<Put> {
    if found == sha256 {
        return Ok(Put::AlreadyThere);
    }
    Err(Error::OtherContent { path: path.to_string() })
}

fn create() -> PutOptions {
    PutOptions::from(PutMode::Create)
}

/// Returns where a URL leads, without the parts in which people put keys.
fn without_secrets(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "the URL".to_owned() };
    format!("{}://{}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
}

fn build(
    scheme: &ObjectStoreScheme,
    url: &Url,
    options: &[(String, String)],
    retry: Retry,
) -> Result<Arc<dyn ObjectStore>, String> {
    let connector = Connector { timeout: retry.request_max };
    // Attempts are ours: each is signed anew, and what is not answered is found out about instead of repeated blindly.
    let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let says = |error: object_store::Error| error.to_string();
    match scheme {
        ObjectStoreScheme::AmazonS3 => {
            let builder = AmazonS3Builder::new().with_url(url.as_str());
            let builder = options.iter().try_fold(builder, |builder, (name, value)| {
                Ok::<_, String>(builder.with_config(key::<AmazonS3ConfigKey>(name)?, value))
            })?;
            let builder = builder.with_retry(once).with_http_connector(connector);
            Ok(Arc::new(builder.build().map_err(says)?))
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let builder = GoogleCloudStorageBuilder::new().with_url(url.as_str());
            let builder = options.iter().try_fold(builder, |builder, (name, value)| {
                Ok::<_, String>(builder.with_config(key::<GoogleConfigKey>(name)?, value))
            })?;
            let builder = builder.with_retry(once).with_http_connector(connector);
            Ok(Arc::new(builder.build().map_err(says)?))
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let builder = MicrosoftAzureBuilder::new().with_url(url.as_str());
            let builder = options.iter().try_fold(builder, |builder, (name, value)| {
                Ok::<_, String>(builder.with_config(key::<AzureConfigKey>(name)?, value))
            })?;
            let builder = builder.with_retry(once).with_http_connector(connector);
            Ok(Arc::new(builder.build().map_err(says)?))
        }
        ObjectStoreScheme::Local => {
            let folder = url.to_file_path().map_err(|()| "it names no folder".to_owned())?;
            std::fs::create_dir_all(&folder)
                .map_err(|error| format!("make the folder: {error}"))?;
            // The position is committed when a file is there, so it has to survive a power cut too.
            let files = LocalFileSystem::new_with_prefix(&folder).map_err(says)?;
            Ok(Arc::new(files.with_fsync(true)))
        }
        ObjectStoreScheme::Memory => Ok(Arc::new(InMemory::new())),
        _ => Err(UNKNOWN_SCHEME.to_owned()),
    }
}

fn key<K: FromStr>(name: &str) -> Result<K, String> {
    name.to_ascii_lowercase().parse().map_err(|_| format!("it has no option `{name}`"))
}

#[cfg(test)]
mod tests;
