//! A folder for one test.

use std::{
    env, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// A file system in memory, on Linux.
const MEMORY: &str = "/dev/shm";

/// What has to be free: a hundred databases at once, and the containers' default of 64 MB is refused.
const MEMORY_BYTES_MIN: u64 = 2 << 30;

/// A folder in the system's folder for temporary files, deleted when it is dropped.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
}

impl Temporary {
    /// Makes a new folder that other users may pass through, as a server that does not run as root has to.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self::make(&fs::canonicalize(env::temp_dir()).unwrap(), name)
    }

    /// Makes a new folder in memory where there is enough of it, for data that nobody wants to find again.
    ///
    /// A test database is a thousand small files: on disk it costs up to a quarter of a second, in memory a tenth of that.
    #[must_use]
    pub fn in_memory(name: &str) -> Self {
        if free_memory_bytes() < MEMORY_BYTES_MIN {
            return Self::new(name);
        }
        Self::make(Path::new(MEMORY), name)
    }

    fn make(home: &Path, name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = home.join(format!("tidings-{name}-{}-{number}", process::id()));
            match fs::create_dir(&path) {
                // Left behind by a process that had our pid before.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => {
                    made.unwrap_or_else(|error| panic!("make {}: {error}", path.display()));
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
                    return Self { path };
                }
            }
        }
    }

    /// Returns the path of the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be deleted stays in the folder for temporary files.
        drop(fs::remove_dir_all(&self.path));
    }
}

#[cfg(target_os = "linux")]
fn free_memory_bytes() -> u64 {
    let stat = nix::sys::statvfs::statvfs(MEMORY);
    stat.map_or(0, |stat| stat.blocks_available() * stat.fragment_size())
}

#[cfg(not(target_os = "linux"))]
const fn free_memory_bytes() -> u64 {
    0
}
