//! What the process finds around it, beside what `clap` reads: variables without a flag, terminals, the machine's name.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, IsTerminal},
    process::{Command, Stdio},
};

/// What asks programs not to report.
const DO_NOT_TRACK: &str = "DO_NOT_TRACK";

/// Variables without a flag, for the help and the README.
pub(crate) const VARIABLES: [(&str, &str); 5] = [
    (
        "TIDINGS_KEY",
        "The keys that seal secrets, in place of a key file: base64 of 32 bytes; the first seals, all open",
    ),
    (
        "PG_BIN",
        "The folder with `postgres` and `initdb` for the embedded database; searched for if not set",
    ),
    (DO_NOT_TRACK, "No reports, whatever --report says"),
    ("NO_COLOR", "No colours, also on a terminal"),
    ("COLUMNS", "How wide tables are, if it is exported; the terminal is asked otherwise"),
];

/// A narrower table could not be read.
const WIDTH_MIN: usize = 40;

/// What the process finds around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Environment {
    /// Whether results are shown in colour.
    pub(crate) colours_on_stdout: bool,
    /// Whether errors and the log are shown in colour.
    pub(crate) colours_on_stderr: bool,
    stdout_is_terminal: bool,
}

/// Returns whether the process was asked not to report.
pub(crate) fn do_not_track() -> bool {
    let value = variable(DO_NOT_TRACK);
    tidings::analytics::do_not_track(value.as_ref().map(|value| value.to_str().unwrap_or("1")))
}

impl Environment {
    /// Looks around.
    pub(crate) fn look() -> Self {
        let (no_color, term) = (variable("NO_COLOR"), variable("TERM"));
        let colours = |is_terminal| is_coloured(is_terminal, no_color.is_some(), term.as_deref());
        let stdout_is_terminal = io::stdout().is_terminal();
        Self {
            colours_on_stdout: colours(stdout_is_terminal),
            colours_on_stderr: colours(io::stderr().is_terminal()),
            stdout_is_terminal,
        }
    }

    /// Returns how wide tables may be; no bound where no terminal shows them.
    pub(crate) fn width(self) -> Option<usize> {
        if !self.stdout_is_terminal {
            return None;
        }
        let exported = variable("COLUMNS").and_then(|columns| columns.to_str()?.parse().ok());
        exported.or_else(terminal_columns).map(|columns: usize| columns.max(WIDTH_MIN))
    }
}

/// Returns the list of variables without a flag, for the help.
pub(crate) fn help() -> String {
    let lines = VARIABLES.map(|(name, meaning)| format!("  {name}\n          {meaning}"));
    format!("Variables without a flag:\n{}", lines.join("\n"))
}

/// Returns a variable; an empty one counts as not set.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// Says whether a variable is there but empty, which every flag takes as not set.
pub(crate) fn is_empty(name: &OsStr) -> bool {
    env::var_os(name).is_some_and(|value| value.is_empty())
}

/// Returns the name of this machine, empty if it has none.
pub(crate) fn machine() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Says whether there is somebody who can be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn is_coloured(is_terminal: bool, no_color: bool, term: Option<&OsStr>) -> bool {
    is_terminal && !no_color && term.is_none_or(|term| term != "dumb")
}

/// Asks the terminal for its columns, which cannot be done without a program or `unsafe`.
fn terminal_columns() -> Option<usize> {
    let terminal = File::open("/dev/tty").ok()?;
    let output = Command::new("stty").arg("size").stdin(terminal).stderr(Stdio::null()).output();
    let said = output.ok()?.stdout;
    let columns = str::from_utf8(&said).ok()?.split_whitespace().nth(1)?.parse().ok()?;
    (columns > 0).then_some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_need_a_terminal_that_can_and_a_user_who_wants_them() {
        assert!(is_coloured(true, false, Some(OsStr::new("xterm"))));
        assert!(is_coloured(true, false, None));
        assert!(!is_coloured(false, false, Some(OsStr::new("xterm"))), "no terminal");
        assert!(!is_coloured(true, true, Some(OsStr::new("xterm"))), "NO_COLOR");
        assert!(!is_coloured(true, false, Some(OsStr::new("dumb"))), "a dumb terminal");
    }
}
