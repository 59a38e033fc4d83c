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
        let target = env::current_exe().unwrap();
        // target/<profile>/deps/<test>
        let folder = target.ancestors().nth(3).unwrap().join("tools").join(self.folder);
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
