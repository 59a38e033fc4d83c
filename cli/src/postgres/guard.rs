//! A child process that does not outlive this one.
//!
//! A parent-death signal needs `unsafe` in Rust and does not exist on macOS, so a shell waits beside the child and reads
//! from a pipe whose other end only this process holds.
//! However this process ends, `kill -9` included, the kernel closes that end, and the shell ends the child.
//! Shell and child start as one process that divides itself, so there is no moment in which one is there without the other.
//!
//! ```text
//! this process ──pipe──▶ guard: reads until a word (the child is over: leave)
//!      │                   or the end of the pipe (this process is gone: carry out the will)
//!      └──────child──▶ program, in a process group of its own, so that Ctrl-C in the terminal does not reach it
//! ```

use std::{
    io::{self, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How often the end of a child is looked for. Short, because stopping waits for it; cheap, because it is one system call.
const EXIT_POLL: Duration = Duration::from_millis(5);

/// Divides itself into the guard and the program. `$$` is the program's pid in both.
///
/// The guard is put under `init` by a subshell that ends at once: a server that collects all of its children must not
/// meet one that it does not know. It keeps none of the program's outputs open, or a reader would never see their end.
const SCRIPT: &str = r#"
exec 3<&0 </dev/null
gone() {
  n=0
  while kill -0 $$; do
    [ "$n" -lt "$1" ] || return 1
    n=$((n + 1))
    sleep 0.1
  done
}
(
  (
    trap '' HUP INT QUIT TERM
    if ! read -r word <&3; then
      kill -s "$1" $$
      gone "$3" || { kill -s "$2" $$; gone 100; }
      [ -z "$4" ] || rm -rf -- "$4"
    fi
  ) >/dev/null 2>&1 &
)
shift 4
exec 3<&-
exec "$@"
"#;

/// What the guard does when this process has ended and the child has not.
#[derive(Clone, Debug)]
pub struct Will {
    /// The signal that the child gets at once.
    pub first: Signal,
    /// The signal that it gets if it is still there after `grace`.
    pub then: Signal,
    /// How long the child may take after the first signal; whole tenths of a second.
    pub grace: Duration,
    /// A folder that is deleted afterwards, with everything in it.
    pub remove: Option<PathBuf>,
}

impl Will {
    /// Returns the will that ends the child with `SIGKILL` at once and deletes nothing.
    #[must_use]
    pub const fn kill() -> Self {
        Self { first: Signal::SIGKILL, then: Signal::SIGKILL, grace: Duration::ZERO, remove: None }
    }
}

/// A running child under guard.
///
/// It belongs to no async runtime, so that one server can serve tests that each have their own.
/// Dropping it kills the child with `SIGKILL` and waits for its end.
#[derive(Debug)]
pub struct Guarded {
    pid: Pid,
    state: Mutex<State>,
}

/// The child, and the pipe to its guard for as long as the child is not known to be over.
#[derive(Debug)]
struct State {
    child: Child,
    guard: Option<ChildStdin>,
}

impl Guarded {
    /// Starts `program` under a guard that knows `will`.
    ///
    /// `configure` adds arguments, environment, user and outputs; the input belongs to the guard, and the program's own is
    /// `/dev/null`.
    /// A program that cannot be executed ends at once with status 126 or 127 and says why on its standard error.
    ///
    /// # Errors
    ///
    /// The shell `/bin/sh` cannot be started, or not as the user that `configure` asked for.
    pub fn spawn(
        program: &Path,
        will: &Will,
        configure: impl FnOnce(&mut Command),
    ) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "sh"]);
        command.arg(name(will.first)).arg(name(will.then));
        command.arg((will.grace.as_millis() / 100).to_string());
        command.arg(will.remove.as_deref().unwrap_or(Path::new("")));
        command.arg(program);
        configure(&mut command);
        let mut child = command.stdin(Stdio::piped()).process_group(0).spawn()?;
        let guard = child.stdin.take();
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        Ok(Self { pid: Pid::from_raw(pid), state: Mutex::new(State { child, guard }) })
    }

    /// Returns the process id of the program. It is not given to another process before [`exit`](Self::exit) has said
    /// that this one is over.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Returns how the program ended, or `None` while it runs.
    ///
    /// # Errors
    ///
    /// The operating system does not know the child; it cannot happen unless something else collects our children.
    pub fn exit(&self) -> io::Result<Option<ExitStatus>> {
        self.state().exit()
    }

    /// Waits until the program has ended, and returns how.
    ///
    /// # Errors
    ///
    /// As for [`exit`](Self::exit).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn exited(&self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.exit()? {
                return Ok(status);
            }
            tokio::time::sleep(EXIT_POLL).await;
        }
    }

    /// Sends `signal` to the program, and returns whether it was still there to get it.
    ///
    /// # Errors
    ///
    /// As for [`exit`](Self::exit).
    pub fn signal(&self, signal: Signal) -> io::Result<bool> {
        let mut state = self.state();
        if state.exit()?.is_some() {
            return Ok(false);
        }
        // The child has not been collected, and cannot be while we hold the state: the pid is its own.
        kill(self.pid, signal)?;
        Ok(true)
    }

    /// Hands over the program's standard output, once, if it was configured as a pipe.
    pub fn take_stdout(&self) -> Option<ChildStdout> {
        self.state().child.stdout.take()
    }

    /// Hands over the program's standard error, once, if it was configured as a pipe.
    pub fn take_stderr(&self) -> Option<ChildStderr> {
        self.state().child.stderr.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let mut state = self.state();
        if !matches!(state.exit(), Ok(None)) {
            return;
        }
        // Neither call can fail for a child that is not collected yet; and a destructor could not say so.
        drop(state.child.kill());
        drop(state.child.wait());
        state.dismiss();
    }
}

impl State {
    fn exit(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.dismiss();
        }
        Ok(status)
    }

    /// Tells the guard that there is nothing left to guard, before the pid can belong to somebody else.
    fn dismiss(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            // A guard that is gone needs no telling.
            drop(guard.write_all(b"over\n"));
        }
    }
}

/// Returns the name that `kill -s` knows the signal by.
fn name(signal: Signal) -> &'static str {
    let name = signal.as_str();
    name.strip_prefix("SIG").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn status_of_the_program_is_reported() {
        let guarded = Guarded::spawn(Path::new("/bin/sh"), &Will::kill(), |command| {
            command.args(["-c", "exit 7"]);
        })
        .unwrap();
        assert_eq!(guarded.exited().await.unwrap().code(), Some(7));
        assert!(!guarded.signal(Signal::SIGTERM).unwrap(), "an ended program gets no signal");
    }

    #[tokio::test]
    async fn signal_reaches_the_program_itself() {
        let guarded = Guarded::spawn(Path::new("/bin/sleep"), &Will::kill(), |command| {
            command.arg("60");
        })
        .unwrap();
        assert!(guarded.signal(Signal::SIGTERM).unwrap());
        let status = guarded.exited().await.unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    }

    #[tokio::test]
    async fn program_that_is_not_there_is_told_on_standard_error() {
        let guarded = Guarded::spawn(Path::new("/nonexistent"), &Will::kill(), |command| {
            command.stderr(Stdio::piped());
        })
        .unwrap();
        assert_eq!(guarded.exited().await.unwrap().code(), Some(127));
        let mut said = String::new();
        io::Read::read_to_string(&mut guarded.take_stderr().unwrap(), &mut said).unwrap();
        assert!(said.contains("/nonexistent"), "{said}");
    }
}
