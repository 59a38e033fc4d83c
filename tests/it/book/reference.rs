//! The reference of the command line is what the binary says of itself.

use std::{env, fmt::Write as _, fs};

use tidings_tests::Launch;

use super::docs;
use crate::binary::{COMMANDS, run};

/// What stands above the commands.
const HEAD: &str = "# Command line

What `tidings` says of itself with `--help`, command by command.
The global options, the variables and the exit codes at the top hold for every command; the settings are in [one table](configuration.md).
";

/// What every command repeats.
const REPEATED: &str = "\nGlobal options:\n";

/// Writes the page as the binary would have it.
async fn written() -> String {
    let mut page = HEAD.to_owned();
    for command in COMMANDS {
        let launch = Launch::tidings().args(command.split_whitespace()).arg("--help").folder("/");
        let help = run(&launch).await.stdout;
        let own = match help.split_once(REPEATED) {
            Some((own, _)) if !command.is_empty() => own,
            _ => &help,
        };
        // Those of every command.
        let own = own.replace("  -h, --help\n          Print help (see a summary with '-h')\n", "");
        let own = own.replace("  -V, --version\n          Print version\n", "");
        let own: Vec<_> = own.lines().map(str::trim_end).collect();
        let own = own.join("\n").replace("\n\n\n", "\n\n");
        let own = own.trim_end().trim_end_matches("Options:").trim_end();
        let title = format!("tidings {command}");
        write!(page, "\n## {}\n\n```text\n{own}\n```\n", title.trim_end()).unwrap();
    }
    page
}

#[tokio::test]
async fn reference_of_the_command_line_is_what_the_binary_says() {
    let written = written().await;
    let place = docs().join("reference/cli.md");
    if fs::read_to_string(&place).is_ok_and(|page| page == written) {
        return;
    }
    // target/<profile>/deps/<test>.
    let fresh = env::current_exe().unwrap().ancestors().nth(3).unwrap().join("cli.md");
    fs::write(&fresh, written).unwrap();
    panic!("{} is not what `--help` says; copy {} over it", place.display(), fresh.display());
}
