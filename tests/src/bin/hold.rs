//! Holds an embedded Postgres on a folder until it is killed: the victim of the tests of embedded servers.

use std::{env, future};

use anyhow::Context;
use tidings_cli::postgres::{Embedded, Options};
use tidings_tests::search;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "the test reads it")]
async fn main() -> anyhow::Result<()> {
    let folder = env::args_os().nth(1).context("usage: hold FOLDER [throwaway]")?;
    let mut options = Options::new(folder);
    // Killing a process takes nothing away that the operating system has.
    options.fsync = false;
    options.removed_with_process = env::args().nth(2).is_some_and(|word| word == "throwaway");
    let embedded = Embedded::start(&search(), options).await?;
    println!("ready {} {}", embedded.pid(), embedded.url());
    future::pending().await
}
