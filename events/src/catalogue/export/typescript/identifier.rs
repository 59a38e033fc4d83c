//! Names in TypeScript for names of ours.
//!
//! What a type is called depends on its own name, so that code that uses it lives through every other change of the
//! catalogue.

use std::collections::{BTreeMap, BTreeSet};

/// The names that are taken in a module.
#[derive(Debug)]
pub(super) struct Identifiers(BTreeSet<String>);

impl Identifiers {
    /// Returns the names of a module that has these already.
    pub(super) fn new(taken: &[&str]) -> Self {
        Self(taken.iter().map(|name| (*name).to_owned()).collect())
    }

    /// Takes a name, with a number behind it if it is taken.
    pub(super) fn take(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 2_u32;
        while !self.0.insert(name.clone()) {
            name = format!("{wanted}_{number}");
            number += 1;
        }
        name
    }
}

/// Returns what each type is called: `order:placed` is `OrderPlaced`.
///
/// Where two would be called the same, `a:b-c` and `a-b:c`, both keep their separators: `A_B$C` and `A$B_C`.
pub(super) fn type_names<'a>(types: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, String> {
    let types: BTreeSet<&str> = types.collect();
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for name in &types {
        *count.entry(pascal(name)).or_default() += 1;
    }
    let name = |event_type: &'a str| {
        let plain = pascal(event_type);
        let shared = count.get(&plain).is_some_and(|count| *count > 1);
        (event_type, if shared { separated(event_type) } else { plain })
    };
    types.into_iter().map(name).collect()
}

/// Returns a name in the style of TypeScript: `line_item` is `LineItem`; what no identifier may have is left out.
pub(super) fn pascal(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let name: String = words.map(capitalised).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn separated(event_type: &str) -> String {
    let part = |part: &str| part.split('-').map(capitalised).collect::<Vec<_>>().join("$");
    event_type.split(':').map(part).collect::<Vec<_>>().join("_")
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// Returns the name of a field as it stands in an interface.
pub(super) fn field(name: &str) -> String {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
    let is_plain =
        name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_ascii_digit());
    if is_plain { name.to_owned() } else { serde_json::Value::from(name).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_identifiers_and_different_types_have_different_ones() {
        let types = ["a:b-c", "a-b:c", "order:placed", "order:placed-2", "a:b-c-d"];
        let names = type_names(types.into_iter());
        assert_eq!(names["order:placed"], "OrderPlaced");
        assert_eq!(names["order:placed-2"], "OrderPlaced2");
        assert_eq!((names["a:b-c"].as_str(), names["a-b:c"].as_str()), ("A_B$C", "A$B_C"));
        assert_eq!(names["a:b-c-d"], "ABCD");
        assert_eq!(pascal("2_of<Line item>"), "_2OfLineItem");
    }

    #[test]
    fn name_that_is_taken_gets_a_number() {
        let mut names = Identifiers::new(&["Line"]);
        assert_eq!(
            [names.take("Line"), names.take("Line"), names.take("x")],
            ["Line_2", "Line_3", "x"]
        );
    }

    #[test]
    fn field_that_is_no_identifier_is_quoted() {
        for (name, expected) in
            [("a_1", "a_1"), ("$a", "$a"), ("1a", "\"1a\""), ("a-b", "\"a-b\""), ("", "\"\"")]
        {
            assert_eq!(field(name), expected);
        }
    }
}
