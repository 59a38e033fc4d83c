//! Node, with the packages that `tests/catalogue/package-lock.json` names.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use tidings_tests::Temporary;

/// What a machine without it is told.
const NODE: &str = "node has to be installed, version 20 or later";

/// Which packages, to the byte.
const LOCK: &str = "package-lock.json";

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogue")
}

/// Returns the folder with the packages, which are installed where they are not those of the lock file.
fn packages() -> &'static Path {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("catalogue");
        let lock = fs::read(source().join(LOCK)).unwrap();
        let done = folder.join("installed.json");
        if fs::read(&done).is_ok_and(|installed| installed == lock) {
            return folder;
        }
        fs::create_dir_all(&folder).unwrap();
        for name in ["package.json", LOCK] {
            fs::copy(source().join(name), folder.join(name)).unwrap();
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
        said("npm", &npm.stdin(Stdio::null()).output());
        fs::write(done, lock).unwrap();
        folder
    })
}

/// Runs a program of `tests/catalogue` on `input`, and returns what it prints.
pub(super) fn run(program: &str, input: &str) -> String {
    // A module looks for its packages beside itself.
    let path = packages().join(program);
    fs::copy(source().join(program), &path).unwrap();
    let mut node = Command::new("node");
    let node = node.arg(path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = node.spawn().unwrap_or_else(|error| panic!("{NODE}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    said("node", &child.wait_with_output())
}

/// Checks that TypeScript accepts the files, at its strictest.
pub(super) fn compile(files: &[(&str, &str)]) {
    let said = errors(files);
    assert!(said.is_empty(), "{said}\n{}", files[0].1);
}

/// Returns what TypeScript has to say about the files.
pub(super) fn errors(files: &[(&str, &str)]) -> String {
    let folder = Temporary::new("typescript");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut node = Command::new("node");
    node.arg(packages().join("node_modules/typescript/bin/tsc"))
        .args(["--strict", "--noEmit", "--pretty", "false", "--target", "es2022"])
        .args(["--module", "es2022", "--moduleResolution", "bundler", "--types", ""])
        .args(["--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"])
        .args(files.iter().map(|(name, _)| name))
        .current_dir(folder.path())
        .stdin(Stdio::null());
    let output = node.output().unwrap_or_else(|error| panic!("{NODE}: {error}"));
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

fn said(program: &str, output: &std::io::Result<Output>) -> String {
    let output =
        output.as_ref().unwrap_or_else(|error| panic!("{program} has to be installed: {error}"));
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{program}: {stdout}\n{stderr}");
    stdout
}
