//! The embedded Postgres keeps its data, its folder to itself, and nobody waiting.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{self, Command},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, geteuid, getpgid, getpgrp},
};
use sqlx::{Connection, PgConnection};
use tidings_cli::postgres::{Auth, Embedded, Ending, Family, Options, Search};
use tidings_tests::{Launch, Process, Temporary, eventually, search};

/// Long enough for a first start on a busy machine; nothing waits for it unless something is wrong.
const PATIENCE: Duration = Duration::from_mins(1);

const NOBODY: u32 = 65534;

#[tokio::test]
async fn data_and_url_survive_a_restart() {
    let folder = Temporary::new("embedded");
    let embedded = start(folder.path()).await;
    let url = embedded.url();
    write(&url).await;
    assert_eq!(embedded.stop().await.unwrap(), Ending::Clean);

    let embedded = start(folder.path()).await;
    assert_eq!(embedded.url(), url);
    assert_eq!(count(&url).await, 1);
}

#[tokio::test]
async fn password_is_asked_for_and_kept_from_others() {
    let folder = Temporary::new("embedded");
    let mut options = options(folder.path());
    options.auth = Auth::Scram;
    let embedded = Embedded::start(&search(), options).await.unwrap();
    assert_eq!(mode(&folder.path().join("postgres.password")), 0o600);
    assert!(!format!("{embedded:?}").contains(embedded.password()), "not in a log either");
    PgConnection::connect(&embedded.url()).await.unwrap().close().await.unwrap();
    let wrong = embedded.url().replace(embedded.password(), "guessed");
    let error = PgConnection::connect(&wrong).await.unwrap_err();
    assert!(error.to_string().contains("password authentication failed"), "{error}");
}

#[tokio::test]
async fn server_runs_as_somebody_else_than_root_and_in_its_own_process_group() {
    let folder = Temporary::new("embedded");
    let embedded = start(folder.path()).await;
    let owner = fs::metadata(folder.path().join("postgres/postmaster.pid")).unwrap().uid();
    let expected = if geteuid().is_root() { NOBODY } else { geteuid().as_raw() };
    assert_eq!(owner, expected);
    assert_eq!(mode(&folder.path().join("postgres")), 0o700);
    let group = getpgid(Some(Pid::from_raw(embedded.pid()))).unwrap();
    assert_ne!(group, getpgrp(), "Ctrl-C would reach the server before its clients have drained");
}

#[tokio::test]
async fn second_start_on_the_same_folder_is_refused_with_the_pid_of_the_first() {
    let folder = Temporary::new("embedded");
    let first = hold(folder.path(), &[]).await;
    let error = Embedded::start(&search(), options(folder.path())).await.unwrap_err();
    let expected = format!("is in use by the process with pid {}", first.process.pid());
    assert!(format!("{error:#}").contains(&expected), "{error:#}");
    write(&first.url).await;
}

#[tokio::test]
async fn second_start_in_the_same_process_is_refused_too() {
    let folder = Temporary::new("embedded");
    let first = start(folder.path()).await;
    let error = Embedded::start(&search(), options(folder.path())).await.unwrap_err();
    assert!(error.to_string().contains(&format!("pid {}", process::id())), "{error:#}");
    drop(first);
    start(folder.path()).await;
}

#[tokio::test]
async fn killed_process_takes_its_server_along_and_loses_nothing() {
    let folder = Temporary::new("embedded");
    let holder = hold(folder.path(), &[]).await;
    write(&holder.url).await;
    holder.process.kill().await;

    // At once: the old server is on its way out, or has not even begun.
    let embedded = start(folder.path()).await;
    assert!(!is_alive(holder.server), "two servers on the same data");
    assert_eq!(count(&embedded.url()).await, 1);
}

#[tokio::test]
async fn server_of_a_killed_process_that_is_slow_to_stop_is_waited_for() {
    let folder = Temporary::new("embedded");
    let holder = hold(folder.path(), &[]).await;
    write(&holder.url).await;
    let server = Pid::from_raw(holder.server);
    kill(server, Signal::SIGSTOP).unwrap();
    holder.process.kill().await;

    let path = folder.path().to_owned();
    let starting = tokio::spawn(async move { start(&path).await });
    let lock = folder.path().join("lock");
    let us = format!("{}\n", process::id());
    eventually(PATIENCE, "the new start has the folder", async || {
        (fs::read_to_string(&lock).ok()? == us).then_some(())
    })
    .await;
    assert!(is_alive(holder.server) && !starting.is_finished());
    kill(server, Signal::SIGCONT).unwrap();
    assert_eq!(count(&starting.await.unwrap().url()).await, 1);
}

