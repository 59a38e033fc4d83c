//! Paths into JSON, compiled once: the part of RFC 9535 that rules need.
//!
//! A path is `$`, then members (`.name`, `['name']`), items (`[3]`), or every child (`.*`, `[*]`).
//! Where a member is asked for and a list is found, its items are looked into, so that a rule for one answer holds for
//! a list of them too.

mod parse;

use std::fmt;

pub use self::parse::BadPath;
use crate::value::Value;

/// A compiled path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Path {
    text: Box<str>,
    steps: Box<[Step]>,
}

/// One step of a path.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Step {
    /// The member of this name.
    Member(Box<str>),
    /// The item at this place, counted from zero.
    Item(usize),
    /// Every member, or every item.
    Every,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Edit {
    /// It is as it was.
    Kept,
    /// It, or something in it, is another.
    Changed,
    /// It has to go from where it stands.
    Gone,
}

/// Something stood where the path has further to go, and it has no children; its kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Blocked(pub(crate) &'static str);

impl Path {
    /// Compiles a path.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what to write.
    pub fn parse(text: &str) -> Result<Self, BadPath> {
        Ok(Self { text: text.into(), steps: parse::steps(text)?.into() })
    }

    /// Returns it as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the first value that it selects and `accept` takes.
    pub fn find<'v, 'a>(
        &self,
        value: &'v Value<'a>,
        mut accept: impl FnMut(&Value<'a>) -> bool,
    ) -> Option<&'v Value<'a>> {
        find(&self.steps, value, &mut accept)
    }

    /// Returns whether it begins with this member.
    pub(crate) fn begins_with(&self, name: &str) -> bool {
        matches!(self.steps.first(), Some(Step::Member(first)) if &**first == name)
    }

    /// Puts everything that it selects through `edit`; returns whether something is another.
    ///
    /// Null and the empty text hold nothing, and stand in nobody's way.
    ///
    /// # Errors
    ///
    /// What `edit` says, or that something without children stands where the path has further to go.
    pub(crate) fn edit<E: From<Blocked>>(
        &self,
        value: &mut Value<'_>,
        edit: &mut impl FnMut(&mut Value<'_>) -> Result<Edit, E>,
    ) -> Result<bool, E> {
        Ok(walk(&self.steps, value, edit)? != Edit::Kept)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

fn find<'v, 'a>(
    steps: &[Step],
    value: &'v Value<'a>,
    accept: &mut impl FnMut(&Value<'a>) -> bool,
) -> Option<&'v Value<'a>> {
    let Some((step, rest)) = steps.split_first() else {
        return accept(value).then_some(value);
    };
    match (step, value) {
        (Step::Member(name), Value::Object(object)) => find(rest, object.get(name)?, accept),
        (Step::Member(_), Value::List(list)) => {
            list.iter().find_map(|item| find(steps, item, accept))
        }
        (Step::Item(index), Value::List(list)) => find(rest, list.get(*index)?, accept),
        (Step::Every, Value::List(list)) => list.iter().find_map(|item| find(rest, item, accept)),
        (Step::Every, Value::Object(object)) => {
            object.iter().find_map(|(_, member)| find(rest, member, accept))
        }
        _ => None,
    }
}

fn walk<E: From<Blocked>>(
    steps: &[Step],
    value: &mut Value<'_>,
    edit: &mut impl FnMut(&mut Value<'_>) -> Result<Edit, E>,
) -> Result<Edit, E> {
    let Some((step, rest)) = steps.split_first() else {
        return edit(value);
    };
    match (step, value) {
        (_, Value::Null) => Ok(Edit::Kept),
        (_, Value::Text(text)) if text.is_empty() => Ok(Edit::Kept),
        (Step::Member(name), Value::Object(object)) => {
            let Some(member) = object.get_mut(name) else { return Ok(Edit::Kept) };
            let done = walk(rest, member, edit)?;
            if done == Edit::Gone {
                object.remove(name);
                return Ok(Edit::Changed);
            }
            Ok(done)
        }
        (Step::Member(_), Value::List(list)) => each(steps, list, edit),
        (Step::Every, Value::List(list)) => each(rest, list, edit),
        (Step::Item(index), Value::List(list)) => {
            let Some(item) = list.get_mut(*index) else { return Ok(Edit::Kept) };
            let done = walk(rest, item, edit)?;
            if done == Edit::Gone {
                list.remove(*index);
                return Ok(Edit::Changed);
            }
            Ok(done)
        }
        (Step::Every, Value::Object(object)) => {
            let mut sum = Sum::default();
            object.retain(|_, member| sum.keeps(|| walk(rest, member, edit)));
            sum.0
        }
        (_, other) => Err(Blocked(other.kind()).into()),
    }
}

fn each<E: From<Blocked>>(
    steps: &[Step],
    list: &mut Vec<Value<'_>>,
    edit: &mut impl FnMut(&mut Value<'_>) -> Result<Edit, E>,
) -> Result<Edit, E> {
    let mut sum = Sum::default();
    list.retain_mut(|item| sum.keeps(|| walk(steps, item, edit)));
    sum.0
}

/// What became of children; after an error the others are left alone.
struct Sum<E>(Result<Edit, E>);

impl<E> Default for Sum<E> {
    fn default() -> Self {
        Self(Ok(Edit::Kept))
    }
}

impl<E> Sum<E> {
    /// Returns whether the child stays.
    fn keeps(&mut self, walk: impl FnOnce() -> Result<Edit, E>) -> bool {
        if self.0.is_err() {
            return true;
        }
        let done = walk();
        let gone = matches!(done, Ok(Edit::Gone));
        match done {
            Ok(Edit::Kept) => {}
            Ok(Edit::Changed | Edit::Gone) => self.0 = Ok(Edit::Changed),
            Err(error) => self.0 = Err(error),
        }
        !gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, json: &str) -> Option<String> {
        let value = Value::parse(json.as_bytes()).unwrap();
        let found = Path::parse(path).unwrap();
        let text = found.find(&value, |_| true)?.to_bytes();
        Some(String::from_utf8(text).unwrap())
    }

    #[test]
    fn path_finds_what_it_names() {
        let json = r#"{"a":{"b.c":[{"d":1},{"d":2}],"e":3},"@timestamp":4}"#;
        let cases = [
            ("$.a.e", Some("3")),
            ("$['a']['b.c'][1].d", Some("2")),
            ("$.a[\"b.c\"][*].d", Some("1")),
            ("$.a['b.c'].d", Some("1")),
            ("$.a.*[1]", Some(r#"{"d":2}"#)),
            ("$.@timestamp", Some("4")),
            ("$.a.x", None),
            ("$.a.e.f", None),
            ("$.a['b.c'][2]", None),
        ];
        for (path, expected) in cases {
            assert_eq!(found(path, json).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn edit_reaches_every_place_and_takes_out_what_has_to_go() {
        let mut value = Value::parse(br#"{"a":[{"b":1},[{"b":2}],{"c":3}],"d":{"b":4}}"#).unwrap();
        let path = Path::parse("$.a.b").unwrap();
        let done = path.edit(&mut value, &mut |_| Ok::<_, Blocked>(Edit::Gone));
        assert_eq!(done, Ok(true));
        assert_eq!(value.to_bytes(), br#"{"a":[{},[{}],{"c":3}],"d":{"b":4}}"#);
    }

    #[test]
    fn edit_is_blocked_by_what_has_no_children() {
        let path = Path::parse("$.a[*].b").unwrap();
        let cases = [
            (r#"{"a":"secret"}"#, Err(Blocked("string"))),
            (r#"{"a":["secret"]}"#, Err(Blocked("string"))),
            (r#"{"a":{"x":7}}"#, Err(Blocked("number"))),
            (r#"{"a":null}"#, Ok(false)),
            (r#"{"a":""}"#, Ok(false)),
            (r#"{"a":[]}"#, Ok(false)),
            ("{}", Ok(false)),
        ];
        for (json, expected) in cases {
            let mut value = Value::parse(json.as_bytes()).unwrap();
            let done = path.edit(&mut value, &mut |_| Ok::<_, Blocked>(Edit::Changed));
            assert_eq!(done, expected, "{json}");
        }
    }
}
