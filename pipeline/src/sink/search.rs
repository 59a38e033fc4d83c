//! OpenSearch and Elasticsearch: each unique event is one document, under the id that the pipeline gave it.
//!
//! A daily index is chosen by the day on which the relay took the event, and documents are made with `create`: a try that
//! comes again finds the document there, and 409 is success. So each event is in the index once, whatever was aborted.
//! A data stream rolls over by itself, and a try after that makes the document again: at least once.
//!
//! A document that the engine refuses goes to the topic of failed events with the engine's reason; the others go on.
//! What says nothing about documents (429, 5xx, no answer, wrong credentials) is waited for, however long.

mod answer;
mod bulk;
mod engine;
mod erase;
mod options;
mod sender;
mod template;

use std::sync::{Arc, atomic::AtomicUsize};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{
    drive,
    hooks::Hooks,
    http::Http,
    metrics::Metrics,
    resend::{self, Resent},
};
use crate::{Log, Result};

pub use self::options::{Access, Options, Storage};

/// A sink to OpenSearch or Elasticsearch.
#[derive(Debug)]
pub struct Sink {
    sender: Arc<sender::Sender>,
}

impl Sink {
    /// Returns a sink that has not talked to anybody yet.
    ///
    /// # Errors
    ///
    /// An option that cannot be used, which is named, or TLS that cannot be set up.
    pub fn new(options: Options) -> Result<Self> {
        options.check()?;
        let is_tls = options.url.scheme() == "https";
        let http = Http::new(&options.trusted_certificates, is_tls, options.timeout)?;
        let sender = sender::Sender {
            http,
            headers: options.headers()?,
            permits: Semaphore::new(options.in_flight),
            bytes_max: AtomicUsize::new(options.bulk_bytes_max),
            metrics: Arc::default(),
            options,
        };
        Ok(Self { sender: Arc::new(sender) })
    }

    /// Returns what it has done so far.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.sender.metrics)
    }

    /// Reads unique events as the group `sink.<name>` and writes them, until `shutdown`.
    ///
    /// An engine that is away, or refuses the credentials, is waited for, at the start as later; which it is stands in the
    /// log. Several processes may run the same sink and share the partitions.
    ///
    /// # Errors
    ///
    /// What the log says and does not pass by itself.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped leaves events behind that are stored and not committed; the next one finds them there.
    pub async fn run<L: Log>(
        &self,
        log: &L,
        hooks: Arc<dyn Hooks>,
        shutdown: &CancellationToken,
    ) -> Result<()> {
        if shutdown.run_until_cancelled(self.sender.prepare()).await.is_none() {
            return Ok(());
        }
        drive::run(log, Arc::clone(&self.sender), hooks, shutdown).await
    }

    /// Sends events of the log that the sink has taken before again; see [`resend`].
    ///
    /// # Errors
    ///
    /// What the log or the database says.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped has sent a part, which is there when it is called again.
    pub async fn resend<L: Log>(
        &self,
        log: &L,
        job: &resend::Job<'_>,
        progress: impl FnMut(&Resent) + Send,
    ) -> Result<Resent> {
        self.sender.prepare().await;
        resend::send(log, &*self.sender, job, progress).await
    }
}
