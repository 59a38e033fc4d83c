//! The data of a server: how they are made, and what a killed server may have left in them.

use std::{
    fs::{self, File},
    io,
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::timeout;

use super::{
    Auth, Binaries, Options,
    embedded::Embedded,
    folder::Folder,
    guard::{Guarded, Will},
};

/// Makes the data of a new server: whole, or not at all.
///
/// The locale is C: byte order does not change with the operating system, so no upgrade of it can break an index.
pub(super) async fn make(
    folder: &Folder,
    binaries: &Binaries,
    options: &Options,
    log: &File,
) -> Result<()> {
    let unfinished = folder.unfinished_data();
    match fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("remove {}", unfinished.display()));
        }
        _ => {}
    }
    fs::create_dir(&unfinished).with_context(|| format!("make {}", unfinished.display()))?;
    folder.give(&unfinished)?;
    folder.write_secret(&folder.password_file(), &random_password())?;

    let will = Will {
        first: Signal::SIGTERM,
        remove: options.removed_with_process.then(|| folder.path().to_path_buf()),
        ..Will::kill()
    };
    let stdout = log.try_clone().context("hand the log to initdb")?;
    let stderr = log.try_clone().context("hand the log to initdb")?;
    let auth = match options.auth {
        Auth::Scram => "scram-sha-256",
        Auth::Password => "password",
    };
    let program = binaries.program("initdb");
    let initdb = Guarded::spawn(&program, &will, |command| {
        folder.prepare(command);
        command.arg("-D").arg(&unfinished).arg("--pwfile").arg(folder.password_file());
        command.args([
            "--no-locale",
            "--encoding=UTF8",
            "--username",
            Embedded::ROLE,
            "--auth",
            auth,
        ]);
        if !options.fsync {
            command.arg("--no-sync");
        }
        command.stdout(stdout).stderr(stderr);
    })
    .with_context(|| format!("start {}", program.display()))?;
    let status = timeout(options.start_timeout, initdb.exited()).await;
    let status = status.with_context(|| format!("initdb hangs; {}", folder.log_tail(0)))??;
    if !status.success() {
        bail!("initdb could not make a database ({status}); {}", folder.log_tail(0));
    }
    fs::rename(&unfinished, folder.data())
        .and_then(|()| File::open(folder.path())?.sync_all())
        .with_context(|| format!("make {} final", folder.data().display()))
}

/// Removes the pid file of a server that was killed, if its pid belongs to some other program by now.
///
/// PostgreSQL removes it by itself if nobody has the pid, but believes in any process of its own user that has it.
///
/// # Errors
///
/// There is a server on these data that does not hold our lock: somebody has started it by hand.
pub(super) fn clear_stale_pid(folder: &Folder) -> Result<()> {
    let Some(pid) = folder.pid_in_data() else { return Ok(()) };
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return Ok(());
    }
    if serves(pid, &folder.data()) {
        bail!(
            "PostgreSQL with pid {pid} runs on {} already; stop it first",
            folder.data().display()
        );
    }
    let path = folder.data().join("postmaster.pid");
    fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))
}

/// Says whether the process `pid` is a server on `data`.
fn serves(pid: i32, data: &Path) -> bool {
    // A server works in its data folder. Where that cannot be seen, its name must do.
    if let Ok(folder) = fs::read_link(format!("/proc/{pid}/cwd")) {
        return folder == data;
    }
    let output = Command::new("ps").args(["-o", "command=", "-p", &pid.to_string()]).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("postgres"))
}

/// Returns 256 random bits, in characters that need no escaping in a URL.
fn random_password() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}
