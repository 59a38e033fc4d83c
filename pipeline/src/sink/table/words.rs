//! What the table keeps of a text, and what is asked of it: both are cut in the same way.

use std::{borrow::Cow, collections::HashSet};

use crate::value::Value;

/// The longest text in a column, in bytes: an index takes no more than 2,700.
const COLUMN_BYTES_MAX: usize = 256;

/// The longest word, in bytes.
const WORD_BYTES_MAX: usize = 40;

/// The most words of one event. Each costs an entry in the index.
const WORDS_MAX: usize = 48;

/// Returns a text as a column holds it: without what the database cannot store, and no longer than an index takes.
pub(crate) fn column(text: &str) -> Cow<'_, str> {
    let text = cut(text, COLUMN_BYTES_MAX);
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// Returns the words of a text, in lower case.
pub(crate) fn of(text: &str) -> impl Iterator<Item = String> {
    let parts = text.split(|one: char| !one.is_alphanumeric()).filter(|part| !part.is_empty());
    parts.map(|part| {
        let word = part.to_lowercase();
        cut(&word, WORD_BYTES_MAX).to_owned()
    })
}

/// The words of an event, each once, with a space between.
#[derive(Debug, Default)]
pub(super) struct Words {
    seen: HashSet<String>,
    joined: String,
}

impl Words {
    /// Adds the words of all texts in a tree.
    pub(super) fn add(&mut self, value: &Value<'_>) {
        if self.seen.len() >= WORDS_MAX {
            return;
        }
        match value {
            Value::Text(text) => self.add_text(text),
            Value::List(list) => list.iter().for_each(|item| self.add(item)),
            Value::Object(object) => object.iter().for_each(|(_, value)| self.add(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Returns the words.
    pub(super) fn join(self) -> String {
        self.joined
    }

    fn add_text(&mut self, text: &str) {
        for word in of(text) {
            if self.seen.len() >= WORDS_MAX {
                return;
            }
            if !self.seen.contains(&word) {
                if !self.joined.is_empty() {
                    self.joined.push(' ');
                }
                self.joined.push_str(&word);
                self.seen.insert(word);
            }
        }
    }
}

/// Returns the beginning of a text, at most so many bytes of it.
fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_word_of_an_event_is_asked_for_as_it_is_kept(text: String) {
            let mut words = Words::default();
            words.add(&Value::from(text.as_str()));
            let joined = words.join();
            let kept: HashSet<_> = joined.split_terminator(' ').map(str::to_owned).collect();
            let asked: HashSet<_> = of(&text).collect();
            prop_assert!(kept.is_subset(&asked));
            prop_assert!(kept == asked || kept.len() == WORDS_MAX);
            prop_assert!(kept.iter().all(|word| word.len() <= WORD_BYTES_MAX && !word.contains('\0')));
        }

        #[test]
        fn column_is_what_the_database_can_store_and_index(text: String) {
            let text = text.repeat(20);
            let column = column(&text);
            prop_assert!(!column.contains('\0'));
            // What stands for a NUL has three bytes.
            prop_assert!(column.len() <= 3 * COLUMN_BYTES_MAX);
            prop_assert_eq!(column.chars().next().is_none(), text.is_empty());
        }
    }

    #[test]
    fn words_are_parts_of_letters_and_digits() {
        let table = [
            ("/course/Maths-7?id=12", vec!["course", "maths", "7", "id", "12"]),
            ("Übung\0ÄÖ", vec!["übung", "äö"]),
            ("", vec![]),
            (" -- ", vec![]),
        ];
        for (text, expected) in table {
            assert_eq!(of(text).collect::<Vec<_>>(), expected, "{text}");
        }
        assert_eq!(of(&"x".repeat(100)).collect::<Vec<_>>(), ["x".repeat(40)]);
    }

    #[test]
    fn words_of_an_event_are_bounded_and_each_there_once() {
        let text: Vec<_> = (0..100).map(|number| format!("w{number} w{number} same")).collect();
        let mut words = Words::default();
        words.add(&Value::List(text.iter().map(|text| text.as_str().into()).collect()));
        let joined = words.join();
        assert_eq!(joined.split(' ').count(), WORDS_MAX);
        assert!(joined.starts_with("w0 same w1 w2"), "{joined}");
    }
}
