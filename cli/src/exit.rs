//! What the exit code of the process says.

use std::process::ExitCode;

/// How a run of the program ended. The numbers are for ever.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// It did not work, for none of the reasons below.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// What was named is not there.
    NotFound = 3,
    /// What was given cannot be accepted.
    Refused = 4,
    /// The database cannot be reached or used.
    Database = 5,
    /// Another process uses the data folder.
    Running = 6,
    /// Stopped before everything in flight was settled.
    Undrained = 7,
}

impl Exit {
    const ALL: [Self; 8] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::Refused,
        Self::Database,
        Self::Running,
        Self::Undrained,
    ];

    /// Returns the word that stands for it in JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Database => "database",
            Self::Running => "already_running",
            Self::Undrained => "undrained",
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "wrong usage",
            Self::NotFound => "not found",
            Self::Refused => {
                "refused: an endpoint, pattern, kind, key or other input that is not accepted"
            }
            Self::Database => "the database cannot be reached or used",
            Self::Running => "another process uses the data folder already",
            Self::Undrained => {
                "stopped before everything in flight was settled; it will be repeated"
            }
        }
    }

    /// Returns the list that every `--help` ends with.
    pub(crate) fn help() -> String {
        let lines = Self::ALL.map(|exit| format!("  {}  {}", exit as u8, exit.meaning()));
        format!("Exit codes:\n{}", lines.join("\n"))
    }

    /// Returns every code with its meaning.
    pub(crate) fn meanings() -> impl Iterator<Item = (u8, &'static str)> {
        Self::ALL.into_iter().map(|exit| (exit as u8, exit.meaning()))
    }

    /// Returns the table of the README.
    #[cfg(test)]
    pub(crate) fn markdown() -> String {
        let word = |exit: Self| match exit {
            Self::Done => String::new(),
            exit => format!("`{}`", exit.as_str()),
        };
        let row = |exit: Self| format!("| {} | {} | {} |", exit as u8, word(exit), exit.meaning());
        let rows = Self::ALL.map(row);
        format!("| Code | In JSON | Meaning |\n|---|---|---|\n{}\n", rows.join("\n"))
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
