//! Making a client.

use std::{sync::Arc, time::Duration};

use tokio::runtime::Handle;
use uuid::Uuid;

use super::{
    Backend, Client,
    counts::Loss,
    error::BuildError,
    http::{Http, HttpSettings},
    queue::{Queue, WhenFull},
    retry::Retry,
    sender::Sender,
    shared::{Observer, Setup, Shared},
    sources::Sources,
};
use crate::{
    Level,
    wire::{Context, Identity},
};

/// How much waits in memory, and what happens beyond it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct QueueLimits {
    /// The most events.
    pub events_max: usize,
    /// The most bytes of encoded events; at least 1 MiB, so that any event has room.
    pub bytes_max: usize,
    /// What happens when an event comes and there is no room.
    pub when_full: WhenFull,
}

impl Default for QueueLimits {
    /// 10,000 events, 32 MiB, and the caller is told.
    fn default() -> Self {
        Self { events_max: 10_000, bytes_max: 32 << 20, when_full: WhenFull::Reject }
    }
}

/// What a client is made of. Everything has a default; that of the level is `off`.
#[derive(Debug)]
pub struct Builder {
    backend: Backend,
    installation: Uuid,
    sources: Sources,
    level: Level,
    do_not_track: bool,
    context: Context,
    queue: QueueLimits,
    retry: Retry,
    linger: Duration,
    http: HttpSettings,
    observer: Observer,
}

impl Builder {
    pub(super) fn new(backend: Backend, installation: Uuid, sources: Sources) -> Self {
        Self {
            backend,
            installation,
            sources,
            level: Level::Off,
            do_not_track: false,
            context: Context::new(),
            queue: QueueLimits::default(),
            retry: Retry::default(),
            linger: Duration::from_secs(1),
            http: HttpSettings {
                connect_timeout: Duration::from_secs(5),
                timeout: Duration::from_secs(15),
                trusted_certificates: Vec::new(),
            },
            observer: Observer::none(),
        }
    }

    /// Collects what `level` allows; `off` until it is set.
    #[must_use]
    pub const fn level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Collects nothing if `asked`, whatever the level: what the variable `DO_NOT_TRACK` says, read by the program.
    #[must_use]
    pub const fn do_not_track(mut self, asked: bool) -> Self {
        self.do_not_track = asked;
        self
    }

    /// Tells with each event where it comes from.
    #[must_use]
    pub fn context(mut self, context: Context) -> Self {
        self.context = context;
        self
    }

    /// Bounds what waits in memory.
    #[must_use]
    pub const fn queue(mut self, queue: QueueLimits) -> Self {
        self.queue = queue;
        self
    }

    /// Says when a batch that was not taken is sent again.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Gathers events for so long, one second by default, before a batch that is not full leaves.
    #[must_use]
    pub const fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// Limits how long connecting takes, five seconds by default, and a whole request, fifteen.
    #[must_use]
    pub const fn timeouts(mut self, connect: Duration, total: Duration) -> Self {
        self.http.connect_timeout = connect;
        self.http.timeout = total;
        self
    }

    /// Trusts a certificate (DER) beside those of the operating system.
    #[must_use]
    pub fn trusted_certificate(mut self, der: Vec<u8>) -> Self {
        self.http.trusted_certificates.push(der);
        self
    }

    /// Tells of each accepted event that does not arrive.
    ///
    /// It is called by the sender or by whoever sends, so it should be quick. It is for logs and metrics: an observer that sends an event about a lost event may lose it as well, for ever.
    #[must_use]
    pub fn on_loss(mut self, observer: impl Fn(Loss) + Send + Sync + 'static) -> Self {
        self.observer = Observer::new(observer);
        self
    }

    /// Starts the client, with its sender as a task of the tokio runtime of the caller.
    ///
    /// # Errors
    ///
    /// There is no runtime, the id of the installation is missing, the queue holds nothing, or HTTP cannot be set up.
    pub fn build(self) -> Result<Client, BuildError> {
        let QueueLimits { events_max, bytes_max, when_full } = self.queue;
        if events_max == 0 || bytes_max < 1 << 20 {
            return Err(BuildError::Queue);
        }
        Identity::installation(self.installation).map_err(BuildError::Installation)?;
        let runtime = Handle::try_current().map_err(|_| BuildError::Runtime)?;
        let http = match &self.backend {
            Backend::Memory(_) => None,
            Backend::Sink(sink) => {
                let is_tls = sink.url().scheme() == "https";
                Some((Http::new(&self.http, is_tls)?, sink.clone()))
            }
        };
        let shared = Arc::new(Shared::new(
            Setup {
                backend: self.backend,
                installation: self.installation,
                context: self.context,
                sources: self.sources,
                retry: self.retry,
                linger: self.linger,
                observer: self.observer,
            },
            Queue::new(events_max, bytes_max, when_full),
            if self.do_not_track { None } else { Some(self.level) },
        ));
        if let Some((http, sink)) = http {
            let sender = Sender::new(Arc::clone(&shared), http, *sink);
            shared.started(runtime.spawn(sender.run()).abort_handle());
        }
        Ok(Client::new(shared))
    }
}
