//! The zip with a manifest.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    io::Cursor,
    vec,
};

use ::zip::{ZipArchive, result::ZipError};
use bytes::Bytes;

use super::{
    ITEMS_MAX, Item, Limits, Problem, batch,
    batch::Found,
    clipped,
    inflate::{self, Budget},
    manifest::{self, Listed},
};

/// How many files a zip may have: each item is one, and there may be a few others.
const FILES_MAX: usize = 2 * ITEMS_MAX;

/// What each file in the directory of a zip begins with.
const SIGNATURE: &[u8] = b"PK\x01\x02";

/// What a manifest calls telemetry.
const TELEMETRY: &str = "telemetry";

/// A zip whose manifest has been read.
pub(super) struct Zip {
    archive: ZipArchive<Cursor<Bytes>>,
    places: HashMap<String, usize>,
    /// What stands before the names in the manifest: nothing, or a folder and its slash.
    folder: String,
    listed: vec::IntoIter<Listed>,
    read: HashSet<String>,
}

impl Zip {
    /// Reads the directory and the manifest.
    pub(super) fn open(
        bytes: Bytes,
        budget: &mut Budget,
        notes: &mut Vec<Problem>,
    ) -> Result<Self, Problem> {
        // Before the directory is read: what is made of it takes more memory than it does.
        let files = bytes.windows(SIGNATURE.len()).filter(|window| *window == SIGNATURE);
        if files.take(FILES_MAX + 1).count() > FILES_MAX {
            let message = format!("it has more than {FILES_MAX} files; share it in parts");
            return Err(Problem::new("too_many_files", message));
        }
        let mut archive =
            ZipArchive::new(Cursor::new(bytes)).map_err(|error| unreadable(&error))?;
        let mut places = HashMap::new();
        for (place, name) in archive.file_names().enumerate() {
            // What has no readable name is not listed either.
            if let Ok(name) = name {
                places.insert(name.into_owned(), place);
            }
        }
        let folder = folder(&places)?;
        let place = places.get(&format!("{folder}{}", manifest::NAME)).copied();
        let place = place.ok_or_else(missing)?;
        let manifest = read(&mut archive, place, manifest::BYTES_MAX, budget);
        let manifest = manifest.map_err(|problem| match problem.code {
            "encrypted" => problem,
            _ => Problem::new(
                "malformed_manifest",
                format!("{} cannot be read: {problem}", manifest::NAME),
            ),
        })?;
        let listed = manifest::read(&manifest, notes)?;
        notes.extend(unlisted(&places, &folder, &listed));
        let (listed, read) = (listed.into_iter(), HashSet::new());
        Ok(Self { archive, places, folder, listed, read })
    }

    /// Returns how many items are left.
    pub(super) fn len(&self) -> usize {
        self.listed.len()
    }

    /// Reads the next item of the list.
    pub(super) fn next(&mut self, limits: &Limits, budget: &mut Budget) -> Option<Item> {
        let listed = self.listed.next()?;
        let mut notes = Vec::new();
        let found = self.find(&listed, &mut notes, limits, budget);
        let file = listed.file.unwrap_or_default();
        Some(Item::of(&file, (listed.mid, listed.events), found, notes))
    }

    fn find(
        &mut self,
        listed: &Listed,
        notes: &mut Vec<Problem>,
        limits: &Limits,
        budget: &mut Budget,
    ) -> Result<Found, Problem> {
        let place = self.place(listed)?;
        // The largest batch, and what gzip adds to one that it cannot make smaller.
        let gzip_bytes_max = limits.batch_bytes_max + limits.batch_bytes_max / 1000 + 1024;
        let gzip = read(&mut self.archive, place, gzip_bytes_max, budget)?;
        let plain = inflate::gunzip(&gzip, limits, budget)?;
        let sizes = [
            ("size_differs", "size", listed.size, gzip.len()),
            ("exploded_size_differs", "explodedSize", listed.exploded_size, plain.len()),
        ];
        for (code, name, said, size) in sizes {
            if let Some(said) = said.filter(|said| *said != size as u64) {
                notes.push(Problem::new(
                    code,
                    format!("its `{name}` is said to be {said}, and is {size}"),
                ));
            }
        }
        batch::look(plain, None, limits)
    }

