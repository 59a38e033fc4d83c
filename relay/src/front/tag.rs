//! One tag of a page, as far as it is there: its name and its attributes.

/// A start or an end tag, or a declaration.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Tag {
    /// In lower case, with `!` or `?` before the name of a declaration.
    pub(super) name: String,
    pub(super) is_end: bool,
    /// Names in lower case; the first of a name counts.
    attributes: Vec<(String, String)>,
}

impl Tag {
    /// Reads the tag at the beginning of a text, which begins with `<`, and says how long it is.
    ///
    /// `None` where its end is not there yet.
    pub(super) fn read(text: &[u8]) -> Option<(Self, usize)> {
        let mut cursor = Cursor { text, at: 1 };
        let is_end = cursor.take_if(b'/');
        let name = cursor.until(|byte| is_space(byte) || matches!(byte, b'/' | b'>'))?;
        let mut tag = Self { name: lower(name), is_end, attributes: Vec::new() };
        loop {
            cursor.until(|byte| !is_space(byte) && byte != b'/')?;
            if cursor.take_if(b'>') {
                return Some((tag, cursor.at));
            }
            // A stray equals sign begins a name.
            let from = cursor.at;
            cursor.at += 1;
            cursor.until(|byte| is_space(byte) || matches!(byte, b'/' | b'>' | b'='))?;
            let name = lower(&text[from..cursor.at]);
            cursor.until(|byte| !is_space(byte))?;
            let value = if cursor.take_if(b'=') { cursor.value()? } else { &[] };
            tag.attributes.push((name, String::from_utf8_lossy(value).into_owned()));
        }
    }

    /// Returns the value of an attribute, as it is written.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take_if(&mut self, byte: u8) -> bool {
        let is_there = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(is_there);
        is_there
    }

    /// Takes what is before the first byte that ends it; `None` where none does yet.
    fn until(&mut self, ends: impl Fn(u8) -> bool) -> Option<&'a [u8]> {
        let rest = self.text.get(self.at..)?;
        let length = rest.iter().position(|byte| ends(*byte))?;
        self.at += length;
        Some(&rest[..length])
    }

    fn value(&mut self) -> Option<&'a [u8]> {
        self.until(|byte| !is_space(byte))?;
        for quote in [b'"', b'\''] {
            if self.take_if(quote) {
                let value = self.until(|byte| byte == quote)?;
                self.at += 1;
                return Some(value);
            }
        }
        self.until(|byte| is_space(byte) || byte == b'>')
    }
}

/// Returns whether HTML takes a byte for white space.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

fn lower(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_ends_where_browsers_end_it() {
        for (text, name, length) in [
            ("<head>", "head", 6),
            ("</HEAD  >x", "head", 9),
            ("<a b='>' c=\">\" d=x>y", "a", 19),
            ("<a b=x>y>", "a", 7),
            ("<a \"b>c", "a", 6),
            ("<br/>", "br", 5),
            ("<a / b = '>'/>", "a", 14),
            ("<a =b>", "a", 6),
            ("<!DOCTYPE html>", "!doctype", 15),
        ] {
            let (tag, found) = Tag::read(text.as_bytes()).unwrap();
            assert_eq!((tag.name.as_str(), found), (name, length), "{text}");
        }
    }

    #[test]
    fn tag_that_is_not_whole_is_none() {
        let whole = "<meta http-equiv = \"a>b\" content='c' x>";
        for length in 1..whole.len() {
            assert_eq!(Tag::read(&whole.as_bytes()[..length]), None, "{length}");
        }
        assert_eq!(Tag::read(whole.as_bytes()).unwrap().1, whole.len());
    }

    #[test]
    fn attributes_are_read_as_browsers_read_them() {
        let (tag, _) = Tag::read(b"<meta A=1 a=2 b = '3 4' c d=\"\" e=/f>").unwrap();
        let values = ["a", "b", "c", "d", "e", "g"].map(|name| tag.attribute(name));
        assert_eq!(values, [Some("1"), Some("3 4"), Some(""), Some(""), Some("/f"), None]);
    }
}
