//! Text of an event made harmless for the service that shows it.
//!
//! Every character that is markup somewhere is written so that the service shows it and does nothing else.
//! Slack has no escape but for three characters, so the others become their twins: people read the same.
//! Characters that steer a screen or turn the direction of the text are left out.

use super::{
    Kind,
    link::{escape_ampersand, web},
};

/// Parts a word that would notify people, and is not seen.
const BREAK: char = '\u{200b}';

/// What notifies a whole room after an `@`.
const CROWDS: [&str; 4] = ["channel", "everyone", "group", "here"];

/// What must not begin the target of a link that a template writes by hand.
const SCHEMES: [&str; 3] = ["javascript", "vbscript", "data"];

/// Returns `text` as `kind` shows it and nothing else; a text that is a URL of the web stays one.
pub(super) fn escape(kind: Kind, text: &str) -> String {
    if let Some(url) = web(text) {
        return if kind == Kind::Slack { escape_ampersand(&url) } else { url };
    }
    let text = clean(text);
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut before = None;
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        push(kind, &mut out, (before, c, rest));
        before = Some(c);
    }
    out
}

fn push(kind: Kind, out: &mut String, (before, c, rest): (Option<char>, char, &str)) {
    let after = rest.chars().next();
    let is_inside = |at: Option<char>| at.is_some_and(char::is_alphanumeric);
    let in_word = is_inside(before) && is_inside(after);
    let begins_line = matches!(before, None | Some('\n'));
    match (kind, c) {
        (_, '@') => {
            out.push('@');
            let starts = |word: &&str| {
                rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
            };
            if rest.is_empty() || CROWDS.iter().any(starts) {
                out.push(BREAK);
            }
        }
        (_, ':') if ends_in_scheme(out) => out.extend([BREAK, ':']),
        (Kind::Slack | Kind::Teams, '&') => out.push_str("&amp;"),
        (Kind::Slack | Kind::Teams, '<') => out.push_str("&lt;"),
        (Kind::Slack | Kind::Teams, '>') => out.push_str("&gt;"),
        (Kind::Slack, '`') => out.push('\u{2cb}'),
        (Kind::Slack, '*') if !in_word => out.push('\u{2217}'),
        (Kind::Slack, '_') if !in_word => out.push('\u{2cd}'),
        (Kind::Slack, '~') if !in_word => out.push('\u{223c}'),
        (Kind::Slack, c) => out.push(c),
        (_, '_') if in_word => out.push('_'),
        (_, '\\' | '*' | '_' | '~' | '`' | '[' | ']' | '(' | ')') => out.extend(['\\', c]),
        (Kind::Discord, '<' | '>' | '|') => out.extend(['\\', c]),
        (_, '#' | '-' | '+') if begins_line => out.extend(['\\', c]),
        (_, c) => out.push(c),
    }
}

/// Returns whether what was written ends in the name of a scheme that runs something.
fn ends_in_scheme(out: &str) -> bool {
    SCHEMES.iter().any(|scheme| {
        let start = out.len().checked_sub(scheme.len());
        start.and_then(|start| out.get(start..)).is_some_and(|end| end.eq_ignore_ascii_case(scheme))
    })
}

/// Returns `text` without characters that steer: controls, and those that turn the direction or hide in it.
fn clean(text: &str) -> String {
    let shown = |c: &char| {
        let steers = matches!(
            c,
            '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        );
        !steers && (!c.is_control() || matches!(c, '\n' | '\t'))
    };
    text.chars().filter(shown).map(|c| if c == '\t' { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::tests::is_live, *};

    #[test]
    fn markup_in_the_text_of_an_event_is_shown_and_does_nothing() {
        let table = [
            (
                "Tom & <Jerry>",
                "Tom &amp; &lt;Jerry&gt;",
                "Tom &amp; &lt;Jerry&gt;",
                r"Tom & \<Jerry\>",
            ),
            ("<!channel>", "&lt;!channel&gt;", "&lt;!channel&gt;", r"\<!channel\>"),
            ("@Everyone", "@\u{200b}Everyone", "@\u{200b}Everyone", "@\u{200b}Everyone"),
            ("ann@example.com", "ann@example.com", "ann@example.com", "ann@example.com"),
            ("my_job_1", "my_job_1", "my_job_1", "my_job_1"),
            ("_x_", "\u{2cd}x\u{2cd}", r"\_x\_", r"\_x\_"),
            (
                "**b** 2*3",
                "\u{2217}\u{2217}b\u{2217}\u{2217} 2*3",
                r"\*\*b\*\* 2\*3",
                r"\*\*b\*\* 2\*3",
            ),
            ("`rm`", "\u{2cb}rm\u{2cb}", r"\`rm\`", r"\`rm\`"),
            ("a|b||c", "a|b||c", "a|b||c", r"a\|b\|\|c"),
            ("# a\n- b", "# a\n- b", "\\# a\n\\- b", "\\# a\n\\- b"),
            ("2024-01-05 #7", "2024-01-05 #7", "2024-01-05 #7", "2024-01-05 #7"),
            (
                "[x](javascript:a)",
                "[x](javascript\u{200b}:a)",
                "\\[x\\]\\(javascript\u{200b}:a\\)",
                "\\[x\\]\\(javascript\u{200b}:a\\)",
            ),
            ("\u{202e}a\u{0}\u{1b}[b", "a[b", r"a\[b", r"a\[b"),
            ("💥 日本", "💥 日本", "💥 日本", "💥 日本"),
            (
                "https://a.example/_x_?a&b",
                "https://a.example/%5Fx%5F?a&amp;b",
                "https://a.example/%5Fx%5F?a&b",
                "https://a.example/%5Fx%5F?a&b",
            ),
        ];
        for (text, slack, teams, discord) in table {
            assert_eq!(escape(Kind::Slack, text), slack);
            assert_eq!(escape(Kind::Teams, text), teams);
            assert_eq!(escape(Kind::Discord, text), discord);
        }
    }

    proptest! {
        #[test]
        fn no_text_of_an_event_gets_through_as_markup(
            parts in proptest::collection::vec(
                prop_oneof![
                    "[<>@!|*_~`\\\\\\[\\]()#: a-z\\n]{0,6}",
                    Just("<!channel>".to_owned()), Just("@everyone".to_owned()),
                    Just("@here".to_owned()), Just("](javascript:".to_owned()),
                    Just("<@123>".to_owned()), Just("\u{200b}".to_owned()), ".{0,4}",
                ],
                0..8,
            ),
        ) {
            let text = parts.concat();
            for kind in Kind::ALL {
                let shown = escape(kind, &text);
                let lower = shown.to_lowercase();
                for crowd in CROWDS {
                    let mention = format!("@{crowd}");
                    prop_assert!(!lower.contains(&mention), "{shown}");
                }
                prop_assert!(!lower.contains("javascript:"), "{shown}");
                if web(&text).is_some() {
                    continue;
                }
                let live: &[&str] = match kind {
                    Kind::Slack => &["<", ">", "`"],
                    Kind::Teams => &["<", ">", "[", "]", "(", ")", "*", "~", "`"],
                    Kind::Discord => &["<", ">", "[", "]", "(", ")", "*", "~", "`", "|"],
                };
                for markup in live {
                    prop_assert!(!is_live(&shown, markup), "{markup} in {shown}");
                }
            }
        }
    }
}
