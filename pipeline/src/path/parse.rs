//! Reading a path.

use super::Step;

/// The most steps: JSON is 128 deep at most, and nobody's rule is this long.
const STEPS_MAX: usize = 32;

/// A text that is no path.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is no path: {problem}; write it like $.edata.items[*].id")]
pub struct BadPath {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Reads the steps.
pub(super) fn steps(text: &str) -> Result<Vec<Step>, BadPath> {
    let bad = |problem| BadPath { text: text.to_owned(), problem };
    let mut rest = text.strip_prefix('$').ok_or_else(|| bad("it has to begin with $"))?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, behind) = step(rest).map_err(bad)?;
        steps.push(step);
        rest = behind;
    }
    match steps.len() {
        0 => Err(bad("it names the whole event")),
        1..=STEPS_MAX => Ok(steps),
        _ => Err(bad("it has more than 32 steps")),
    }
}

fn step(text: &str) -> Result<(Step, &str), &'static str> {
    if let Some(rest) = text.strip_prefix('.') {
        if rest.starts_with('.') {
            return Err("`..` is not known here, name each level");
        }
        if let Some(behind) = rest.strip_prefix('*') {
            return Ok((Step::Every, behind));
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        if name.is_empty() {
            return Err("a name is missing after a dot");
        }
        let plain = |char: char| char.is_alphanumeric() || "_-@$:".contains(char);
        if !name.chars().all(plain) {
            return Err("a name with other signs than letters, digits, _ - @ $ : goes into ['…']");
        }
        return Ok((Step::Member(name.into()), behind));
    }
    let Some(rest) = text.strip_prefix('[') else {
        return Err("a dot or a bracket is missing between two steps");
    };
    if let Some(behind) = rest.strip_prefix("*]") {
        return Ok((Step::Every, behind));
    }
    for quote in ['\'', '"'] {
        let Some(quoted) = rest.strip_prefix(quote) else { continue };
        let (name, behind) = quoted.split_once(quote).ok_or("a quote is not closed")?;
        let behind = behind.strip_prefix(']').ok_or("a bracket is not closed")?;
        if name.contains('\\') {
            return Err("escapes are not known here");
        }
        return Ok((Step::Member(name.into()), behind));
    }
    let (index, behind) = rest.split_once(']').ok_or("a bracket is not closed")?;
    let digits = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
    match index.parse() {
        Ok(index) if digits => Ok((Step::Item(index), behind)),
        _ => Err("a bracket holds *, a number, or a name in quotes"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Path;

    #[test]
    fn mistake_is_named_with_what_to_write() {
        let cases = [
            ("edata.id", "it has to begin with $"),
            ("$", "it names the whole event"),
            ("$..id", "`..` is not known here, name each level"),
            ("$.", "a name is missing after a dot"),
            ("$.a b", "a name with other signs"),
            ("$a", "a dot or a bracket is missing"),
            ("$['a'", "a bracket is not closed"),
            ("$['a", "a quote is not closed"),
            ("$[?(@.a)]", "a bracket holds *"),
            ("$[-1]", "a bracket holds *"),
            ("$[+1]", "a bracket holds *"),
        ];
        for (text, problem) in cases {
            let error = Path::parse(text).unwrap_err();
            assert!(error.problem.starts_with(problem), "{text}: {error}");
        }
        assert_eq!(
            Path::parse("id").unwrap_err().to_string(),
            "`id` is no path: it has to begin with $; write it like $.edata.items[*].id"
        );
        assert!(Path::parse(&format!("${}", ".a".repeat(33))).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\$?[.\\[\\]*'\"a0-9é\\\\ ]{0,20}") {
            if let Ok(path) = Path::parse(&text) {
                prop_assert_eq!(path.as_str(), text);
            }
        }
    }
}
