//! The sinks of a pipeline, as the settings ask for them.

use std::{fs, path::Path, sync::Arc};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tidings::analytics::{
    HashKeys,
    wire::{self, Host, Key},
};
use tidings_pipeline::{
    Builder, Log,
    metrics::{Metrics, SinkMeter},
    sink::{
        self, Hooks,
        files::{self, Codec, Retry, Roll, Store},
        posthog, search, table,
    },
};
use zeroize::Zeroizing;

use crate::{
    arguments::pipeline::{Places, Work, posthog::Posthog},
    context::Context,
    exit::Exit,
    failure::Coded,
};

/// What sinks are made of.
pub(super) struct Sinks<'a> {
    pub(super) context: &'a Context,
    pub(super) work: &'a Work,
    pub(super) pool: &'a PgPool,
    pub(super) keys: Option<Arc<HashKeys>>,
}

impl Sinks<'_> {
    /// Adds those that the settings ask for, and what they count; returns them as people know them too.
    ///
    /// # Errors
    ///
    /// A setting that cannot be used.
    pub(super) fn add_to<L: Log>(
        self,
        mut builder: Builder<L>,
        metrics: &Metrics,
    ) -> Result<(Builder<L>, Vec<String>)> {
        let Self { context, work, pool, keys } = self;
        let guard: Arc<dyn Hooks> = Arc::new(sink::Guard::new(builder.gate()));
        let mut shown = Vec::new();
        let roll = Roll {
            bytes: u64::from(work.files_mb) * 1_000_000,
            age: work.files_age,
            ..Roll::default()
        };
        let filed = files(context, &work.places, (work.files_codec, roll), pool)?;
        if let Some((url, sink)) = work.places.files.as_ref().zip(filed) {
            metrics.add_sink("files", SinkMeter::Files(sink.metrics()));
            shown.push(format!("files ({url})"));
            let hooks = Arc::clone(&guard);
            builder = builder.sink("files", move |log, shutdown| async move {
                sink.run(&log, hooks, &shutdown).await
            });
        }
        let indexed = search(&work.places)?;
        if let Some((url, sink)) = work.places.search.as_ref().zip(indexed) {
            metrics.add_sink("search", SinkMeter::Service(sink.metrics()));
            shown.push(format!("search ({url})"));
            let hooks = Arc::clone(&guard);
            builder = builder.sink("search", move |log, shutdown| async move {
                sink.run(&log, hooks, &shutdown).await
            });
        }
        if work.table {
            let options = table::Options { kept: work.table_kept, ..table::Options::new("table") };
            let sink = table::Sink::new(options, pool.clone());
            metrics.add_sink("table", SinkMeter::Service(sink.metrics()));
            shown.push("table".to_owned());
            let hooks = Arc::clone(&guard);
            builder = builder.sink("table", move |log, shutdown| async move {
                sink.run(&log, hooks, &shutdown).await
            });
        }
        if let Some(host) = &work.posthog.host {
            let sink = posthog(&work.posthog, host, keys.as_deref())?;
            metrics.add_sink("posthog", SinkMeter::Service(sink.metrics()));
            shown.push(format!("posthog ({host})"));
            builder = builder.sink("posthog", move |log, shutdown| async move {
                sink.run(&log, guard, &shutdown).await
            });
        }
        Ok((builder, shown))
    }
}

/// Returns where the files of `tidings up` lie, where nothing else is said.
pub(in crate::commands) fn folder_of_up(context: &Context) -> String {
    context.global.data.join("telemetry").display().to_string()
}

/// Returns the places that are named, or those of `tidings up` where it has put files into the data folder.
pub(in crate::commands) fn places(context: &Context, named: &Places) -> Places {
    let folder = folder_of_up(context);
    let files = named.files.clone().or_else(|| Path::new(&folder).is_dir().then_some(folder));
    Places { files, ..named.clone() }
}

/// Returns the sink of files, if one is named; a folder is a place too.
pub(in crate::commands) fn files(
    context: &Context,
    places: &Places,
    (codec, roll): (Codec, Roll),
    pool: &PgPool,
) -> Result<Option<files::Sink>> {
    let Some(url) = &places.files else { return Ok(None) };
    let url = if url.contains("://") {
        url.to_owned()
    } else {
        fs::create_dir_all(url).with_context(|| format!("make the folder {url}"))?;
        let folder = fs::canonicalize(url).with_context(|| format!("look at the folder {url}"))?;
        format!("file://{}", folder.display())
    };
    let store = Store::open(&url, &places.files_options, Retry::default())?;
    let mut options = files::Options::new("files", context.global.data.join("spool"));
    options.codec = codec;
    options.roll = roll;
    Ok(Some(files::Sink::new(options, store, pool.clone())))
}

/// Returns the sink of an index, if one is named.
pub(in crate::commands) fn search(places: &Places) -> Result<Option<search::Sink>> {
    let Some(url) = &places.search else { return Ok(None) };
    let parsed = url.parse().with_context(|| format!("read the URL {url}"))?;
    let mut options = search::Options::new("search", parsed);
    options.prefix.clone_from(&places.search_prefix);
    options.access = match (&places.search_user, &places.search_api_key) {
        (Some(pair), _) => {
            let Some((user, password)) = pair.split_once(':') else {
                let message = "read --search-user: it has no colon";
                return Err(Coded::new(Exit::Usage, message).hint("write user:password").into());
            };
            search::Access::Basic { user: user.to_owned(), password: password.to_owned() }
        }
        (None, Some(key)) => search::Access::ApiKey(key.clone()),
        (None, None) => search::Access::Open,
    };
    if places.search_data_stream {
        options.storage = search::Storage::DataStream;
    }
    Ok(Some(search::Sink::new(options)?))
}

/// Returns the sink to PostHog.
fn posthog(posthog: &Posthog, host: &str, keys: Option<&HashKeys>) -> Result<posthog::Sink> {
    let doing = "set up the sink to PostHog";
    let Some(keys) = keys else {
        let message = format!("{doing}: people leave as keyed hashes, and there is no key");
        let hint =
            "make one with: printf 'k1:%s\\n' \"$(openssl rand -base64 32)\" > .tidings/hash-keys";
        return Err(Coded::new(Exit::Refused, message).hint(hint).into());
    };
    let key = Key::new(token(posthog)?.trim()).context(doing)?;
    let host = Host::parse(host).context(doing)?;
    let settings = wire::Settings::new(host, key, "telemetry");
    let clock = Arc::new(now);
    let mut options = posthog::Options::new("posthog", settings, keys.clone(), clock);
    options.posthog.protocol = posthog.protocol.into();
    options.event_name.clone_from(&posthog.event);
    Ok(posthog::Sink::new(options)?)
}

/// Returns the token of the project.
fn token(posthog: &Posthog) -> Result<Zeroizing<String>> {
    if let Some(key) = &posthog.key {
        return Ok(Zeroizing::new(key.clone()));
    }
    let Some(path) = &posthog.key_file else {
        let message = "find the token of the PostHog project: it is not set";
        let hint =
            "set TIDINGS_TELEMETRY_POSTHOG_KEY, or name a file with --telemetry-posthog-key-file";
        return Err(Coded::new(Exit::Usage, message).hint(hint).into());
    };
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    Ok(Zeroizing::new(text))
}

#[expect(clippy::disallowed_methods, reason = "requests say when they were sent")]
fn now() -> DateTime<Utc> {
    Utc::now()
}
