//! The keys that seal the subscribers' secrets: from a variable, from a file, or made.
//!
//! A key file holds the text form of a [`Keyring`] and can be read by its owner only.
//! Whoever loses it has to rotate every secret, so it is made once, never overwritten, and flushed to disk before the
//! first secret is sealed with it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context, Result};
use tidings::secret::Keyring;

/// The name of the key file in a data folder.
const NAME: &str = "key";

/// Returns where the key file of a data folder is.
#[must_use]
pub fn file_in(data: &Path) -> PathBuf {
    data.join(NAME)
}

/// Reads a key file.
///
/// # Errors
///
/// It cannot be read, or does not hold keys; the message names the file and never quotes it.
pub fn load(path: &Path) -> Result<Keyring> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("read the key file {}", path.display()))?;
    Keyring::parse(&text).with_context(|| format!("read the key file {}", path.display()))
}

/// Reads a key file, or makes it with one fresh key if it is not there; answers whether it was made.
///
/// The folder is made if it is missing.
/// Of several processes that do this at once, one makes the file and all use it.
///
/// # Errors
///
/// It cannot be read or made, or does not hold keys.
pub fn load_or_make(path: &Path) -> Result<(Keyring, bool)> {
    if path.exists() {
        return Ok((load(path)?, false));
    }
    let keyring = Keyring::generate(&mut rand::rng());
    let made =
        make(path, &keyring).with_context(|| format!("make the key file {}", path.display()))?;
    if made { Ok((keyring, true)) } else { Ok((load(path)?, false)) }
}

/// Says whether others than the owner may read the file.
#[must_use]
pub fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.mode() & 0o077 != 0)
}

/// Writes the file whole or not at all; answers `false` if somebody else was faster.
fn make(path: &Path, keyring: &Keyring) -> io::Result<bool> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let unfinished = path.with_extension(format!("new.{}", process::id()));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(keyring.to_text().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    // A link, not a rename: it fails if the file is there by now.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error),
    }
    File::open(folder)?.sync_all()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is gone after the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("tidings-keys-{name}-{}", process::id()));
            drop(fs::remove_dir_all(&path));
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn key_file_is_made_once_and_for_its_owner_only() {
        let folder = Folder::new("once");
        let path = file_in(&folder.0.join("deeper"));
        let (made, fresh) = load_or_make(&path).unwrap();
        assert!(fresh && !is_open_to_others(&path));
        let (loaded, fresh) = load_or_make(&path).unwrap();
        assert!(!fresh);
        assert_eq!(loaded.current(), made.current());
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "nothing is left over"
        );
    }

    #[test]
    fn key_that_somebody_else_has_made_meanwhile_is_used() {
        let folder = Folder::new("race");
        let path = file_in(&folder.0);
        let (first, _) = load_or_make(&path).unwrap();
        assert!(!make(&path, &Keyring::generate(&mut rand::rng())).unwrap());
        assert_eq!(load(&path).unwrap().current(), first.current());
    }

    #[test]
    fn file_without_keys_is_named_and_not_quoted() {
        let folder = Folder::new("wrong");
        fs::create_dir_all(&folder.0).unwrap();
        let path = file_in(&folder.0);
        fs::write(&path, "s3cr3t").unwrap();
        let error = format!("{:#}", load_or_make(&path).unwrap_err());
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(error.contains("key number 1 is not the standard base64"), "{error}");
        assert!(!error.contains("s3cr3t"), "{error}");
    }
}
