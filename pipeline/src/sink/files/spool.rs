//! The bytes of a file on their way to the store: in memory while there are few, in a temporary file from then on.
//!
//! So a file of any size holds [`MEMORY_BYTES`] of memory while it is open, beside what its codec needs.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// How many bytes stay in memory; what is written to the disk at a time, too.
pub(super) const MEMORY_BYTES: usize = 1024 * 1024;

/// Takes bytes, and keeps their number and their hash.
#[derive(Debug)]
pub(super) struct Spool {
    folder: Arc<Path>,
    memory: Vec<u8>,
    file: Option<File>,
    len: u64,
    sha256: Sha256,
}

/// A file that is complete, and not yet in the store.
#[derive(Debug)]
pub(super) struct Spooled {
    spool: Spool,
    pub(super) sha256: [u8; 32],
}

impl Spool {
    /// Returns an empty one, which uses `folder` when memory is full.
    pub(super) fn new(folder: Arc<Path>) -> Self {
        Self { folder, memory: Vec::new(), file: None, len: 0, sha256: Sha256::new() }
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn finish(self) -> Spooled {
        let sha256 = self.sha256.clone().finalize().into();
        Spooled { spool: self, sha256 }
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            fs::create_dir_all(&*self.folder)?;
            let path = self.folder.join(format!("tidings-spool-{}", Uuid::new_v4()));
            let options = File::options().read(true).write(true).create_new(true).clone();
            self.file = Some(options.open(&path)?);
            // Without a name it is gone with the process, however that ends.
            fs::remove_file(&path)?;
        }
        if let Some(file) = &mut self.file {
            file.write_all(&self.memory)?;
        }
        self.memory.clear();
        Ok(())
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sha256.update(bytes);
        self.len += bytes.len() as u64;
        self.memory.extend_from_slice(bytes);
        if self.memory.len() >= MEMORY_BYTES {
            self.spill()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Spooled {
    pub(super) const fn len(&self) -> u64 {
        self.spool.len
    }

    /// Reads it into memory; blocks.
    pub(super) fn into_bytes(self) -> io::Result<Bytes> {
        let Spool { memory, file, len, .. } = self.spool;
        let Some(mut file) = file else { return Ok(memory.into()) };
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or_default());
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        bytes.extend_from_slice(&memory);
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_memory_and_from_disk_and_leave_nothing_there() {
        let folder = std::env::temp_dir().join(format!("tidings-spool-{}", Uuid::new_v4()));
        for len in [0, 10, MEMORY_BYTES - 1, MEMORY_BYTES, 3 * MEMORY_BYTES + 7] {
            let mut spool = Spool::new(folder.clone().into());
            let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
            bytes.chunks(100_000).for_each(|part| spool.write_all(part).unwrap());
            assert_eq!(spool.file.is_some(), len >= MEMORY_BYTES, "{len}");
            let spooled = spool.finish();
            assert_eq!(
                (spooled.len(), spooled.sha256),
                (len as u64, Sha256::digest(&bytes).into())
            );
            assert_eq!(spooled.into_bytes().unwrap(), bytes);
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::remove_dir(&folder).unwrap();
    }
}
