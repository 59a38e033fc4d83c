//! Lists for people: aligned columns, as wide as the terminal and no wider.
//!
//! Ids are never cut, so that they can be copied.
//! Where a table does not fit, times give up their long form first, and then the flexible columns their ends.

use chrono::{DateTime, Utc};

use super::{
    style::{Style, Tone},
    text, when,
};

/// What stands between two columns.
const GAP: &str = "  ";

/// A flexible column is not cut below this.
const FLEXIBLE_MIN: usize = 12;

/// A list.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    none: &'static str,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    title: &'static str,
    right: bool,
    flexible: bool,
}

/// One entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    text: String,
    short: Option<String>,
    tone: Tone,
}

impl Column {
    /// Returns a column that is never cut.
    pub(crate) const fn new(title: &'static str) -> Self {
        Self { title, right: false, flexible: false }
    }

    /// Returns a column of numbers.
    pub(crate) const fn number(title: &'static str) -> Self {
        Self { title, right: true, flexible: false }
    }

    /// Returns a column whose entries may be cut.
    pub(crate) const fn flexible(title: &'static str) -> Self {
        Self { title, right: false, flexible: true }
    }
}

impl Cell {
    /// Returns an entry.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        Self { text: text::line(text.as_ref()).into_owned(), ..Self::default() }
    }

    /// Returns the entry of something that may not be there.
    pub(crate) fn maybe<T: ToString>(value: Option<T>) -> Self {
        value.map_or_else(Self::default, |value| Self::new(value.to_string()))
    }

    /// Returns the entry of an instant.
    pub(crate) fn when(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self { short: Some(when::relative(at, now)), ..Self::new(when::both(at, now)) }
    }

    /// Returns the entry in this tone.
    pub(crate) fn tone(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }

    fn text(&self, short: bool) -> &str {
        self.short.as_deref().filter(|_| short).unwrap_or(&self.text)
    }
}

impl Table {
    /// Returns a list of no rows; `none` is what is said if there never are any.
    pub(crate) fn new(columns: &[Column], none: &'static str) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new(), none }
    }

    /// Adds a row; its entries are in the order of the columns.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Says whether there are no rows.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns what is said if there are no rows.
    pub(crate) const fn none(&self) -> &'static str {
        self.none
    }

    /// Returns the list as text, in at most `width` columns if that is possible.
    pub(crate) fn render(&self, width: Option<usize>, style: Style) -> String {
        let max = width.unwrap_or(usize::MAX);
        let mut short = false;
        let mut widths = self.widths(short);
        if total(&widths) > max {
            short = true;
            widths = self.widths(short);
        }
        self.shrink(&mut widths, max);
        let titles: Vec<_> = self.columns.iter().map(|column| (column.title, Tone::Bold)).collect();
        let mut text = self.line(&titles, &widths, style);
        for row in &self.rows {
            let cells: Vec<_> = row.iter().map(|cell| (cell.text(short), cell.tone)).collect();
            text.push_str(&self.line(&cells, &widths, style));
        }
        text
    }

    fn widths(&self, short: bool) -> Vec<usize> {
        let cells = |index: usize| {
            self.rows.iter().filter_map(move |row| row.get(index)).map(|cell| cell.text(short))
        };
        let width_of = |(index, column): (usize, &Column)| {
            std::iter::once(column.title).chain(cells(index)).map(text::width).max().unwrap_or(0)
        };
        self.columns.iter().enumerate().map(width_of).collect()
    }

    /// Takes from the widest flexible column, one by one, until the table fits or nothing can be taken any more.
    fn shrink(&self, widths: &mut [usize], max: usize) {
        while total(widths) > max {
            let flexible = self.columns.iter().zip(widths.iter_mut());
            let widest = flexible
                .filter(|(column, width)| column.flexible && **width > FLEXIBLE_MIN)
                .map(|(_, width)| width)
                .max();
            let Some(width) = widest else { return };
            *width -= 1;
        }
    }

    fn line(&self, cells: &[(&str, Tone)], widths: &[usize], style: Style) -> String {
        let mut line = String::new();
        for ((column, (cell, tone)), width) in self.columns.iter().zip(cells).zip(widths) {
            let shown = text::cut(cell, *width);
            let padding = " ".repeat(width.saturating_sub(text::width(&shown)));
            let painted = style.paint(*tone, &shown);
            let (before, after) = if column.right { (&*padding, "") } else { ("", &*padding) };
            line.push_str(&[before, &painted, after, GAP].concat());
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    }
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn table() -> Table {
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let columns = [
            Column::new("ID"),
            Column::number("PENDING"),
            Column::flexible("ERROR"),
            Column::new("SINCE"),
        ];
        let mut table = Table::new(&columns, "none");
        let ago = |seconds| Cell::when(now - TimeDelta::seconds(seconds), now);
        let error = Cell::new("status 500: a long story\nwithout end").tone(Tone::Bad);
        table.row([Cell::new("0193"), Cell::new("7"), error, ago(5)]);
        table.row([Cell::new("2"), Cell::new("1234567890"), Cell::default(), ago(90)]);
        table
    }

    #[test]
    fn columns_are_aligned_and_numbers_right() {
        assert_eq!(
            table().render(None, Style::default()),
            "ID       PENDING  ERROR                                 SINCE\n\
             0193           7  status 500: a long story without end  2023-11-14 22:13:15Z (5s ago)\n\
             2     1234567890                                        2023-11-14 22:11:50Z (1m ago)\n"
        );
    }

    #[test]
    fn narrow_table_gives_up_long_times_and_then_ends_of_text_but_never_ids() {
        assert_eq!(
            table().render(Some(64), Style::default()),
            "ID       PENDING  ERROR                                 SINCE\n\
             0193           7  status 500: a long story without end  5s ago\n\
             2     1234567890                                        1m ago\n"
        );
        assert_eq!(
            table().render(Some(1), Style::default()),
            "ID       PENDING  ERROR         SINCE\n\
             0193           7  status 500:…  5s ago\n\
             2     1234567890                1m ago\n"
        );
    }

    #[test]
    fn colours_do_not_move_columns() {
        let plain = table().render(Some(50), Style::default());
        let coloured = table().render(Some(50), Style { colours: true });
        assert!(coloured.contains("\u{1b}[31m") && coloured.contains("\u{1b}[1mID"));
        let stripped: String = coloured
            .split('\u{1b}')
            .map(|part| {
                part.split_once('m')
                    .map_or(part, |(code, rest)| if code.starts_with('[') { rest } else { part })
            })
            .collect();
        assert_eq!(stripped, plain);
    }
}
