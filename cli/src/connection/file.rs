//! The connection file: how commands find the database of a `tidings up` beside them.
//!
//! It lies in the data folder while `up` runs, holds the password, and can be read by its owner only.
//! Its form is that of an environment file, so that an application can be started with it as well:
//! `set -a; . .tidings/connection.env`.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{exit::Exit, failure::Coded};

const NAME: &str = "connection.env";
const URL: &str = "DATABASE_URL";
const PID: &str = "TIDINGS_UP_PID";

/// A `tidings up` that runs, or has run until it was killed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Running {
    /// The URL of its database, password included.
    pub(crate) url: String,
    /// Its process.
    pub(crate) pid: u32,
}

/// The file, while this process runs the database. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct Written(PathBuf);

impl Drop for Written {
    fn drop(&mut self) {
        // What stays behind is explained to whoever finds nobody there.
        drop(fs::remove_file(&self.0));
    }
}

/// Returns where the file of a data folder is.
pub(crate) fn path_in(data: &Path) -> PathBuf {
    data.join(NAME)
}

/// Writes the file, over that of a run that was killed.
pub(crate) fn write(data: &Path, running: &Running) -> Result<Written> {
    let path = path_in(data);
    let write = || -> io::Result<()> {
        let unfinished = path.with_extension("new");
        drop(fs::remove_file(&unfinished));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&unfinished)?;
        writeln!(file, "{URL}={}\n{PID}={}", running.url, running.pid)?;
        fs::rename(&unfinished, &path)
    };
    write().with_context(|| format!("write the connection file {}", path.display()))?;
    Ok(Written(path))
}

/// Reads the file; `None` if there is none.
///
/// # Errors
///
/// It belongs to somebody else, or is damaged.
pub(crate) fn read(data: &Path) -> Result<Option<Running>> {
    let path = path_in(data);
    let unusable = || {
        Coded::new(Exit::Database, format!("read the connection file {}", path.display()))
            .hint("use the user that runs `tidings up`, or set DATABASE_URL")
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable().because(error).into()),
    };
    let running =
        parse(&text).ok_or_else(|| unusable().because(anyhow::anyhow!("it is not complete")))?;
    Ok(Some(running))
}

fn parse(text: &str) -> Option<Running> {
    let value = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::trim)
    };
    Some(Running { url: value(URL)?.to_owned(), pid: value(PID)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_read_as_it_is_written_and_gone_with_its_owner() {
        let data = std::env::temp_dir().join(format!("tidings-connection-{}", std::process::id()));
        fs::create_dir_all(&data).unwrap();
        assert_eq!(read(&data).unwrap(), None);
        let running =
            Running { url: "postgres://a:b@127.0.0.1:1/c?sslmode=disable".into(), pid: 7 };
        let written = write(&data, &running).unwrap();
        assert_eq!(read(&data).unwrap(), Some(running));
        assert!(!crate::keys::is_open_to_others(&path_in(&data)));
        drop(written);
        assert_eq!(read(&data).unwrap(), None);
        fs::remove_dir_all(&data).unwrap();
    }

    #[test]
    fn damaged_file_is_no_connection() {
        for text in [
            "",
            "DATABASE_URL=postgres://x",
            "TIDINGS_UP_PID=1",
            "DATABASE_URL=x\nTIDINGS_UP_PID=y",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
