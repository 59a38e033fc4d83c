//! A program under test: started, watched, killed, stopped and continued.

use std::{
    collections::BTreeMap,
    env,
    ffi::{OsStr, OsString},
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use tidings_cli::postgres::guard::{Guarded, Will};
use tokio::sync::watch;

use crate::signal::{eventually, watched};

/// What a developer's shell may have set, and what would change what a test sees.
const FOREIGN_PREFIXES: [&str; 3] = ["TIDINGS_", "DATABASE_URL", "PG"];

/// A program to be started.
#[derive(Clone, Debug)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    folder: Option<PathBuf>,
}

impl Launch {
    /// Returns a launch of `program`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let (program, arguments, environment) = (program.into(), Vec::new(), BTreeMap::new());
        Self { program, arguments, environment, folder: None }
    }

    /// Returns a launch of the program `tidings`, as a binary of this package: cargo builds it anew before each run of
    /// the journeys, which it does not do for the binaries of other packages.
    ///
    /// # Panics
    ///
    /// It has not been built, because no journeys were.
    #[must_use]
    pub fn tidings() -> Self {
        let test = env::current_exe().unwrap();
        // target/<profile>/deps/<test> lies beside target/<profile>/tidings-under-test.
        let program = test.ancestors().nth(2).unwrap().join("tidings-under-test");
        assert!(
            program.is_file(),
            "{} does not exist; run cargo build -p tidings-tests",
            program.display()
        );
        Self::new(program)
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Sets a variable. The program sees those of the test otherwise, less what configures Tidings or Postgres.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Sets the working folder.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Starts the program.
    #[must_use]
    pub fn start(&self) -> Process {
        let guarded = Guarded::spawn(&self.program, &Will::kill(), |command| {
            command.args(&self.arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
            let foreign = env::vars_os().map(|(name, _)| name).filter(|name| is_foreign(name));
            for name in foreign {
                command.env_remove(name);
            }
            command.envs(&self.environment);
            if let Some(folder) = &self.folder {
                command.current_dir(folder);
            }
        })
        .unwrap_or_else(|error| panic!("start {}: {error}", self.program.display()));
        let output = watch::Sender::new(Output { open: 2, ..Output::default() });
        collect(guarded.take_stdout().unwrap(), output.clone(), |output| &mut output.stdout);
        collect(guarded.take_stderr().unwrap(), output.clone(), |output| &mut output.stderr);
        Process { guarded, output }
    }
}

/// A running program, killed when it is dropped or when the test process ends.
#[derive(Debug)]
pub struct Process {
    guarded: Guarded,
    output: watch::Sender<Output>,
}

/// What a program has said so far.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Its standard output.
    pub stdout: Vec<String>,
    /// Its standard error.
    pub stderr: Vec<String>,
    /// How many of the two are not at their end.
    open: u8,
}

impl Output {
    pub(crate) fn lines(&self) -> impl Iterator<Item = &String> {
        self.stdout.iter().chain(&self.stderr)
    }
}

