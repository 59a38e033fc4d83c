//! Text of strangers on a terminal: how wide it is, and what must not get through.
//!
//! Error texts come from endpoints, names and scopes from applications; none of them may move the cursor.

use std::borrow::Cow;

/// What stands for the rest of a text that is cut.
const CUT: &str = "…";

/// Returns `text` on one line, without control characters.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    clean(text, false)
}

/// Returns `text` without control characters; line breaks stay.
pub(crate) fn paragraph(text: &str) -> Cow<'_, str> {
    clean(text, true)
}

fn clean(text: &str, keep_breaks: bool) -> Cow<'_, str> {
    let is_bad = |c: char| (c.is_control() && !(keep_breaks && c == '\n')) || is_bidi(c);
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let replaced = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        _ => '\u{fffd}',
    };
    Cow::Owned(text.chars().map(|c| if is_bad(c) { replaced(c) } else { c }).collect())
}

/// Characters that turn the direction of what follows, and so what seems to be said.
const fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns how many columns `text` takes.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Returns `text` in at most `width` columns, with `…` where something is missing.
pub(crate) fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if width(text) <= max {
        return Cow::Borrowed(text);
    }
    let mut left = max.saturating_sub(1);
    let fits = |c: &char| {
        let columns = columns(*c);
        let fits = columns <= left;
        left = left.saturating_sub(columns);
        fits
    };
    let kept: String = text.chars().take_while(fits).collect();
    Cow::Owned(kept + CUT)
}

/// Wide are the scripts and pictures that terminals draw in two columns; combining marks take none.
const fn columns(c: char) -> usize {
    match c as u32 {
        0x300..=0x36f | 0x200b..=0x200d | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x2_0000..=0x3_fffd => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_the_cursor_gets_through() {
        assert_eq!(line("a\u{1b}[2Jb\r\nc\td"), "a\u{fffd}[2Jb  c d");
        assert_eq!(line("\u{9b}31m\u{202e}"), "\u{fffd}31m\u{fffd}");
        assert_eq!(paragraph("a\nb\u{7}"), "a\nb\u{fffd}");
        assert_eq!(line("grün 東京"), "grün 東京");
    }

    #[test]
    fn width_counts_columns() {
        for (text, expected) in [("", 0), ("abc", 3), ("grün", 4), ("gru\u{308}n", 4), ("東京", 4)]
        {
            assert_eq!(width(text), expected, "{text}");
        }
    }

    #[test]
    fn cut_text_fits_and_says_that_it_is_cut() {
        let table = [
            ("abcdef", 6, "abcdef"),
            ("abcdef", 5, "abcd…"),
            ("東京都", 4, "東…"),
            ("abc", 1, "…"),
        ];
        for (text, max, expected) in table {
            assert_eq!(cut(text, max), expected);
            assert!(width(&cut(text, max)) <= max);
        }
    }
}
