//! Commands with what they print, and whether something is what was shown.

/// A command as it is typed, and what is shown below it.
#[derive(Debug, PartialEq)]
pub(super) struct Command {
    pub(super) typed: String,
    pub(super) shown: Vec<String>,
}

/// Stands for anything in a line, and for any lines where it is alone.
const ANYTHING: char = '…';

/// Reads the commands of a block: each begins with `$ `, and goes on below a line that ends in a backslash.
pub(super) fn commands(block: &str) -> Vec<Command> {
    let mut commands = Vec::<Command>::new();
    let mut goes_on = false;
    for line in block.lines() {
        if let Some(typed) = line.strip_prefix("$ ") {
            commands.push(Command { typed: typed.to_owned(), shown: Vec::new() });
        } else {
            let command =
                commands.last_mut().unwrap_or_else(|| panic!("{line} stands before any command"));
            if goes_on {
                command.typed.extend(["\n", line]);
            } else {
                command.shown.push(line.to_owned());
            }
        }
        goes_on = line.ends_with('\\') && commands.last().is_some_and(|last| last.shown.is_empty());
    }
    commands
}

impl Command {
    /// Says whether an error is shown, so that the command has to fail.
    pub(super) fn fails(&self) -> bool {
        let is_error =
            |line: &String| line.to_lowercase().starts_with("error:") || line.contains(" error: ");
        self.shown.iter().any(is_error)
    }
}

/// Says whether `printed` is what is `shown`, spaces aside.
pub(super) fn is_shown<S: AsRef<str>>(shown: &[S], printed: &[S]) -> bool {
    let shown: Vec<_> = shown.iter().map(|line| words(line.as_ref())).collect();
    let printed: Vec<_> = printed.iter().map(|line| words(line.as_ref())).collect();
    lines_fit(&shown, &printed)
}

/// One space between any two words: how wide a column is depends on what varies.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lines_fit(shown: &[String], printed: &[String]) -> bool {
    let Some((first, rest)) = shown.split_first() else {
        return printed.is_empty();
    };
    if first.chars().eq([ANYTHING]) {
        return (0..=printed.len()).any(|skipped| lines_fit(rest, &printed[skipped..]));
    }
    match printed.split_first() {
        Some((line, printed)) => line_fits(first, line) && lines_fit(rest, printed),
        None => false,
    }
}

fn line_fits(shown: &str, printed: &str) -> bool {
    let Some((before, after)) = shown.split_once(ANYTHING) else {
        return shown == printed;
    };
    let Some(rest) = printed.strip_prefix(before) else {
        return false;
    };
    let mut starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    starts.any(|at| line_fits(after, &rest[at..]))
}

#[test]
fn commands_are_read_with_what_they_print() {
    let read = commands("$ a \\\n    b\nc\n$ d\nerror: e\n");
    let command = |typed: &str, shown: &[&str]| Command {
        typed: typed.into(),
        shown: shown.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(read, [command("a \\\n    b", &["c"]), command("d", &["error: e"])]);
    assert!(read[1].fails() && !read[0].fails());
}

#[test]
fn anything_stands_for_a_part_of_a_line_or_for_lines() {
    for (shown, printed, fits) in [
        (&["a … c"][..], &["a b c"][..], true),
        (&["a … c"], &["a b d"], false),
        (&["a  b"], &["a      b"], true),
        (&["a b"], &["ab"], false),
        (&["…"], &[], true),
        (&["a", "…", "d"], &["a", "b", "c", "d"], true),
        (&["a", "…", "d"], &["a", "b", "c"], false),
        (&["a"], &["a", "b"], false),
        (&[], &["a"], false),
        (&["…b…b"], &["abb"], true),
        (&["…b…b"], &["ab"], false),
    ] {
        assert_eq!(is_shown(shown, printed), fits, "{shown:?} and {printed:?}");
    }
}