#[tokio::test]
async fn killed_server_recovers_at_the_next_start() {
    let folder = Temporary::new("embedded");
    let embedded = start(folder.path()).await;
    write(&embedded.url()).await;
    assert!(embedded.signal(Signal::SIGKILL).unwrap());
    embedded.exited().await.unwrap();
    assert!(matches!(embedded.stop().await.unwrap(), Ending::Earlier(_)));

    let embedded = start(folder.path()).await;
    assert_eq!(count(&embedded.url()).await, 1);
}

#[tokio::test]
async fn pid_file_whose_pid_belongs_to_a_stranger_by_now_does_not_stop_a_start() {
    let folder = Temporary::new("embedded");
    start(folder.path()).await.stop().await.unwrap();
    let mut stranger = Command::new("sleep");
    stranger.arg("600");
    if geteuid().is_root() {
        // Postgres believes in a pid of its own user only.
        stranger.uid(NOBODY).gid(NOBODY);
    }
    let mut stranger = stranger.spawn().unwrap();
    let data = folder.path().join("postgres");
    let pid_file = format!(
        "{}\n{}\n1700000000\n5432\n\n127.0.0.1\n\nready   \n",
        stranger.id(),
        data.display()
    );
    fs::write(data.join("postmaster.pid"), pid_file).unwrap();

    let started = Embedded::start(&search(), options(folder.path())).await;
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    started.unwrap();
}

#[tokio::test]
async fn data_that_were_half_made_are_made_again() {
    let folder = Temporary::new("embedded");
    let unfinished = folder.path().join("postgres.new");
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let embedded = start(folder.path()).await;
    write(&embedded.url()).await;
    assert!(!unfinished.exists());
}

