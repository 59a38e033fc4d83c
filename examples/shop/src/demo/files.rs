//! What lies in the folder of the pipeline, read as anybody would: by the manifests, each of which names one file.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
};

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;

/// A file that is complete, as its manifest has it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub(crate) struct Filed {
    /// Below the folder.
    pub(crate) path: String,
    pub(crate) events: u64,
    /// As it lies there, compressed.
    pub(crate) bytes: u64,
}

/// The part of an event that names it.
#[derive(Deserialize)]
struct Event {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    id: String,
}

/// Returns the files that are complete, by name; none before the first.
///
/// # Errors
///
/// A manifest cannot be read.
pub(crate) fn list(folder: &Path) -> Result<Vec<Filed>> {
    let mut filed = Vec::new();
    let mut folders = vec![folder.join("manifest")];
    while let Some(folder) = folders.pop().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let text = fs::read(&path);
                let text = text.with_context(|| format!("read {}", path.display()))?;
                let one = serde_json::from_slice(&text);
                filed.push(one.with_context(|| format!("read {}", path.display()))?);
            }
        }
    }
    filed.sort_by(|one: &Filed, other| one.path.cmp(&other.path));
    Ok(filed)
}

/// Returns the document ids of all events in these files.
///
/// # Errors
///
/// A file is missing, is not what its manifest says, or has something else than events of the pipeline.
pub(crate) fn document_ids(folder: &Path, filed: &[Filed]) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for one in filed {
        let path = folder.join(&one.path);
        let reading = || format!("read {}", path.display());
        let file = File::open(&path).with_context(reading)?;
        let before = ids.len();
        for line in BufReader::new(MultiGzDecoder::new(BufReader::new(file))).lines() {
            let event: Event =
                serde_json::from_str(&line.with_context(reading)?).with_context(reading)?;
            ids.push(event.metadata.id);
        }
        let events = (ids.len() - before) as u64;
        let (said, path) = (one.events, path.display());
        anyhow::ensure!(events == said, "{path} has {events} events, and its manifest says {said}");
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use std::{env, io::Write, path::PathBuf, process};

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    /// A folder that is deleted when the test is over.
    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn folder(name: &str) -> Folder {
        let path = env::temp_dir().join(format!("tidings-shop-{name}-{}", process::id()));
        fs::create_dir_all(path.join("manifest/dt=2026-11-23/t/0")).unwrap();
        Folder(path)
    }

    fn put(folder: &Folder, name: &str, ids: &[&str], said: usize) {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        for id in ids {
            writeln!(gzip, r#"{{"eid":"LOG","metadata":{{"id":"{id}"}}}}"#).unwrap();
        }
        fs::write(folder.0.join(name), gzip.finish().unwrap()).unwrap();
        let manifest = format!(r#"{{"path":"{name}","events":{said},"bytes":40}}"#);
        let place = folder.0.join(format!("manifest/dt=2026-11-23/t/0/{name}.json"));
        fs::write(place, manifest).unwrap();
    }

    #[test]
    fn events_are_found_by_the_manifests_and_in_no_other_file() {
        let folder = folder("manifests");
        assert_eq!(list(&folder.0.join("none")).unwrap(), []);
        put(&folder, "2.jsonl.gz", &["c"], 1);
        put(&folder, "1.jsonl.gz", &["a", "b"], 2);
        fs::write(folder.0.join("3.jsonl.gz"), "half of a file").unwrap();
        let filed = list(&folder.0).unwrap();
        assert_eq!(document_ids(&folder.0, &filed).unwrap(), ["a", "b", "c"]);
    }

    #[test]
    fn file_that_is_not_what_its_manifest_says_is_no_file() {
        let folder = folder("lies");
        put(&folder, "1.jsonl.gz", &["a"], 2);
        let error = document_ids(&folder.0, &list(&folder.0).unwrap()).unwrap_err();
        assert!(error.to_string().ends_with("has 1 events, and its manifest says 2"), "{error}");
    }
}
