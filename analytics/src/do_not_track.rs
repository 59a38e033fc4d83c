//! What the variable `DO_NOT_TRACK` says.

/// Returns whether a program was asked not to track, by the value of the variable `DO_NOT_TRACK`.
///
/// Anything asks for it but an empty value, `0` and `false`, so that no spelling of yes is missed.
/// Only a program reads the environment, so it hands the value in.
///
/// # Examples
///
/// ```
/// use tidings_analytics::do_not_track;
///
/// assert!(do_not_track(Some("1")));
/// assert!(!do_not_track(None));
/// ```
pub fn do_not_track(value: Option<&str>) -> bool {
    value.map(str::trim).is_some_and(|value| {
        !(value.is_empty() || value == "0" || value.eq_ignore_ascii_case("false"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_yes_is_understood() {
        for yes in ["1", "true", "TRUE", "yes", "on", "2", " 1 ", "please"] {
            assert!(do_not_track(Some(yes)), "{yes}");
        }
        for no in [None, Some(""), Some(" "), Some("0"), Some("false"), Some("False")] {
            assert!(!do_not_track(no), "{no:?}");
        }
    }
}
