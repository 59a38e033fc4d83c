//! Whether a word is a verb in the past tense, as far as a rule can tell.

use crate::private::same;

/// Words that end like a past tense and are none.
const PRESENT_IN_ED: &str = "
    bed bleed breed embed exceed feed heed need proceed red seed speed succeed weed
";

/// Past forms that do not end in `ed`, of verbs that happen to the things of applications.
const PAST_IRREGULAR: &str = "
    awoken bade beaten became become been began begun bent bet bid bit bitten blew blown bought
    bound broke broken brought built burnt burst came cast caught chose chosen clung come cost
    crept cut dealt done drank drawn drew driven drove drunk dug eaten fallen fell felt flew
    flown flung forbidden forecast foreseen forgave forgiven forgot forgotten fought found froze
    frozen gave given gone got gotten grew ground grown heard held hid hidden hit hung hurt kept
    knew knit known laid learnt left lent let lit lost made meant met mislaid misread mistaken
    outgrown overcome overdrawn overridden overrode overrun oversold overtaken overwritten paid
    prepaid proven put quit ran rang read rebuilt recast redone redrawn remade repaid reran
    rerun resent reset resold retaken rewritten ridden risen rode rose run rung said sang sank
    sat saw seen sent set shaken shone shook shot shown shrunk shut slept slid sold sought sown
    spent split spoken spread sprung spun stole stolen stood struck stuck sung sunk swept
    swollen sworn swum swung taken taught thought threw thrown told took torn unbound undergone
    understood undertaken undid undone unfrozen unset unsold upheld upset went withdrawn
    withdrew withheld withstood woken won wore worn wound woven written wrote wrung
";

/// Returns whether `part`, or a word of it between hyphens, is a verb in the past tense.
pub(crate) const fn past_tense(part: &[u8]) -> bool {
    let mut start = 0;
    while start <= part.len() {
        let end = end_of_word(part, start);
        if past_tense_word(part.split_at(end).0.split_at(start).1) {
            return true;
        }
        start = end + 1;
    }
    false
}

const fn past_tense_word(word: &[u8]) -> bool {
    match word {
        [_, .., b'e', b'd'] => !one_of(word, PRESENT_IN_ED.as_bytes()),
        _ => one_of(word, PAST_IRREGULAR.as_bytes()),
    }
}

/// Returns whether `word` is one of `words`, which stand between white space.
const fn one_of(word: &[u8], words: &[u8]) -> bool {
    let mut start = 0;
    while start < words.len() && !word.is_empty() {
        let end = end_of_word(words, start);
        if same(word, words.split_at(end).0.split_at(start).1) {
            return true;
        }
        start = end + 1;
    }
    false
}

/// Returns where the word that begins at `start` ends: before a hyphen, white space, or the end.
const fn end_of_word(text: &[u8], start: usize) -> usize {
    let mut end = start;
    while end < text.len() && !matches!(text[end], b'-' | b' ' | b'\n') {
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_say_nothing_that_the_rule_says() {
        for (words, ends_in_ed) in [(PRESENT_IN_ED, true), (PAST_IRREGULAR, false)] {
            let words: Vec<_> = words.split_whitespace().collect();
            assert!(words.is_sorted_by(|one, other| one < other), "{words:?}");
            assert!(words.iter().all(|word| word.ends_with("ed") == ends_in_ed));
        }
    }

    #[test]
    fn past_tense_is_told_from_other_words() {
        let past = [
            "placed",
            "re-run",
            "checked-out",
            "sent",
            "unset",
            "written",
            "fed",
            "awoken",
            "wrung",
        ];
        assert!(past.iter().all(|word| past_tense(word.as_bytes())));
        let other = ["", "-", "ed", "place", "succeed", "need", "s", "sentx"];
        assert!(!other.iter().any(|word| past_tense(word.as_bytes())));
    }
}
