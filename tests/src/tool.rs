//! Servers that are built from Go's module proxy, once, and stay under `target/tools`.

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// A program that Go builds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    /// What is built, with its version: Go's checksum database vouches for it.
    pub(crate) package: &'static str,
    /// The folder of this version below `target/tools`.
    pub(crate) folder: &'static str,
    /// The name that Go gives the program.
    pub(crate) program: &'static str,
}

impl Tool {
    /// Returns the program; builds it once, and never twice at the same time.
    pub(crate) fn build(self) -> PathBuf {
        let folder = folder(self.folder);
        fs::create_dir_all(&folder).unwrap();
        let lock = File::create(folder.join("lock")).unwrap();
        lock.lock().unwrap();
        let program = folder.join(self.program);
        if !program.is_file() {
            let installed = Path::new("/usr/local/go/bin/go");
            let go = if installed.is_file() { installed } else { Path::new("go") };
            let package = self.package;
            let built = Command::new(go).args(["install", package]).env("GOBIN", &folder).output();
            let built = built.unwrap_or_else(|error| {
                panic!(
                    "{error}: install Go 1.26 or later, from https://go.dev/dl or by brew install go"
                )
            });
            let said = String::from_utf8_lossy(&built.stderr);
            assert!(built.status.success(), "go install {package}: {said}");
        }
        program
    }
}

/// Returns the folder of a version of a tool, which stays there when the target is built anew.
pub(crate) fn folder(name: &str) -> PathBuf {
    let program = env::current_exe().unwrap();
    // target/<profile>/deps/<test>, or target/<profile>/<program>
    let profile = program.ancestors().nth(1).unwrap();
    let profile = if profile.ends_with("deps") { profile.parent().unwrap() } else { profile };
    profile.parent().unwrap().join("tools").join(name)
}
