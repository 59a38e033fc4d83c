//! Binaries of PostgreSQL by download, for machines that have none and a build that has the feature `embedded-download`.
//!
//! The crate `postgresql_embedded` fetches and checks the archive; it neither makes the data nor runs the server, because
//! it knows nothing of guards, locks and other users.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use postgresql_embedded::{PostgreSQL, Settings, VersionReq};

use super::{Binaries, folder::Folder, search::probe};

/// The version for new data; existing data bring their own.
const MAJOR: u32 = 17;

/// Downloads the binaries of the major version, once, into the folder.
///
/// # Errors
///
/// The download or its check fails; the folder cannot be written.
pub(super) async fn binaries(folder: &Folder, major: Option<u32>) -> Result<Binaries> {
    let major = major.unwrap_or(MAJOR);
    let version =
        VersionReq::parse(&format!("={major}")).context("name the version to download")?;
    let home = folder.path().join("postgres-binaries");
    let settings = Settings { version, installation_dir: home, ..Settings::default() };
    // The crate would go on and make data. It leaves alone a folder that looks as if it had them; ours is thrown away.
    fs::create_dir_all(&settings.data_dir)
        .and_then(|()| fs::write(settings.data_dir.join("postgresql.conf"), ""))
        .with_context(|| format!("write {}", settings.data_dir.display()))?;
    let password_folder = settings.password_file.parent().map(Path::to_path_buf);
    let mut server = PostgreSQL::new(settings);
    let fetched = server.setup().await;
    let binaries = server.settings().binary_dir();
    drop(server);
    if let Some(folder) = password_folder {
        // Empty, and in the folder for temporary files.
        drop(fs::remove_dir(folder));
    }
    fetched.with_context(|| format!("download PostgreSQL {major}"))?;
    let version = probe(&binaries).await?;
    Ok(Binaries { folder: binaries, version })
}