impl Process {
    /// Returns the pid.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.guarded.pid()
    }

    /// Returns what the program has said so far.
    #[must_use]
    pub fn output(&self) -> Output {
        self.output.borrow().clone()
    }

    /// Waits for a line, on either output, that contains `text`, and returns it.
    ///
    /// # Panics
    ///
    /// There is none `within` this time; the message shows what there was.
    pub async fn line(&self, text: &str, within: Duration) -> String {
        let what = format!("a line with {text:?}");
        let has = |output: &Output| output.lines().any(|line| line.contains(text));
        let output = watched(self.output.subscribe(), within, &what, has).await;
        output.lines().find(|line| line.contains(text)).unwrap().clone()
    }

    /// Waits for the end of the program and of its output.
    ///
    /// # Panics
    ///
    /// It does not end `within` this time; the message shows what it has said.
    pub async fn exit(&self, within: Duration) -> (ExitStatus, Output) {
        let ended = tokio::time::timeout(within, self.guarded.exited()).await;
        let Ok(status) = ended else {
            panic!("the program has not ended within {within:?}: {:#?}", self.output());
        };
        let closed = |output: &Output| output.open == 0;
        let output = self.output.subscribe();
        let output = watched(output, within, "both outputs are at their end", closed).await;
        (status.unwrap(), output)
    }

    /// Says whether the program is still there.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.guarded.exit().unwrap().is_none()
    }

    /// Kills the program with `SIGKILL` and waits until it is gone.
    pub async fn kill(&self) {
        self.send(Signal::SIGKILL);
        self.guarded.exited().await.unwrap();
    }

    /// Stops the program (`SIGSTOP`) and waits until it stands still.
    pub async fn freeze(&self) {
        self.send(Signal::SIGSTOP);
        let pid = self.pid();
        eventually(Duration::from_secs(5), "the program stands still", async || {
            is_stopped(pid).then_some(())
        })
        .await;
    }

    /// Lets a stopped program go on (`SIGCONT`).
    pub fn thaw(&self) {
        self.send(Signal::SIGCONT);
    }

    /// Asks the program to end, as Ctrl-C does (`SIGINT`).
    pub fn interrupt(&self) {
        self.send(Signal::SIGINT);
    }

    /// Asks the program to end, as a supervisor does (`SIGTERM`).
    pub fn terminate(&self) {
        self.send(Signal::SIGTERM);
    }

    fn send(&self, signal: Signal) {
        assert!(
            self.guarded.signal(signal).unwrap(),
            "the program has ended: {:#?}",
            self.output()
        );
    }
}

/// Says whether every thread of the process is stopped.
///
/// Where there is no `/proc`, the signal is trusted to have had its effect.
fn is_stopped(pid: i32) -> bool {
    let Ok(threads) = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")) else {
        return true;
    };
    threads.filter_map(Result::ok).all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name in parentheses may contain anything, so the state is looked for behind the last one.
        stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with('T'))
    })
}

fn is_foreign(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    // Where the binaries are is a property of the machine.
    if name == "PG_BIN" {
        return false;
    }
    FOREIGN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Reads lines on a thread of its own, so that no test's runtime has to be alive for it.
fn collect(
    source: impl Read + Send + 'static,
    output: watch::Sender<Output>,
    part: impl Fn(&mut Output) -> &mut Vec<String> + Send + 'static,
) {
    thread::spawn(move || {
        for line in BufReader::new(source).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            output.send_modify(|output| part(output).push(line));
        }
        output.send_modify(|output| output.open -= 1);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Process {
        Launch::new("/bin/sh").args(["-c", script]).start()
    }

    #[tokio::test]
    async fn output_and_status_are_kept() {
        let process = shell("echo said; echo complained >&2; printf unfinished; exit 3");
        let (status, output) = process.exit(PATIENCE).await;
        assert_eq!(status.code(), Some(3));
        assert_eq!(output.stdout, ["said", "unfinished"]);
        assert_eq!(output.stderr, ["complained"]);
        assert!(!process.is_running());
    }

    #[tokio::test]
    async fn line_is_waited_for() {
        let process = shell("echo ready at 7 >&2; sleep 600");
        assert_eq!(process.line("ready", PATIENCE).await, "ready at 7");
        process.kill().await;
        assert!(!process.is_running());
    }

    #[tokio::test]
    async fn frozen_program_goes_on_when_it_is_thawed() {
        let process =
            shell("trap 'echo ended; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
        process.line("ready", PATIENCE).await;
        process.freeze().await;
        process.terminate();
        assert!(process.output().stdout.len() == 1 && process.is_running());
        process.thaw();
        let (status, output) = process.exit(PATIENCE).await;
        assert!(status.success());
        assert_eq!(output.stdout, ["ready", "ended"]);
    }

    #[tokio::test]
    async fn program_sees_the_environment_it_was_given() {
        let launch = Launch::new("/bin/sh").args(["-c", "echo $TIDINGS_KEY; pwd"]);
        let process = launch.env("TIDINGS_KEY", "k").folder("/").start();
        assert_eq!(process.exit(PATIENCE).await.1.stdout, ["k", "/"]);
    }
}
