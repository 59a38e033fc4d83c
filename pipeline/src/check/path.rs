//! Where in an event something is: written as a JSON path (RFC 9535) once there is something to say about it.

use std::fmt::{self, Write as _};

/// How much of a member's name is written, in characters: names are a stranger's texts.
const NAME_CHARS_MAX: usize = 64;

/// A place; its parents lie on the stack of whoever walks there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path<'p> {
    Root,
    Member(&'p Self, &'p str),
    Item(&'p Self, usize),
}

impl<'p> Path<'p> {
    /// Returns the name of the member that it is, or is an item of.
    pub(super) const fn name(&self) -> &'p str {
        match self {
            Self::Root => "event",
            Self::Member(_, name) => name,
            Self::Item(parent, _) => parent.name(),
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => formatter.write_str("$"),
            Self::Member(parent, name) if is_plain(name) => write!(formatter, "{parent}.{name}"),
            Self::Member(parent, name) => {
                write!(formatter, "{parent}['")?;
                for char in name.chars().take(NAME_CHARS_MAX) {
                    match char {
                        '\'' | '\\' => write!(formatter, "\\{char}")?,
                        char if char.is_control() => {
                            write!(formatter, "\\u{:04x}", u32::from(char))?;
                        }
                        char => formatter.write_char(char)?,
                    }
                }
                formatter.write_str("']")
            }
            Self::Item(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

/// Returns whether a name may follow a full stop.
fn is_plain(name: &str) -> bool {
    let is_first = |char: char| char == '_' || char.is_ascii_alphabetic();
    name.len() <= NAME_CHARS_MAX
        && name.starts_with(is_first)
        && name.chars().all(|char| is_first(char) || char.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_a_json_path() {
        let visits = Path::Member(&Path::Root, "visits");
        let item = Path::Item(&visits, 2);
        assert_eq!(Path::Member(&item, "objid").to_string(), "$.visits[2].objid");
        for (name, expected) in [
            ("web-browser", "$['web-browser']"),
            ("", "$['']"),
            ("1", "$['1']"),
            ("it's\\\n", "$['it\\'s\\\\\\u000a']"),
            ("_a1", "$._a1"),
        ] {
            assert_eq!(Path::Member(&Path::Root, name).to_string(), expected);
        }
        assert_eq!(Path::Member(&Path::Root, &"é".repeat(1000)).to_string().chars().count(), 69);
    }
}
