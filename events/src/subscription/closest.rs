//! The names that a mistyped one may have meant.

/// How many names an error lists.
const LISTED_MAX: usize = 5;

/// Returns the names that come closest to `name`, the closest first, as a list with commas.
pub(crate) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut ranked: Vec<_> = known.map(|known| (distance(name, known), known)).collect();
    ranked.sort_unstable();
    ranked.dedup();
    if ranked.is_empty() {
        return "none, so sync the application's catalogue first".to_owned();
    }
    let more = if ranked.len() > LISTED_MAX { ", …" } else { "" };
    let listed: Vec<_> = ranked.into_iter().take(LISTED_MAX).map(|(_, known)| known).collect();
    listed.join(", ") + more
}

/// How many bytes have to be changed, added or taken away to make `one` into `other` (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, byte) in one.bytes().enumerate() {
        let mut diagonal = index;
        row[0] = index + 1;
        for (at, other) in other.bytes().enumerate() {
            let changed = diagonal + usize::from(byte != other);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn distance_counts_single_changes() {
        for (one, other, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("order:placed", "order:placed", 0),
            ("order:palced", "order:placed", 2),
            ("order:place", "order:placed", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn closest_name_comes_first_and_the_list_is_short() {
        let known = ["user:added", "order:paid", "order:placed", "job:run:failed"];
        assert_eq!(
            closest("order:place", known.into_iter()),
            "order:placed, order:paid, user:added, job:run:failed"
        );
        let many = ["a:added", "b:added", "c:added", "d:added", "e:added", "f:added", "a:added"];
        assert_eq!(
            closest("f:added", many.into_iter()),
            "f:added, a:added, b:added, c:added, d:added, …"
        );
        assert_eq!(closest("a", [].into_iter()), "none, so sync the application's catalogue first");
    }

    proptest! {
        #[test]
        fn distance_is_a_distance(one in "[ab:]{0,8}", other in "[ab:]{0,8}", third in "[ab:]{0,8}") {
            prop_assert_eq!(distance(&one, &other) == 0, one == other);
            prop_assert_eq!(distance(&one, &other), distance(&other, &one));
            prop_assert!(distance(&one, &third) <= distance(&one, &other) + distance(&other, &third));
        }
    }
}