#[tokio::test]
async fn throwaway_folder_is_gone_after_its_process() {
    let folder = Temporary::new("embedded");
    let holder = hold(folder.path(), &["throwaway"]).await;
    holder.process.kill().await;
    eventually(PATIENCE, "the server and the folder are gone", async || {
        (!is_alive(holder.server) && !folder.path().exists()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn start_that_fails_shows_what_the_server_said() {
    let folder = Temporary::new("embedded");
    start(folder.path()).await.stop().await.unwrap();
    let options = options(folder.path()).setting("shared_buffers", "plenty");
    let error = Embedded::start(&search(), options).await.unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("invalid value for parameter \"shared_buffers\": \"plenty\""), "{text}");
}

#[tokio::test]
async fn folder_that_the_server_cannot_reach_is_named() {
    if !geteuid().is_root() {
        // The server has our own rights then.
        return;
    }
    let folder = Temporary::new("embedded");
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    let error = Embedded::start(&search(), options(&closed.join("data"))).await.unwrap_err();
    let expected = format!("{} cannot be entered by uid 65534", closed.display());
    assert!(error.to_string().starts_with(&expected), "{error:#}");
}

#[tokio::test]
async fn machine_without_postgres_is_told_what_to_install() {
    let family = Family { parent: "/nowhere".into(), prefix: "pg".to_owned() };
    let search = Search { families: vec![family], ..Search::default() };
    let error = search.find(None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no PostgreSQL 13 or later was found\n  \
         looked in: PATH, /nowhere/pg*/bin\n  \
         Debian, Ubuntu: apt-get install postgresql\n  \
         macOS: brew install postgresql@17\n  \
         or set PG_BIN to the folder that has `postgres` and `initdb`\n  \
         or set DATABASE_URL to a server that runs elsewhere"
    );
}

#[tokio::test]
async fn version_that_is_too_old_is_refused_by_name() {
    let folder = Temporary::new("embedded");
    let bin = fake(folder.path(), "12.22");
    let search = Search { bin: Some(bin.clone()), ..Search::default() };
    let error = search.find(None).await.unwrap_err().to_string();
    let expected = format!(
        "PG_BIN ({bin}) has no PostgreSQL 13 or later\n  refused: {bin} is PostgreSQL 12.22\n",
        bin = bin.display()
    );
    assert!(error.starts_with(&expected), "{error}");
}

#[tokio::test]
async fn folder_without_binaries_is_refused_by_name() {
    let folder = Temporary::new("embedded");
    let search = Search { bin: Some(folder.path().to_owned()), ..Search::default() };
    let error = search.find(None).await.unwrap_err().to_string();
    let expected =
        format!("{} does not have both `postgres` and `initdb`", folder.path().display());
    assert!(error.contains(&expected), "{error}");
}

#[tokio::test]
async fn binaries_on_the_path_come_before_the_newest_of_a_family() {
    let folder = Temporary::new("embedded");
    let family = Family { parent: folder.path().to_owned(), prefix: "postgresql@".to_owned() };
    for version in ["9.6.24", "14.9", "17.2"] {
        let major = version.split('.').next().unwrap();
        fake(&folder.path().join(format!("postgresql@{major}")), version);
    }
    let path = fake(&folder.path().join("path"), "13.1");
    let links = folder.path().join("links");
    fs::create_dir(&links).unwrap();
    std::os::unix::fs::symlink(path.join("postgres"), links.join("postgres")).unwrap();

    let mut search = Search { families: vec![family], ..Search::default() };
    assert_eq!(search.find(None).await.unwrap().version.to_string(), "17.2");
    assert_eq!(search.find(Some(14)).await.unwrap().version.to_string(), "14.9");
    search.path = vec![folder.path().join("missing"), links];
    let found = search.find(None).await.unwrap();
    assert_eq!((found.version.to_string().as_str(), found.folder), ("13.1", path));
}

#[tokio::test]
async fn data_of_a_version_that_is_not_installed_are_left_alone() {
    let folder = Temporary::new("embedded");
    let data = folder.path().join("postgres");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("PG_VERSION"), "14\n").unwrap();
    let bin = fake(folder.path(), "17.2");
    let search = Search { bin: Some(bin), ..Search::default() };
    let error = Embedded::start(&search, options(folder.path())).await.unwrap_err().to_string();
    assert!(
        error.contains("has no PostgreSQL 14\n  the data were made by that version"),
        "{error}"
    );
}

/// A process that holds an embedded server, and what it said about it.
struct Holder {
    process: Process,
    server: i32,
    url: String,
}

async fn hold(folder: &Path, words: &[&str]) -> Holder {
    let process = Launch::new(env!("CARGO_BIN_EXE_hold")).arg(folder).args(words).start();
    let line = process.line("ready ", PATIENCE).await;
    let (server, url) = line.strip_prefix("ready ").unwrap().split_once(' ').unwrap();
    Holder { process, server: server.parse().unwrap(), url: url.to_owned() }
}

fn options(folder: &Path) -> Options {
    let mut options = Options::new(folder);
    // The tests kill processes, not the machine.
    options.fsync = false;
    options.auth = Auth::Password;
    options
}

async fn start(folder: &Path) -> Embedded {
    let started = Embedded::start(&search(), options(folder)).await;
    started.unwrap_or_else(|error| panic!("{error:#}"))
}

async fn write(url: &str) {
    let mut conn = PgConnection::connect(url).await.unwrap();
    let statement = "create table if not exists note (text text); insert into note values ('kept')";
    sqlx::raw_sql(statement).execute(&mut conn).await.unwrap();
}

async fn count(url: &str) -> i64 {
    let mut conn = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("select count(*) from note").fetch_one(&mut conn).await.unwrap()
}

/// Makes binaries that can do nothing but tell a version.
///
/// A shell writes them: a file that this process had open for writing could still be open in a child that another test is
/// just starting, and would be "busy" for as long.
fn fake(folder: &Path, version: &str) -> PathBuf {
    let bin = folder.join("bin");
    let script = "mkdir -p \"$1\" && for name in postgres initdb; do \
        printf '#!/bin/sh\\necho \"%s (PostgreSQL) %s\"\\n' $name \"$2\" > \"$1/$name\" && chmod 755 \"$1/$name\"; done";
    let status = Command::new("sh").args(["-c", script, "sh"]).arg(&bin).arg(version).status();
    assert!(status.unwrap().success());
    bin
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

fn is_alive(pid: i32) -> bool {
    // A zombie has ended; whoever adopted it has only not looked yet.
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    kill(Pid::from_raw(pid), None).is_ok() && !state.contains(") Z ")
}
