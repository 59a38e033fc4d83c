//! Programs of other languages, installed with what they depend on, and run.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tidings_tests::search;
use tokio::{io::AsyncWriteExt as _, process::Command};

/// How long an installation may take, which may have to fetch packages first.
const INSTALLATION_MAX: Duration = Duration::from_mins(5);

/// How long a program may run, on a machine that is busy with something else.
const RUN_MAX: Duration = Duration::from_mins(1);

/// What a developer's shell may have set, and what would change whom a program connects to.
const FOREIGN_PREFIXES: [&str; 2] = ["PG", "DATABASE_URL"];

/// A program of another language, ready to run.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    arguments: Vec<OsString>,
    pub(crate) folder: PathBuf,
}

/// What a program has said, and that it ended well.
pub(super) type Output = String;

impl Program {
    /// Returns a script of a folder with a `requirements.txt`, in a virtual environment that has them.
    pub(super) async fn python(source: &str, script: &str) -> Self {
        let folder = install(source, &["requirements.txt"], async |folder| {
            let python = ["-m", "venv", "--clear", ".venv"];
            run(Command::new("python3").args(python).current_dir(folder), INSTALLATION_MAX, "")
                .await;
            let pip = ["-m", "pip", "install", "--quiet", "--requirement", "requirements.txt"];
            let python = folder.join(".venv/bin/python");
            run(Command::new(python).args(pip).current_dir(folder), INSTALLATION_MAX, "").await;
        })
        .await;
        Self { path: folder.join(".venv/bin/python"), arguments: vec![script.into()], folder }
    }

    /// Returns a script of a folder with a `package-lock.json`, beside the packages that it locks.
    pub(crate) async fn node(source: &str, script: &str) -> Self {
        let folder = install(source, &["package.json", "package-lock.json"], async |folder| {
            let npm = ["ci", "--silent", "--no-audit", "--no-fund"];
            run(Command::new("npm").args(npm).current_dir(folder), INSTALLATION_MAX, "").await;
        })
        .await;
        Self { path: "node".into(), arguments: vec![script.into()], folder }
    }

    /// Returns the program of a Go module, built from what its `go.sum` locks.
    pub(super) async fn go(source: &str) -> Self {
        let folder = install(source, &["go.mod", "go.sum"], async |_| {}).await;
        let go = ["build", "-mod=readonly", "-o", "program", "."];
        run(Command::new(find_go()).args(go).current_dir(&folder), INSTALLATION_MAX, "").await;
        Self { path: folder.join("program"), arguments: Vec::new(), folder }
    }

    /// Returns the program of a crate that is no member of the workspace, built from what its `Cargo.lock` locks.
    pub(crate) async fn cargo(source: &str) -> Self {
        let source = root().join(source);
        let name = source.file_name().unwrap();
        let home = env::current_exe().unwrap().ancestors().nth(3).unwrap().join("languages");
        let folder = home.join(name);
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--locked", "--target-dir"]).arg(&folder);
        run(cargo.current_dir(&source), INSTALLATION_MAX, "").await;
        let package = fs::read_to_string(source.join("Cargo.toml")).unwrap();
        let package: toml::Table = package.parse().unwrap();
        let program = package["package"]["name"].as_str().unwrap();
        Self { path: folder.join("debug").join(program), arguments: Vec::new(), folder: source }
    }

    /// Returns a shell script that calls `psql`.
    pub(super) fn shell(source: &str, script: &str) -> Self {
        Self { path: "sh".into(), arguments: vec![script.into()], folder: root().join(source) }
    }

    /// Adds an argument.
    pub(super) fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Runs the program with this database and this input.
    pub(super) async fn run(&self, database_url: &str, input: &str) -> Output {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).current_dir(&self.folder);
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy();
            if FOREIGN_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name.as_ref());
            }
        }
        command.env("DATABASE_URL", database_url).env("PATH", path_with_psql().await);
        run(&mut command, RUN_MAX, input).await
    }
}

/// Runs SQL with `psql`, as whoever the URL names.
pub(super) async fn psql(database_url: &str, source: &str, variables: &[&str]) -> Output {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
    for variable in variables {
        command.args(["-v", variable]);
    }
    command.arg("-f").arg(root().join(source)).arg(database_url);
    command.env("PATH", path_with_psql().await);
    run(&mut command, RUN_MAX, "").await
}

