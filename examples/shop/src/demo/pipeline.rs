//! The telemetry pipeline of the demo: on the log in its database, into a folder and into the searchable table.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tidings_pipeline::{
    Builder, Running,
    log::{Postgres, postgres},
    settings::Settings,
    sink::{
        Guard, Hooks,
        files::{self, Codec, Retry, Roll, Store},
        table,
    },
    steps::Steps,
    topic::Layout,
};
use tokio_util::sync::CancellationToken;

/// The sink of files, as the ledger has it.
pub(super) const FILES: &str = "files";

/// The sink to the table, as the ledger has it.
pub(super) const TABLE: &str = "table";

/// The tasks of the pipeline, beside those of the shop.
const CONNECTIONS: u32 = 12;

/// A few phones and a browser keep no more of them busy.
const PARTITIONS: i32 = 4;

/// A real sink gathers for a quarter of an hour; the demo has seconds.
const ROLL_AGE: Duration = Duration::from_secs(2);

/// A pipeline that is running.
pub(crate) struct Pipeline {
    /// Where the files are.
    pub(crate) folder: PathBuf,
    running: Running,
    stop: CancellationToken,
    pool: PgPool,
}

impl Pipeline {
    /// Starts it on the database of `pool`, with its files in a folder inside of `scratch`.
    ///
    /// # Errors
    ///
    /// The folder cannot be made, or the database does not answer.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future ends what it has started.
    pub(crate) async fn start(pool: &PgPool, scratch: &Path) -> Result<Self> {
        let connect = pool.connect_options().as_ref().clone();
        // Of its own, so that nobody in the shop waits for telemetry.
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS);
        let pool = pool.connect_lazy_with(connect.clone());
        let options = postgres::Options { host: "demo".to_owned(), ..postgres::Options::default() };
        let log = Postgres::new(pool.clone(), connect, options);

        let folder = scratch.join("telemetry");
        fs::create_dir(&folder).with_context(|| format!("make the folder {}", folder.display()))?;
        let store = Store::open(&format!("file://{}", folder.display()), &[], Retry::default())?;
        let mut options = files::Options::new(FILES, scratch.join("spool"));
        // What a person can read with zcat.
        options.codec = Codec::JsonlGzip;
        options.roll = Roll { age: ROLL_AGE, ..Roll::default() };
        let filing = files::Sink::new(options, store, pool.clone());
        let tabling = table::Sink::new(table::Options::new(TABLE), pool.clone());

        let stop = CancellationToken::new();
        let steps = Steps::compile(&Settings::default(), None)?;
        let builder = Builder::new(log, pool.clone(), steps);
        let guard: Arc<dyn Hooks> = Arc::new(Guard::new(builder.gate()));
        let of_files = Arc::clone(&guard);
        let running = builder
            .layout(Layout { partitions: PARTITIONS, ..Layout::default() })
            .sink(FILES, move |log, stop| async move { filing.run(&log, of_files, &stop).await })
            .sink(TABLE, move |log, stop| async move { tabling.run(&log, guard, &stop).await })
            .start(stop.clone())
            .await
            .context("start the pipeline")?;
        Ok(Self { folder, running, stop, pool })
    }

    /// Lets it finish what it has taken, and waits for that.
    ///
    /// # Errors
    ///
    /// It could not go on.
    pub(crate) async fn finish(self) -> Result<()> {
        self.stop.cancel();
        let ended = self.running.finished().await.context("run the pipeline");
        self.pool.close().await;
        ended
    }
}
