//! The keys under which ids of people are hashed: a file of lines `ID:SECRET`, the current one last.
//!
//! The secret is base64 of at least 16 bytes. Whoever loses the file can no longer find a person in what was collected.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tidings::analytics::{HashKey, HashKeys};
use zeroize::Zeroizing;

use crate::{exit::Exit, failure::Coded};

/// The name of the file in a data folder.
const NAME: &str = "hash-keys";

/// Reads the file that is named, or that of the data folder where there is one.
///
/// # Errors
///
/// As [`load`].
pub(crate) fn find(data: &Path, named: Option<&Path>) -> Result<Option<HashKeys>> {
    let usual = data.join(NAME);
    let path = named.map(Path::to_owned).or_else(|| usual.exists().then_some(usual));
    path.map(|path| load(&path)).transpose()
}

/// Reads a file of keys.
///
/// # Errors
///
/// It cannot be read, or a line is no key; the message never quotes it.
fn load(path: &Path) -> Result<HashKeys> {
    let doing = || format!("read the hash keys {}", path.display());
    let read = fs::read_to_string(path).map_err(|error| {
        Coded::new(Exit::Refused, "the file cannot be read")
            .hint("make one with: printf 'k1:%s\\n' \"$(openssl rand -base64 32)\" > hash-keys")
            .because(error)
    });
    let text = Zeroizing::new(read.with_context(doing)?);
    parse(&text).with_context(doing)
}

fn parse(text: &str) -> Result<HashKeys> {
    let mut keys = None::<HashKeys>;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let key = key(line).with_context(|| format!("line {number}"))?;
        keys = Some(match keys {
            None => HashKeys::new(key),
            Some(keys) => keys.rotate(key),
        });
    }
    keys.ok_or_else(|| refused("there is no key in it").into())
}

fn key(line: &str) -> Result<HashKey> {
    let (id, secret) = line.split_once(':').ok_or_else(|| refused("it has no colon"))?;
    let secret = STANDARD.decode(secret.trim()).map_err(|_| refused("the secret is not base64"))?;
    Ok(HashKey::new(id.trim(), secret)?)
}

fn refused(reason: &'static str) -> Coded {
    Coded::new(Exit::Refused, reason)
        .hint("each line is ID:SECRET, the secret base64 of at least 16 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_key_is_the_current_one_and_all_find_a_person() {
        let keys = parse("# of 2025\nk1:AAAAAAAAAAAAAAAAAAAAAA==\n\nk2:AQEBAQEBAQEBAQEBAQEBAQ==\n")
            .unwrap();
        assert!(keys.hash(&"ann").unwrap().starts_with("k2:"));
        let ids: Vec<_> = keys.hashes(&"ann").iter().map(|hash| hash[..3].to_owned()).collect();
        assert_eq!(ids, ["k2:", "k1:"]);
    }

    #[test]
    fn line_that_is_no_key_is_named_and_not_quoted() {
        for text in ["", "s3cr3t", "k1:s3cr3t!", "k1:AAAA", "K 1:AAAAAAAAAAAAAAAAAAAAAA=="] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }
}
