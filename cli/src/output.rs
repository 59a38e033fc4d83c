//! What goes to people and to programs: the one place that writes to the terminal.
//!
//! Standard output carries the result and nothing else: tables and sheets for people, or one JSON document.
//! Standard error carries errors, notes, progress and the log.
//! A reader that goes away (`tidings event list | head`) is no error.

pub(crate) mod json;
pub(crate) mod progress;
pub(crate) mod sheet;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod text;
pub(crate) mod when;

use std::io::{self, BufRead, Write};

use anyhow::{Context, Error, Result};
use indicatif::MultiProgress;
use serde::Serialize;

use self::{progress::Progress, sheet::Sheet, style::Style, table::Table};
use crate::{
    arguments::Page,
    environment::Environment,
    failure::{Report, chain, judge},
};

/// Where results go, and how they look there.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    json: bool,
    /// Of standard output.
    style: Style,
    /// Of standard error.
    notes: Style,
    /// How wide tables may be; no bound where nobody looks at them.
    width: Option<usize>,
    bars: MultiProgress,
}

impl Output {
    /// Returns an output for the terminal, or for whatever else the outputs lead to.
    pub(crate) fn new(json: bool, environment: Environment) -> Self {
        let bars = MultiProgress::new();
        if json {
            bars.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        Self {
            json,
            style: Style { colours: environment.colours_on_stdout && !json },
            notes: Style { colours: environment.colours_on_stderr && !json },
            width: environment.width(),
            bars,
        }
    }

    /// Returns the progress bars, for whoever else writes to standard error.
    pub(crate) fn bars(&self) -> MultiProgress {
        self.bars.clone()
    }

    /// Begins to show the progress of long work.
    pub(crate) fn progress(&self, doing: &'static str) -> Progress {
        Progress::begin(&self.bars, doing)
    }

    /// Begins to show the progress of work that has so many parts.
    pub(crate) fn counted(&self, doing: &'static str, total: u64) -> Progress {
        Progress::counted(&self.bars, doing, total)
    }

    /// Asks somebody on the terminal; anything but yes is no.
    ///
    /// # Errors
    ///
    /// The terminal cannot be read.
    pub(crate) fn ask(&self, question: &str) -> Result<bool> {
        self.complain(&format!("{question} [y/N] "))?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer).context("read the answer")?;
        Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
    }

    /// Shows a list: a table, or a JSON array.
    pub(crate) fn list<T: Serialize>(
        &self,
        items: &[T],
        table: impl FnOnce() -> Table,
    ) -> Result<()> {
        if self.json {
            return document(items);
        }
        let table = table();
        if table.is_empty() {
            return self.note(table.none());
        }
        print(&table.render(self.width, self.style))
    }

    /// Shows one thing: a sheet of its fields, or a JSON object.
    pub(crate) fn show<T: Serialize + ?Sized>(
        &self,
        item: &T,
        sheet: impl FnOnce() -> Sheet,
    ) -> Result<()> {
        if self.json { document(item) } else { print(&sheet().render(self.width, self.style)) }
    }

    /// Shows one thing of many that arrive one by one: a sheet, or a JSON object on a line of its own.
    pub(crate) fn next<T: Serialize + ?Sized>(
        &self,
        item: &T,
        sheet: impl FnOnce() -> Sheet,
    ) -> Result<()> {
        let said = if self.json {
            serde_json::to_string(item).context("write the result as JSON")?
        } else {
            sheet().render(self.width, self.style)
        };
        print(&(said + "\n"))
    }

    /// Shows one thing of many that arrive one by one on a line of its own: a text, or a JSON object.
    pub(crate) fn line<T: Serialize>(&self, item: &T, line: impl FnOnce() -> String) -> Result<()> {
        let said = if self.json {
            serde_json::to_string(item).context("write the result as JSON")?
        } else {
            text::line(&line()).into_owned()
        };
        print(&(said + "\n"))
    }

    /// Shows a text of our own as it is; programs read `item`, which contains it.
    pub(crate) fn text<T: Serialize + ?Sized>(&self, item: &T, text: &str) -> Result<()> {
        if self.json { document(item) } else { print(text) }
    }

    /// Tells people what has been done; programs read `item`.
    pub(crate) fn done<T: Serialize + ?Sized>(&self, item: &T, said: &str) -> Result<()> {
        if self.json { document(item) } else { print(&format!("{}\n", text::line(said))) }
    }

    /// Prints several lines, without control characters; programs read `item`.
    pub(crate) fn lines<T: Serialize + ?Sized>(&self, item: &T, said: &str) -> Result<()> {
        if self.json { document(item) } else { print(&format!("{}\n", text::paragraph(said))) }
    }

    /// Prints a document as it is; programs that asked for JSON get one that is not as a string in `item`.
    pub(crate) fn document<T: Serialize>(&self, text: &str, item: Option<T>) -> Result<()> {
        match item {
            Some(item) if self.json => self::document(&item),
            _ => print(text),
        }
    }

    /// Tells people something that is not part of the result.
    pub(crate) fn note(&self, said: &str) -> Result<()> {
        if self.json {
            return Ok(());
        }
        self.complain(&format!("{}\n", text::line(said)))
    }

    /// Tells people how to go on if a list was cut off by its limit.
    pub(crate) fn more<T>(
        &self,
        page: Page,
        items: &[T],
        id: impl FnOnce(&T) -> String,
    ) -> Result<()> {
        match items.last() {
            Some(last) if usize::try_from(page.limit) == Ok(items.len()) => {
                self.note(&format!("there may be more: --after {}", id(last)))
            }
            _ => Ok(()),
        }
    }

    /// Reports an error on standard error.
    pub(crate) fn error(&self, error: &Error) {
        let report = if self.json {
            serde_json::to_string_pretty(&Report::new(error)).unwrap_or_default() + "\n"
        } else {
            let chain = chain(error);
            let said = format!("{} {}\n", self.notes.red("error:"), text::paragraph(&chain));
            let (_, hint) = judge(error);
            let hint =
                hint.map(|hint| format!("{} {}\n", self.notes.dim("hint:"), text::line(&hint)));
            said + &hint.unwrap_or_default()
        };
        // Whoever cannot be told cannot be told that either.
        drop(self.complain(&report));
    }

    fn complain(&self, said: &str) -> Result<()> {
        let write = || io::stderr().lock().write_all(said.as_bytes());
        self.bars.suspend(write).context("write to standard error")
    }
}

fn document<T: Serialize + ?Sized>(item: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(item).context("write the result as JSON")?;
    print(&(text + "\n"))
}

fn print(said: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(said.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("write to standard output"),
    }
}
