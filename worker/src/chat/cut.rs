//! Messages cut to what a service takes, between characters as people see them and never inside an escape or a link.

use super::Kind;

/// What a text ends in that was cut.
const ELLIPSIS: &str = "...";

/// More marks on one letter than any language has; what is beyond may be cut.
const MARKS_MAX: usize = 16;

/// Returns `text`, or its beginning and `...` where it has more than `units_max` characters.
///
/// Characters are counted as JavaScript does, in units of UTF-16, which is never less than any other way to count them.
pub(super) fn cut(kind: Kind, text: &str, units_max: usize) -> String {
    if units(text) <= units_max {
        return text.to_owned();
    }
    let room = units_max.saturating_sub(ELLIPSIS.len());
    let (mut end, mut used) = (0, 0);
    while end < text.len() {
        let next = end + piece(kind, &text[end..]);
        used += units(&text[end..next]);
        if used > room {
            break;
        }
        end = next;
    }
    format!("{}{ELLIPSIS}", text[..end].trim_end())
}

/// Returns plain text as one line of at most `chars_max` characters.
pub(super) fn line(text: &str, chars_max: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= chars_max {
        return line;
    }
    let mut end = 0;
    let mut count = 0;
    while let Some(c) = line[end..].chars().next() {
        let next = end + c.len_utf8() + marks(&line[end + c.len_utf8()..]);
        count += line[end..next].chars().count();
        if count >= chars_max {
            break;
        }
        end = next;
    }
    format!("{}…", line[..end].trim_end())
}

/// Returns the length of `text` in units of UTF-16.
pub(super) fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Returns the length in bytes of what stays together at the beginning of `text`, which is not empty.
fn piece(kind: Kind, text: &str) -> usize {
    let first = text.chars().next().map_or(0, char::len_utf8);
    let line = &text[..text.find('\n').unwrap_or(text.len())];
    let through = |end: &str| line.find(end).map(|at| at + end.len());
    let whole = match (kind, text.as_bytes().first()) {
        (Kind::Teams | Kind::Discord, Some(b'\\')) => {
            text[first..].chars().next().map(|next| first + next.len_utf8())
        }
        (Kind::Slack | Kind::Teams, Some(b'&')) => {
            through(";").filter(|end| *end <= "&quot;".len())
        }
        (Kind::Slack, Some(b'<')) => through(">"),
        (Kind::Discord, Some(b'<')) if line.starts_with("<http") => through(">"),
        (Kind::Teams | Kind::Discord, Some(b'[')) => {
            line.find("](").and_then(|middle| Some(middle + line[middle..].find(')')? + 1))
        }
        (_, Some(b'@')) if line.starts_with("@\u{200b}") => Some("@\u{200b}".len()),
        _ => None,
    };
    let end = whole.unwrap_or(first);
    end + marks(&text[end..])
}

/// Returns the length in bytes of what belongs to the character before `text`.
fn marks(text: &str) -> usize {
    let mut joined = false;
    let belongs = |c: char| {
        let is_mark = matches!(
            c,
            '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{64b}'..='\u{65f}'
            | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' | '\u{1ab0}'..='\u{1aff}'
            | '\u{1dc0}'..='\u{1dff}' | '\u{200d}' | '\u{20d0}'..='\u{20ff}' | '\u{3099}' | '\u{309a}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{1f3fb}'..='\u{1f3ff}'
        );
        let belongs = is_mark || joined;
        joined = c == '\u{200d}';
        belongs
    };
    text.chars()
        .take(MARKS_MAX)
        .scan(belongs, |belongs, c| belongs(c).then_some(c.len_utf8()))
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::escape::escape, *};

    #[test]
    fn text_is_cut_between_characters_as_people_see_them() {
        let table = [
            ("abcdef", 6, "abcdef"),
            ("abcdefg", 6, "abc..."),
            ("ab cdefg", 6, "ab..."),
            // Each takes two units.
            ("💥💥💥💥", 8, "💥💥💥💥"),
            ("💥💥💥💥", 7, "💥💥..."),
            ("💥💥💥💥", 6, "💥..."),
            // A family is four people and three joiners, eleven units.
            ("👨‍👩‍👧‍👦👨‍👩‍👧‍👦", 14, "👨‍👩‍👧‍👦..."),
            ("👨‍👩‍👧‍👦👨‍👩‍👧‍👦", 13, "..."),
            ("ae\u{301}\u{302}bcdef", 6, "a..."),
            ("👍🏽👍🏽", 7, "👍🏽..."),
            ("日本語日本語日", 6, "日本語..."),
            ("", 0, ""),
        ];
        for (text, units_max, expected) in table {
            assert_eq!(cut(Kind::Slack, text, units_max), expected, "{text} {units_max}");
        }
    }

    #[test]
    fn nothing_is_cut_inside_an_escape_or_a_link() {
        let table = [
            (Kind::Slack, "ab &lt;cdefgh", 8, "ab..."),
            (Kind::Slack, "a <https://e.example|run> and more", 20, "a..."),
            (Kind::Teams, r"abc\*defg", 7, r"abc..."),
            (Kind::Teams, "a [run](https://e.example) and more", 20, "a..."),
            (Kind::Discord, "a [run](<https://e.example>) and more", 20, "a..."),
            (Kind::Discord, "a <https://e.example> and more", 20, "a..."),
            (Kind::Discord, "a @\u{200b}everyone", 6, "a..."),
            (Kind::Discord, "a [b c d e f g", 8, "a [b..."),
        ];
        for (kind, text, units_max, expected) in table {
            assert_eq!(cut(kind, text, units_max), expected, "{text}");
        }
    }

    #[test]
    fn letter_under_a_heap_of_marks_is_cut_all_the_same() {
        let zalgo = format!("z{}", "\u{335}".repeat(5_000));
        let text = cut(Kind::Discord, &zalgo, 2_000);
        assert!(units(&text) <= 2_000 && text.ends_with("..."));
        assert!(line(&zalgo, 100).chars().count() <= 100);
    }

    #[test]
    fn line_has_no_breaks_and_keeps_to_its_length() {
        assert_eq!(line(" a\n\tb  c ", 10), "a b c");
        assert_eq!(line("abcdef", 6), "abcdef");
        assert_eq!(line("abcdefg", 6), "abcde…");
    }

    proptest! {
        #[test]
        fn cut_text_keeps_to_its_length_and_is_a_beginning(
            text in "[a-z <>&\\[\\]()\\\\*\\n]{0,60}|.{0,60}|(💥|e\u{301}|👨‍👩‍👧|日){0,30}",
            units_max in 3_usize..50,
        ) {
            for kind in Kind::ALL {
                let escaped = escape(kind, &text);
                let cut = cut(kind, &escaped, units_max);
                prop_assert!(units(&cut) <= units_max);
                let is_whole = cut == escaped;
                prop_assert!(is_whole || cut.ends_with("..."));
                let kept = if is_whole { &cut } else { cut.strip_suffix("...").unwrap() };
                prop_assert!(escaped.starts_with(kept));
                let backslashes = kept.chars().rev().take_while(|c| *c == '\\').count();
                prop_assert!(kind == Kind::Slack || backslashes % 2 == 0, "{kept}");
            }
        }
    }
}
