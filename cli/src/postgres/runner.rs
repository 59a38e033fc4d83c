//! The user as whom a server runs.
//!
//! PostgreSQL refuses to run as root. Under root it therefore runs as the owner of the data, and data made under root belong
//! to `nobody`.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, Result, bail};

/// The user and group `nobody`, the same number on Linux distributions.
const NOBODY: u32 = 65534;

/// The user as whom the server runs, where that is not our own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Runner {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Runner {
    /// Decides as whom the server on `data` runs; `None` is ourselves.
    ///
    /// # Errors
    ///
    /// The data belong to somebody else, and we are not root.
    pub(super) fn choose(data: &Path) -> Result<Option<Self>> {
        let us = nix::unistd::geteuid().as_raw();
        let owner = match fs::metadata(data) {
            Ok(metadata) => Some(Self::owner(&metadata)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("look at {}", data.display())),
        };
        match owner {
            _ if us == 0 => {
                let owner = owner.filter(|owner| owner.uid != 0);
                Ok(Some(owner.unwrap_or(Self { uid: NOBODY, gid: NOBODY })))
            }
            Some(owner) if owner.uid != us => bail!(
                "{} belongs to uid {}, and this process runs as uid {us}; \
                 run it as that user or as root, or choose another folder",
                data.display(),
                owner.uid
            ),
            _ => Ok(None),
        }
    }

    /// Makes sure that the server can reach what is in `folder`.
    ///
    /// Only the folder itself is opened for it, and only for passing through; what lies above belongs to somebody else.
    ///
    /// # Errors
    ///
    /// A folder above cannot be entered; the message names it.
    pub(super) fn let_into(self, folder: &Path) -> Result<()> {
        for ancestor in folder.ancestors() {
            let metadata = fs::metadata(ancestor)
                .with_context(|| format!("look at the folder {}", ancestor.display()))?;
            if self.may_pass(metadata.mode(), Self::owner(&metadata)) {
                continue;
            }
            if ancestor != folder {
                bail!(
                    "{above} cannot be entered by uid {uid}, as which PostgreSQL runs because it refuses to run as root; \
                     choose a folder elsewhere, run as another user than root, or allow it with `chmod o+x {above}`",
                    above = ancestor.display(),
                    uid = self.uid,
                );
            }
            fs::set_permissions(folder, fs::Permissions::from_mode(metadata.mode() | 0o011))
                .with_context(|| format!("open {} for uid {}", folder.display(), self.uid))?;
        }
        Ok(())
    }

    /// Says whether a folder with this mode and owner lets the server pass: of the three classes, the first that fits counts.
    const fn may_pass(self, mode: u32, owner: Self) -> bool {
        let bit = if owner.uid == self.uid {
            0o100
        } else if owner.gid == self.gid {
            0o010
        } else {
            0o001
        };
        mode & bit != 0
    }

    fn owner(metadata: &fs::Metadata) -> Self {
        Self { uid: metadata.uid(), gid: metadata.gid() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_that_fits_first_decides_who_may_enter() {
        let runner = Runner { uid: 7, gid: 8 };
        let cases = [
            (0o700, (7, 0), true),
            (0o077, (7, 8), false),
            (0o710, (0, 8), true),
            (0o701, (0, 8), false),
            (0o701, (0, 0), true),
            (0o700, (0, 0), false),
            (0o770, (0, 0), false),
        ];
        for (mode, (uid, gid), expected) in cases {
            let allowed = runner.may_pass(mode, Runner { uid, gid });
            assert_eq!(allowed, expected, "{mode:o} of {uid}:{gid}");
        }
    }
}
