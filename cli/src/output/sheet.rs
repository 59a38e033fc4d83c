//! One thing for people: its fields, one per line, and the lists that belong to it.

use chrono::{DateTime, Utc};

use super::{
    style::{Style, Tone},
    table::Table,
    text, when,
};

/// The fields of one thing.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Field { label: &'static str, text: String, tone: Tone },
    Heading(String),
    Table(Table),
    Block(String),
}

impl Sheet {
    /// Returns a sheet without fields.
    pub(crate) const fn new() -> Self {
        Self { parts: Vec::new() }
    }

    /// Adds a field.
    pub(crate) fn field(self, label: &'static str, text: impl AsRef<str>) -> Self {
        self.toned(label, text, Tone::Plain)
    }

    /// Adds a field in this tone.
    pub(crate) fn toned(mut self, label: &'static str, text: impl AsRef<str>, tone: Tone) -> Self {
        let text = text::line(text.as_ref()).into_owned();
        self.parts.push(Part::Field { label, text, tone });
        self
    }

    /// Adds a field if there is something to show.
    pub(crate) fn maybe<T: ToString>(self, label: &'static str, value: Option<T>) -> Self {
        match value {
            Some(value) => self.field(label, value.to_string()),
            None => self,
        }
    }

    /// Adds an instant, absolute and relative.
    pub(crate) fn when(self, label: &'static str, at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        self.field(label, when::both(at, now))
    }

    /// Adds a heading line.
    pub(crate) fn heading(mut self, text: impl AsRef<str>) -> Self {
        self.parts.push(Part::Heading(text::line(text.as_ref()).into_owned()));
        self
    }

    /// Adds a list under a heading; nothing if it is empty.
    pub(crate) fn table(mut self, title: &'static str, table: Table) -> Self {
        if !table.is_empty() {
            self.parts.push(Part::Heading(title.to_owned()));
            self.parts.push(Part::Table(table));
        }
        self
    }

    /// Adds a text of several lines under a heading.
    pub(crate) fn block(mut self, title: &'static str, text: &str) -> Self {
        self.parts.push(Part::Heading(title.to_owned()));
        self.parts.push(Part::Block(text::paragraph(text).into_owned()));
        self
    }

    /// Returns the sheet as text; its lists take at most `max` columns if that is possible.
    pub(crate) fn render(&self, max: Option<usize>, style: Style) -> String {
        let labels = self.parts.iter().filter_map(|part| match part {
            Part::Field { label, .. } => Some(text::width(label)),
            _ => None,
        });
        let width = labels.max().unwrap_or(0);
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Field { label, text: value, tone } => {
                    let padding = " ".repeat(width - text::width(label));
                    let (label, value) = (style.dim(label), style.paint(*tone, value));
                    let line = format!("{label}{padding}  {value}");
                    text.push_str(line.trim_end());
                    text.push('\n');
                }
                Part::Heading(heading) => {
                    if !text.is_empty() {
                        text.push('\n');
                    }
                    text.push_str(&style.paint(Tone::Bold, heading));
                    text.push('\n');
                }
                Part::Table(table) => text.push_str(&table.render(max, style)),
                Part::Block(block) => {
                    text.push_str(block.trim_end());
                    text.push('\n');
                }
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::table::{Cell, Column};

    #[test]
    fn fields_are_aligned_and_lists_follow_under_their_title() {
        let mut table = Table::new(&[Column::new("ID")], "none");
        let sheet = Sheet::new().table("Nothing", Table::new(&[Column::new("ID")], "none"));
        table.row([Cell::new("1")]);
        let sheet = sheet
            .field("name", "billing")
            .maybe("limit", None::<i32>)
            .field("subscriber id", "7\u{1b}")
            .table("Subscriptions", table)
            .block("Payload", "{\n}\n");
        assert_eq!(
            sheet.render(None, Style::default()),
            "name           billing\nsubscriber id  7\u{fffd}\n\nSubscriptions\nID\n1\n\nPayload\n{\n}\n"
        );
    }
}
