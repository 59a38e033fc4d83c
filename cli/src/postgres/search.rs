//! Where Postgres comes from: a server that is given, or binaries that are found.
//!
//! The order is `DATABASE_URL`, `PG_BIN`, the `PATH`, then the folders in which Debian and Homebrew keep several versions
//! side by side, the newest first.
//! What a person has set by hand is never passed over in silence: a `PG_BIN` that cannot be used is an error.

use std::{
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

/// The oldest version that has what the schema uses.
const MAJOR_MIN: u32 = 13;

/// What Homebrew is asked for, since it wants a number.
const MAJOR_ADVISED: u32 = 17;

/// A binary that cannot say its version in this time is not one.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the database is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Location {
    /// A server that somebody else runs, by its URL.
    Server(String),
    /// A server of our own, from binaries that are searched for.
    Embedded(Search),
}

/// Where binaries of PostgreSQL are looked for, in this order.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Search {
    /// The folder that a person has set (`PG_BIN`); nothing else is looked at then.
    pub bin: Option<PathBuf>,
    /// The folders of `PATH`.
    pub path: Vec<PathBuf>,
    /// Folders that hold one folder per version.
    pub families: Vec<Family>,
}

/// A folder that holds one folder per version of PostgreSQL, `/usr/lib/postgresql` for example.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Family {
    /// The folder.
    pub parent: PathBuf,
    /// What stands before the version in the names of its folders.
    pub prefix: String,
}

/// The binaries of one PostgreSQL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Binaries {
    /// The folder with `postgres` and `initdb`.
    pub folder: PathBuf,
    /// What `postgres --version` said.
    pub version: Version,
}

/// A version of PostgreSQL, `15.18` for example.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// Data folders are compatible within one major version.
    pub major: u32,
    /// Zero in a version before its release.
    pub minor: u32,
}

/// Says where the database is, from the environment.
///
/// An empty variable counts as not set.
///
/// # Errors
///
/// `DATABASE_URL` is not UTF-8, or not a URL of Postgres.
pub fn locate(environment: impl Fn(&str) -> Option<OsString>) -> Result<Location> {
    let set = |name| environment(name).filter(|value| !value.is_empty());
    let Some(url) = set("DATABASE_URL") else {
        return Ok(Location::Embedded(Search {
            bin: set("PG_BIN").map(PathBuf::from),
            path: set("PATH")
                .map(|path| std::env::split_paths(&path).collect())
                .unwrap_or_default(),
            families: Family::known(),
        }));
    };
    let Some(url) = url.to_str() else { bail!("DATABASE_URL is not UTF-8") };
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        // The value may hold a password, so it is not repeated.
        bail!("DATABASE_URL does not start with postgres:// or postgresql://");
    }
    Ok(Location::Server(url.to_owned()))
}

impl Search {
    /// Finds the binaries to run: the first place that has a version that can be used.
    ///
    /// With `major`, only that major version can be used: it is the one that made the data.
    ///
    /// # Errors
    ///
    /// Nothing that can be used was found. The message lists what was refused and why, and what to install.
    pub async fn find(&self, major: Option<u32>) -> Result<Binaries> {
        let mut refused = Vec::new();
        for folder in self.candidates() {
            match probe(&folder).await {
                Ok(version) if version.major < MAJOR_MIN => {
                    refused.push(format!("{} is PostgreSQL {version}", folder.display()));
                }
                Ok(version) if major.is_some_and(|major| major != version.major) => {
                    refused.push(format!("{} is PostgreSQL {version}", folder.display()));
                }
                Ok(version) => return Ok(Binaries { folder, version }),
                Err(error) => refused.push(format!("{error:#}")),
            }
        }
        bail!(self.advice(major, &refused))
    }

    /// Returns the folders to try, in order, each once.
    fn candidates(&self) -> Vec<PathBuf> {
        if let Some(bin) = &self.bin {
            return vec![bin.clone()];
        }
        let mut folders: Vec<_> = self.path.iter().filter_map(|folder| on_path(folder)).collect();
        folders.extend(self.families.iter().flat_map(Family::folders));
        let mut once = Vec::new();
        for folder in folders {
            if !once.contains(&folder) {
                once.push(folder);
            }
        }
        once
    }

    /// Returns what a person should do now.
    fn advice(&self, major: Option<u32>, refused: &[String]) -> String {
        let wanted =
            major.map_or_else(|| format!("{MAJOR_MIN} or later"), |major| major.to_string());
        let mut lines = vec![match &self.bin {
            Some(bin) => format!("PG_BIN ({}) has no PostgreSQL {wanted}", bin.display()),
            None => format!("no PostgreSQL {wanted} was found"),
        }];
        if major.is_some() {
            lines.push("the data were made by that version, and no other can read them".to_owned());
        }
        lines.extend(refused.iter().map(|reason| format!("refused: {reason}")));
        if self.bin.is_none() {
            let families = self.families.iter().map(Family::to_string);
            let places: Vec<_> = std::iter::once("PATH".to_owned()).chain(families).collect();
            lines.push(format!("looked in: {}", places.join(", ")));
        }
        let debian = major.map_or_else(String::new, |major| format!("-{major}"));
        let brew = major.unwrap_or(MAJOR_ADVISED);
        lines.push(format!("Debian, Ubuntu: apt-get install postgresql{debian}"));
        lines.push(format!("macOS: brew install postgresql@{brew}"));
        lines.push("or set PG_BIN to the folder that has `postgres` and `initdb`".to_owned());
        lines.push("or set DATABASE_URL to a server that runs elsewhere".to_owned());
        lines.join("\n  ")
    }
}

