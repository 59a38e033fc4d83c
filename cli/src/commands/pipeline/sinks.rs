//! The sinks of a pipeline as the arguments name them.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use sqlx::PgPool;
use tidings_pipeline::sink::{
    files::{self, Codec, Retry, Roll, Store},
    search,
};

use crate::{arguments::pipeline::Places, context::Context, exit::Exit, failure::Coded};

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
