//! Time and visits by name, bounded.

/// How many names are told apart in one session; what comes beyond is counted together.
const NAMES_MAX: usize = 50;

/// The longest name, so that a session stays small.
const NAME_BYTES_MAX: usize = 256;

/// What is counted together.
const OTHER: &str = "(other)";

/// Time and visits by name, in the order in which the names came.
#[derive(Clone, Debug)]
pub(super) struct Tally<K>(Vec<Line<K>>);

/// A name with what was counted.
#[derive(Clone, Debug)]
pub(super) struct Line<K> {
    pub(super) name: K,
    pub(super) spent_ms: i64,
    pub(super) count: u64,
    /// Whether time counts for it now.
    pub(super) open: bool,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K> Tally<K> {
    /// Returns the line of a name, which is made if it is missing; names beyond the most share one.
    pub(super) fn line(
        &mut self,
        is: impl Fn(&K) -> bool,
        make: impl FnOnce(bool) -> K,
        is_other: impl Fn(&K) -> bool,
    ) -> &mut Line<K> {
        let full = self.0.len() >= NAMES_MAX;
        let mut index = self.0.iter().position(|line| is(&line.name));
        if index.is_none() && full {
            index = self.0.iter().position(|line| is_other(&line.name));
        }
        let index = index.unwrap_or_else(|| {
            self.0.push(Line { name: make(full), spent_ms: 0, count: 0, open: false });
            self.0.len() - 1
        });
        &mut self.0[index]
    }

    /// Adds time to every line that is open.
    pub(super) fn spend(&mut self, ms: i64) {
        for line in self.0.iter_mut().filter(|line| line.open) {
            line.spent_ms = line.spent_ms.saturating_add(ms);
        }
    }

    /// Returns the open line that `is` says, if there is one.
    pub(super) fn opened(&mut self, is: impl Fn(&K) -> bool) -> Option<&mut Line<K>> {
        self.0.iter_mut().find(|line| line.open && is(&line.name))
    }

    /// Returns the lines.
    pub(super) fn lines(&self) -> &[Line<K>] {
        &self.0
    }
}

impl Tally<Box<str>> {
    /// Returns the line of a name.
    pub(super) fn named(&mut self, name: &str) -> &mut Line<Box<str>> {
        let name = cut(name);
        self.line(
            |found| **found == *name,
            |other| if other { OTHER.into() } else { name.into() },
            |found| **found == *OTHER,
        )
    }

    /// Makes this line the only open one; counts a visit if it was not, or if it is `anew`.
    pub(super) fn turn_to(&mut self, name: &str, anew: bool) {
        if !anew && self.0.iter().any(|line| line.open && *line.name == *cut(name)) {
            return;
        }
        for line in &mut self.0 {
            line.open = false;
        }
        let line = self.named(name);
        line.open = true;
        line.count += 1;
    }
}

impl Tally<(Box<str>, Box<str>)> {
    /// Returns the line of a section.
    pub(super) fn section(&mut self, kind: &str, id: &str) -> &mut Line<(Box<str>, Box<str>)> {
        let (kind, id) = (cut(kind), cut(id));
        self.line(
            |(found, name)| **found == *kind && **name == *id,
            |other| if other { (OTHER.into(), OTHER.into()) } else { (kind.into(), id.into()) },
            |(found, name)| **found == *OTHER && **name == *OTHER,
        )
    }
}

/// Cuts a name off where it is too long, between two letters.
pub(super) fn cut(name: &str) -> &str {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_most_are_counted_together() {
        let mut tally = Tally::<Box<str>>::default();
        for number in 0..1000 {
            tally.named(&number.to_string()).count += 1;
        }
        assert_eq!(tally.lines().len(), NAMES_MAX + 1);
        let other = tally.named(OTHER);
        assert_eq!(other.count, 950);
        assert_eq!(tally.lines().len(), NAMES_MAX + 1);
    }

    #[test]
    fn long_name_is_cut_between_two_letters() {
        assert_eq!(cut(&"é".repeat(200)).len(), 256);
        assert_eq!(cut(&format!("a{}", "é".repeat(200))).len(), 255);
        assert_eq!(cut("a"), "a");
    }
}