    /// Returns where a listed file stands in the zip.
    fn place(&mut self, listed: &Listed) -> Result<usize, Problem> {
        let file = listed.file.as_deref().unwrap_or_default();
        if file.is_empty() {
            return Err(Problem::new("missing_file", "the manifest names no file for it"));
        }
        if !is_inside(file) {
            let message = "its name leads out of the archive; nothing is read there";
            return Err(Problem::new("unsafe_name", message));
        }
        match listed.object_type.as_deref() {
            None | Some(TELEMETRY) => {}
            Some(other) => {
                let message = match other {
                    "analytics" => {
                        "it has calls for `/analytics`; open the archive in a page with the browser client"
                            .to_owned()
                    }
                    other => format!("it is `{}`; only telemetry is imported", clipped(other)),
                };
                return Err(Problem::new("unsupported_type", message));
            }
        }
        if listed.encoding.as_deref() != Some("gzip") {
            let message = "its `contentEncoding` is not `gzip`, the one that is read";
            return Err(Problem::new("unsupported_encoding", message));
        }
        let name = format!("{}{file}", self.folder);
        let place = self.places.get(&name).copied();
        let place = place.ok_or_else(|| {
            Problem::new("missing_file", "it is not in the archive; share it again")
        })?;
        if !self.read.insert(name) {
            return Err(Problem::new("repeated_file", "the manifest lists the same file before"));
        }
        Ok(place)
    }
}

impl fmt::Debug for Zip {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Zip").field("left", &self.len()).finish_non_exhaustive()
    }
}

/// Returns the folder of the manifest: the root, or else the only folder that has one.
fn folder(places: &HashMap<String, usize>) -> Result<String, Problem> {
    if places.contains_key(manifest::NAME) {
        return Ok(String::new());
    }
    let mut folders = places.keys().filter_map(|name| {
        let folder = name.strip_suffix(manifest::NAME)?;
        (folder.find('/')? + 1 == folder.len()).then_some(folder)
    });
    let folder = folders.next().ok_or_else(missing)?;
    if folders.next().is_some() {
        let message = format!("several folders have a {}; share them one by one", manifest::NAME);
        return Err(Problem::new("manifest_ambiguous", message));
    }
    if !is_inside(folder) {
        return Err(missing());
    }
    Ok(folder.to_owned())
}

/// Returns whether a name stays below where it begins, on every system.
fn is_inside(name: &str) -> bool {
    let has_drive = name.as_bytes().get(1) == Some(&b':');
    let climbs = name.split(['/', '\\']).any(|part| part == "..");
    !has_drive && !climbs && !name.starts_with(['/', '\\']) && !name.contains('\0')
}

fn missing() -> Problem {
    let message = format!("the archive has no {} at its root or in its folder", manifest::NAME);
    Problem::new("manifest_missing", message)
}

/// Notes what is in the zip and not in the list: nothing of it is imported.
fn unlisted(places: &HashMap<String, usize>, folder: &str, listed: &[Listed]) -> Option<Problem> {
    let known: HashSet<&str> = listed.iter().filter_map(|listed| listed.file.as_deref()).collect();
    let is_known = |name: &str| {
        let name = name.strip_prefix(folder).unwrap_or(name);
        name == manifest::NAME || known.contains(name)
    };
    let others = places.keys().filter(|name| !name.ends_with('/') && !is_known(name)).count();
    let message = format!("{others} files are not in {}, and are not read", manifest::NAME);
    (others > 0).then(|| Problem::new("unlisted_files", message))
}

fn read(
    archive: &mut ZipArchive<Cursor<Bytes>>,
    place: usize,
    bytes_max: usize,
    budget: &mut Budget,
) -> Result<Vec<u8>, Problem> {
    let file = archive.by_index(place).map_err(|error| unreadable(&error))?;
    inflate::read(file, bytes_max, budget)
}

fn unreadable(error: &ZipError) -> Problem {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => {
            Problem::new("encrypted", "it is encrypted; share it without a password")
        }
        ZipError::CompressionMethodNotSupported(method) => {
            let message = format!("it is compressed by method {method}; use deflate or none");
            Problem::new("unsupported_compression", message)
        }
        _ => Problem::new("broken_archive", "the zip cannot be read; share it again"),
    }
}
