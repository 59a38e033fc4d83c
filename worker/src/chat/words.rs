//! Names of types and fields as words that people read.

/// After a hyphen these belong to the word before it: `one-off`, `sign-up`, `opt-in`.
const PARTICLES: [&str; 9] = ["off", "up", "in", "out", "on", "by", "down", "over", "only"];

/// Returns the words of one name: `pipeline_run`, `pipeline-run` and `pipelineRun` are all `pipeline run`.
pub(super) fn words(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    let mut before = None;
    for (at, c) in name.char_indices() {
        match c {
            '_' => text.push(' '),
            '-' if is_particle(&name[at + 1..]) => text.push('-'),
            '-' => text.push(' '),
            c if c.is_uppercase() && before.is_some_and(char::is_lowercase) => {
                text.push(' ');
                text.extend(c.to_lowercase());
            }
            c => text.push(c),
        }
        before = Some(c);
    }
    text.trim().to_owned()
}

/// Returns an event type as a headline: `project:one-off-job:pipeline-run:failed` is
/// `One-off job · pipeline run failed`.
///
/// The first part only says where it belongs, so it is left out where something is left without it.
pub(super) fn headline(event_type: &str) -> String {
    let parts: Vec<&str> = event_type.split(':').collect();
    let parts = match parts.as_slice() {
        [_, rest @ ..] if rest.len() >= 2 => rest,
        whole => whole,
    };
    let Some((verb, subjects)) = parts.split_last() else { return String::new() };
    let subjects: Vec<String> = subjects.iter().map(|part| words(part)).collect();
    capital(format!("{} {}", subjects.join(" · "), words(verb)).trim())
}

/// Returns `text` with its first letter in upper case.
pub(super) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// Returns whether a name goes on with a particle.
fn is_particle(rest: &str) -> bool {
    let end = rest.find(['-', '_']).unwrap_or(rest.len());
    PARTICLES.contains(&&rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_words() {
        for (name, expected) in [
            ("pipeline_run", "pipeline run"),
            ("pipeline-run", "pipeline run"),
            ("pipelineRun", "pipeline run"),
            ("one-off-job", "one-off job"),
            ("sign-up", "sign-up"),
            ("URL", "URL"),
            ("größeÄnderung", "größe änderung"),
            ("_", ""),
            ("", ""),
        ] {
            assert_eq!(words(name), expected);
        }
    }

    #[test]
    fn type_becomes_a_headline() {
        for (event_type, expected) in [
            ("order:placed", "Order placed"),
            ("project:job:failed", "Job failed"),
            ("project:one-off-job:pipeline-run:failed", "One-off job · pipeline run failed"),
            ("project:cron-job:run:pipeline-run:failed", "Cron job · run · pipeline run failed"),
            ("tidings:subscriber:disabled", "Subscriber disabled"),
            ("ping", "Ping"),
            ("", ""),
        ] {
            assert_eq!(headline(event_type), expected);
        }
    }
}
