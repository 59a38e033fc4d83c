//! The package of the browser client: a copy of `web/`, with what its lock file names, built and compiled.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

/// What a machine without it is told.
const NODE: &str = "node and npm have to be installed, version 20.19 or later";

/// What the copy has of its own.
const MADE: [&str; 3] = ["node_modules", "dist", "build"];

/// Which packages, to the byte.
const LOCK: &str = "package-lock.json";

/// The package, and what it builds to.
#[derive(Debug)]
pub(super) struct Package {
    /// Where it is.
    pub(super) folder: PathBuf,
    /// What a page loads.
    pub(super) script: Vec<u8>,
}

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Returns the package, which is built once for all tests.
pub(super) fn package() -> &'static Package {
    static PACKAGE: OnceLock<Package> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let source = root().join("web");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("web");
        let lock = fs::read(source.join(LOCK)).unwrap();
        let done = folder.join("node_modules/installed.json");
        let installed = fs::read(&done).is_ok_and(|installed| installed == lock);
        empty(&folder, if installed { &MADE[..1] } else { &[] });
        copy(&source, &folder);
        if !installed {
            // What was fetched before is not fetched again.
            npm(
                &folder,
                &["ci", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"],
            );
            fs::write(done, lock).unwrap();
        }
        npm(&folder, &["run", "--silent", "build"]);
        npm(&folder, &["run", "--silent", "compile"]);
        let script = fs::read(folder.join("dist/tidings.js")).unwrap();
        Package { folder, script }
    })
}

/// Runs npm, and returns what it has printed.
pub(super) fn npm(folder: &Path, arguments: &[&str]) -> String {
    let mut npm = Command::new("npm");
    npm.args(arguments).current_dir(folder).stdin(Stdio::null());
    said("npm", &npm.output())
}

/// Runs every file of tests in a folder below `build/tests`; each test passes, and there are some.
pub(super) fn tests(package: &Package, folder: &str, variables: &[(&str, &str)]) {
    let folder = Path::new("build/tests").join(folder);
    let entries = fs::read_dir(package.folder.join(&folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name());
    let files = names.filter(|name| name.to_string_lossy().ends_with(".test.js"));
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=tap"]).args(files.map(|name| folder.join(name)));
    node.current_dir(&package.folder).stdin(Stdio::null()).envs(variables.iter().copied());
    let output = node.output().unwrap_or_else(|error| panic!("{NODE}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", failures(&said));
    assert!(!said.contains("\n# pass 0\n") && said.contains("\n# skipped 0\n"), "{said}");
}

/// Returns what is said of the tests that have failed; everything, if there is none.
fn failures(said: &str) -> String {
    let tests = said.split("# Subtest: ").filter(|test| test.contains("\nnot ok "));
    let failed = tests.collect::<Vec<_>>().join("\n");
    if failed.is_empty() { said.to_owned() } else { failed }
}

/// Removes what is in a folder, but for what is kept.
fn empty(folder: &Path, kept: &[&str]) {
    fs::create_dir_all(folder).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if kept.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
}

/// Copies a folder, without what was made in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if MADE.iter().any(|made| name == *made) {
            continue;
        }
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

fn said(program: &str, output: &io::Result<Output>) -> String {
    let output = output.as_ref().unwrap_or_else(|error| panic!("{NODE}: {error}"));
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{program}: {stdout}\n{stderr}");
    stdout
}

#[test]
fn failures_are_told_without_what_has_passed() {
    let said = "# Subtest: one\nok 1 - one\n# Subtest: two\nnot ok 2 - two\n  why\n";
    assert_eq!(failures(said), "two\nnot ok 2 - two\n  why\n");
    assert_eq!(failures("cannot begin"), "cannot begin");
}