impl Family {
    /// Returns where Debian, Homebrew on Apple silicon and Homebrew on Intel keep their versions.
    #[must_use]
    pub fn known() -> Vec<Self> {
        [
            ("/usr/lib/postgresql", ""),
            ("/opt/homebrew/opt", "postgresql@"),
            ("/usr/local/opt", "postgresql@"),
        ]
        .map(|(parent, prefix)| Self { parent: parent.into(), prefix: prefix.to_owned() })
        .into()
    }

    /// Returns the folders of binaries, those of the newest version first.
    fn folders(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.parent) else { return Vec::new() };
        let mut versions: Vec<(Version, PathBuf)> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name();
                let version = name.to_str()?.strip_prefix(self.prefix.as_str())?;
                Some((Version::parse(version)?, entry.path().join("bin")))
            })
            .filter(|(_, folder)| has_binaries(folder))
            .collect();
        versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        versions.into_iter().map(|(_, folder)| folder).collect()
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}*/bin", self.parent.display(), self.prefix)
    }
}

impl Binaries {
    /// Returns the path of one program, `postgres` or `initdb`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Version {
    /// Reads the version at the start of `text`: `15.18 (Debian …)`, `9.6.24`, `18beta1`.
    fn parse(text: &str) -> Option<Self> {
        let (major, rest) = number(text)?;
        let minor = rest.strip_prefix('.').and_then(number).map_or(0, |(minor, _)| minor);
        Some(Self { major, minor })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Splits the digits at the start of `text` from the rest.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// Returns the folder of binaries that a folder of `PATH` leads to, through the links that packages put there.
fn on_path(folder: &Path) -> Option<PathBuf> {
    ["postgres", "pg_ctl"].iter().find_map(|name| {
        let real = fs::canonicalize(folder.join(name)).ok()?;
        let home = real.parent()?;
        [home, folder].into_iter().find(|folder| has_binaries(folder)).map(Path::to_path_buf)
    })
}

fn has_binaries(folder: &Path) -> bool {
    ["postgres", "initdb"].iter().all(|name| folder.join(name).is_file())
}

/// Asks the server in `folder` for its version.
pub(super) async fn probe(folder: &Path) -> Result<Version> {
    if !has_binaries(folder) {
        bail!("{} does not have both `postgres` and `initdb`", folder.display());
    }
    let program = folder.join("postgres");
    let output = Command::new(&program)
        .arg("--version")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PROBE_TIMEOUT, output)
        .await
        .with_context(|| format!("{} does not answer", program.display()))?
        .with_context(|| format!("{} cannot be run", program.display()))?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim()
        .strip_prefix("postgres (PostgreSQL) ")
        .and_then(Version::parse)
        .with_context(|| format!("{} does not tell its version", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into())
    }

    #[test]
    fn version_is_read_from_what_packages_print() {
        let cases = [
            ("15.18 (Debian 15.18-0+deb12u1)", Some((15, 18))),
            ("9.6.24", Some((9, 6))),
            ("18beta1", Some((18, 0))),
            ("17", Some((17, 0))),
            ("", None),
            ("devel", None),
            ("99999999999.1", None),
        ];
        for (text, expected) in cases {
            let version = Version::parse(text).map(|version| (version.major, version.minor));
            assert_eq!(version, expected, "{text:?}");
        }
    }

    #[test]
    fn database_url_comes_before_every_binary() {
        let url = "postgres://somewhere/shop";
        let location = locate(environment(&[("DATABASE_URL", url), ("PG_BIN", "/x")])).unwrap();
        assert_eq!(location, Location::Server(url.to_owned()));
    }

    #[test]
    fn empty_variables_count_as_not_set() {
        let location = locate(environment(&[("DATABASE_URL", ""), ("PG_BIN", "")])).unwrap();
        let expected = Search { families: Family::known(), ..Search::default() };
        assert_eq!(location, Location::Embedded(expected));
    }

    #[test]
    fn path_is_split_and_pg_bin_kept() {
        let location = locate(environment(&[("PATH", "/a:/b"), ("PG_BIN", "/pg")])).unwrap();
        let Location::Embedded(search) = location else { panic!("{location:?}") };
        assert_eq!(search.path, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(search.bin, Some(PathBuf::from("/pg")));
    }

    #[test]
    fn url_of_another_database_is_refused_without_showing_it() {
        let error =
            locate(environment(&[("DATABASE_URL", "mysql://root:secret@x/y")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "DATABASE_URL does not start with postgres:// or postgresql://"
        );
    }
}