/// Returns the `PATH`, and the folder of the Postgres that the tests run after it: its `psql` is there as well.
async fn path_with_psql() -> OsString {
    let postgres = search().find(None).await.unwrap().program("psql");
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(postgres.parent().map(Path::to_owned));
    env::join_paths(folders).unwrap()
}

/// Returns a copy of a folder under `target/languages` in which `install` was run.
///
/// It is run again only when one of the files in `locks` has changed, and never twice at the same time.
async fn install(source: &str, locks: &[&str], install: impl AsyncFnOnce(&Path)) -> PathBuf {
    let source_folder = root().join(source);
    let name = source.replace('/', "-");
    let home = env::current_exe().unwrap().ancestors().nth(3).unwrap().join("languages");
    fs::create_dir_all(&home).unwrap();
    let lock = File::create(home.join(format!("{name}.lock"))).unwrap();
    // The holder may be a test of this process, on this thread.
    let lock =
        tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await.unwrap().unwrap();

    let folder = home.join(&name);
    let marker = folder.join("installed");
    let wanted: String =
        locks.iter().map(|file| fs::read_to_string(source_folder.join(file)).unwrap()).collect();
    let installed = fs::read_to_string(&marker).is_ok_and(|found| found == wanted);
    if !installed && folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(&folder).unwrap();
    copy(&source_folder, &folder);
    if !installed {
        install(&folder).await;
        fs::write(marker, wanted).unwrap();
    }
    drop(lock);
    folder
}

/// Copies the files of a folder, and not what is in folders below it.
fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Runs a command, and returns what it has printed.
///
/// # Panics
///
/// It is not installed, takes too long or fails; the message says what to install, or what it has printed.
async fn run(command: &mut Command, time_max: Duration, input: &str) -> Output {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap_or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => panic!("{}", advice(&name)),
        _ => panic!("{name}: {error}"),
    });
    let mut stdin = child.stdin.take().unwrap();
    let work = async {
        // Whoever reads nothing has closed it.
        drop(stdin.write_all(input.as_bytes()).await);
        drop(stdin);
        child.wait_with_output().await.unwrap()
    };
    let output = tokio::time::timeout(time_max, work).await;
    let output = output.unwrap_or_else(|_| panic!("{name} did not end within {time_max:?}"));
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} ended with {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// Returns Go, where its installer puts it or on the `PATH`.
fn find_go() -> PathBuf {
    let installed = PathBuf::from("/usr/local/go/bin/go");
    if installed.is_file() { installed } else { "go".into() }
}

/// Returns what to install where a program is missing.
pub(crate) fn advice(program: &str) -> String {
    let (debian, macos) = match program {
        "python3" => ("apt-get install python3 python3-venv", "brew install python"),
        "node" | "npm" => ("apt-get install nodejs npm", "brew install node"),
        "chromium" => ("apt-get install chromium", "brew install --cask chromium"),
        "go" => ("Go 1.24 or later, from https://go.dev/dl", "brew install go"),
        "psql" | "sh" => ("apt-get install postgresql-client", "brew install postgresql@17"),
        _ => return format!("{program} is not there, although it was installed a moment ago"),
    };
    format!(
        "{program} is not installed, and the tests do not pass without it\n  Debian, Ubuntu: {debian}\n  macOS: {macos}"
    )
}

pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn program_that_is_missing_fails_the_test_with_what_to_install() {
    for (program, installs) in [
        ("python3", "python3-venv"),
        ("node", "nodejs"),
        ("npm", "npm"),
        ("chromium", "chromium"),
        ("go", "https://go.dev/dl"),
        ("psql", "postgresql-client"),
    ] {
        let advice = advice(program);
        assert!(advice.starts_with(&format!("{program} is not installed")), "{advice}");
        assert!(advice.contains(installs) && advice.contains("brew install"), "{advice}");
    }
}

#[tokio::test]
#[should_panic(expected = "program-of-nobody is not there")]
async fn program_that_is_not_there_is_no_skip() {
    run(&mut Command::new("program-of-nobody"), RUN_MAX, "").await;
}
