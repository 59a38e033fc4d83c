//! The start of a server: on a free port, watched until it says that it is ready.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, TcpListener},
    process::ExitStatus,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep};

use super::{
    Binaries, Options,
    folder::Folder,
    guard::{Guarded, Will},
};

/// How often the server is asked whether it is ready: starting takes about fifty milliseconds.
const READY_POLL: Duration = Duration::from_millis(5);

/// Ports that no outgoing connection is given by itself.
const QUIET_PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How many ports are tried if others keep taking them between our looking and the server's binding.
const PORT_ATTEMPTS: u32 = 5;

/// What starting needs, at each attempt.
pub(super) struct Launch<'a> {
    pub(super) folder: &'a Folder,
    pub(super) binaries: &'a Binaries,
    pub(super) options: &'a Options,
    pub(super) log: &'a File,
}

impl Launch<'_> {
    /// Starts the server and waits until it is ready, on another port if somebody was faster with ours.
    pub(super) async fn until_ready(&self, lock: &File) -> Result<(Guarded, u16)> {
        let mut preferred = self.folder.port();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let port = free_port(preferred.take())?;
            let log_start = self.log.metadata().map_or(0, |metadata| metadata.len());
            let server = self.spawn(port, lock)?;
            let Some(status) = self.ready(&server, log_start).await? else {
                self.folder.write_port(port)?;
                return Ok((server, port));
            };
            let said = self.folder.log_tail(log_start);
            if attempts >= PORT_ATTEMPTS || !said.contains("could not bind") {
                bail!("PostgreSQL ended while starting ({status}); {said}");
            }
        }
    }

    /// Starts the server once.
    fn spawn(&self, port: u16, lock: &File) -> Result<Guarded> {
        let stdout = lock.try_clone().context("hand the lock to PostgreSQL")?;
        let stderr = self.log.try_clone().context("hand the log to PostgreSQL")?;
        let throwaway = self.options.removed_with_process;
        let will = Will {
            first: if throwaway { Signal::SIGQUIT } else { Signal::SIGINT },
            then: Signal::SIGQUIT,
            grace: self.options.stop_timeout,
            remove: throwaway.then(|| self.folder.path().to_path_buf()),
        };
        let program = self.binaries.program("postgres");
        Guarded::spawn(&program, &will, |command| {
            self.folder.prepare(command);
            command.arg("-D").arg(self.folder.data());
            for (name, value) in arguments(port, self.options) {
                command.arg("-c").arg(format!("{name}={value}"));
            }
            // The server never writes there; it only keeps the lock open, in every one of its processes.
            command.stdout(stdout).stderr(stderr);
        })
        .with_context(|| format!("start {}", program.display()))
    }

    /// Waits until the server is ready, and returns `None` then; or how it ended instead.
    ///
    /// The server says so itself in its pid file, as it does to `pg_ctl`. Asking by connecting could reach a stranger who
    /// took the port first.
    async fn ready(&self, server: &Guarded, log_start: u64) -> Result<Option<ExitStatus>> {
        let pid_file = self.folder.data().join("postmaster.pid");
        let deadline = Instant::now() + self.options.start_timeout;
        loop {
            if let Some(status) = server.exit()? {
                return Ok(Some(status));
            }
            if fs::read_to_string(&pid_file).is_ok_and(|text| says_ready(&text, server.pid())) {
                return Ok(None);
            }
            if Instant::now() >= deadline {
                bail!(
                    "PostgreSQL was not ready within {} seconds; {}",
                    self.options.start_timeout.as_secs(),
                    self.folder.log_tail(log_start)
                );
            }
            sleep(READY_POLL).await;
        }
    }
}

/// Returns the settings of one start; later ones win.
fn arguments(port: u16, options: &Options) -> Vec<(String, String)> {
    let own = [
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("log_destination", "stderr"),
        ("logging_collector", "off"),
        ("log_checkpoints", "off"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
    ];
    let throwaway = [("fsync", "off"), ("full_page_writes", "off")];
    let throwaway = throwaway.into_iter().filter(|_| !options.fsync);
    let mut arguments: Vec<_> = own
        .into_iter()
        .chain(throwaway)
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    arguments.extend(options.settings.iter().cloned());
    arguments.push(("port".to_owned(), port.to_string()));
    arguments
}

/// Returns `preferred` if nobody listens there, else a port on loopback that is free at this moment.
///
/// It lies below the range from which Linux and macOS choose the ports of outgoing connections: a client that keeps trying
/// to reach a server that is down would sooner or later sit on the server's own port.
///
/// # Errors
///
/// A hundred ports in a row are taken.
pub fn free_port(preferred: Option<u16>) -> Result<u16> {
    let random = || rand::random_range(QUIET_PORTS);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let candidates = preferred.into_iter().chain(std::iter::repeat_with(random).take(100));
    candidates.into_iter().find(is_free).context("find a free port on 127.0.0.1")
}

/// Says whether the pid file of a server says that it is ready, and that it is the server with this pid.
fn says_ready(pid_file: &str, pid: i32) -> bool {
    let mut lines = pid_file.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PID_FILE: &str =
        "4711\n/data\n1700000000\n5432\n\n127.0.0.1\n  1234567  98304\nready   \n";

    #[test]
    fn server_is_ready_when_its_own_pid_file_says_so() {
        assert!(says_ready(PID_FILE, 4711));
        assert!(!says_ready(PID_FILE, 4712), "the file of another server");
        assert!(!says_ready(&PID_FILE.replace("ready", "starting"), 4711));
        assert!(!says_ready("4711\n/data\n", 4711), "a file that is still being written");
        assert!(!says_ready("", 4711));
    }

    #[test]
    fn settings_of_the_caller_win_but_not_over_the_port() {
        let options = Options::new("x").setting("timezone", "CET").setting("port", "1");
        let arguments = arguments(5432, &options);
        let last = |name: &str| {
            arguments.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        assert_eq!(last("timezone"), Some("CET"));
        assert_eq!(last("port"), Some("5432"));
    }

    #[test]
    fn port_that_is_taken_is_not_chosen() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(QUIET_PORTS.contains(&free_port(Some(port)).unwrap()));
    }
}
