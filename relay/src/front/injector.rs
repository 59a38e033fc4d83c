//! Puts the script into a page while it streams by.
//!
//! It reads the head of the page as browsers do, as far as it has to: tags with their attributes, comments, and what is
//! raw text. Bytes go on at once, but for a tag that is not whole yet.
//!
//! ```text
//! text ──<!--, <script>, <style> …──▶ until its end
//!  │ ▲───────────────────────────────────┘
//!  ├──</head>, <body>, whatever is no part of a head──▶ the script goes before it
//!  └──no document at all──▶ as it is
//! ```

use std::fmt::Write;

use axum::body::Bytes;

use super::{
    policy::{Place, Policies, Verdict},
    tag::{Tag, is_space},
};

/// The longest tag that is waited for.
const TAG_BYTES_MAX: usize = 16 * 1024;

/// Where the script is, on every site.
const PATH: &str = "/tidings.js";

/// What has become of a page.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    Injected,
    /// The page loads the script itself.
    Present,
    /// It is no document, or one whose head cannot be read.
    Fragment,
    /// By this directive of its policy.
    Forbidden(&'static str),
}

/// What reads one page.
#[derive(Debug)]
pub(super) struct Injector {
    attributes: String,
    place: Place,
    policies: Policies,
    state: State,
    held: Vec<u8>,
    outcome: Option<Outcome>,
    /// A doctype, `<html>` or `<head>` was there.
    is_document: bool,
    /// The page has its addresses begin elsewhere.
    has_base: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Text,
    /// Inside of something that ends with this, in lower case.
    Comment,
    Raw(&'static str),
}

/// What follows from a piece of a page.
enum Step {
    On,
    /// The script goes before it.
    Here,
    /// The page stays as it is.
    End(Outcome),
}

impl Injector {
    /// Returns what puts a script with these attributes into a page with these policies.
    pub(super) fn new(attributes: String, place: Place, policies: Policies) -> Self {
        let (state, held, outcome) = (State::Text, Vec::new(), None);
        let (is_document, has_base) = (false, false);
        Self { attributes, place, policies, state, held, outcome, is_document, has_base }
    }

    /// Returns what has become of the page, once that is known.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Takes the next bytes of the page, and returns those that can go on.
    pub(super) fn feed(&mut self, chunk: Bytes) -> Bytes {
        if self.outcome.is_some() {
            return chunk;
        }
        let mut page = std::mem::take(&mut self.held);
        page.extend_from_slice(&chunk);
        let mut at = 0;
        loop {
            let (length, step) = match self.next(&page[at..]) {
                Some(next) => next,
                // No more than a tag, or what may be the beginning of an end.
                None if page.len() - at <= TAG_BYTES_MAX => {
                    self.held = page.split_off(at);
                    return page.into();
                }
                None => (0, Step::End(Outcome::Fragment)),
            };
            match step {
                Step::On => at += length,
                Step::Here => {
                    self.insert(&mut page, at);
                    return page.into();
                }
                Step::End(outcome) => {
                    self.outcome = Some(outcome);
                    return page.into();
                }
            }
        }
    }

    /// Returns what was held back of a page that is over.
    pub(super) fn end(&mut self) -> Bytes {
        self.outcome.get_or_insert(Outcome::Fragment);
        std::mem::take(&mut self.held).into()
    }

    /// Returns how long the next piece is, and what follows from it; `None` where more is needed to know.
    fn next(&mut self, rest: &[u8]) -> Option<(usize, Step)> {
        match self.state {
            State::Comment => Some((self.skip(rest, "-->", 3)?, Step::On)),
            // The end tag is read as every tag is.
            State::Raw(end) => Some((self.skip(rest, end, 0)?, Step::On)),
            State::Text => match rest.iter().position(|byte| !self.is_blank(*byte)) {
                None if rest.is_empty() => None,
                None => Some((rest.len(), Step::On)),
                Some(0) if rest[0] == b'<' => self.markup(rest),
                Some(0) => Some((0, self.here())),
                Some(blank) => Some((blank, Step::On)),
            },
        }
    }

    /// Returns how much there is up to the end of a comment or raw text, `included` bytes of the end with it; where
    /// there is no end, as much as can be no part of it.
    fn skip(&mut self, rest: &[u8], end: &str, included: usize) -> Option<usize> {
        let is_end = |window: &[u8]| window.eq_ignore_ascii_case(end.as_bytes());
        if let Some(found) = rest.windows(end.len()).position(is_end) {
            self.state = State::Text;
            return Some(found + included);
        }
        rest.len().checked_sub(end.len() - 1).filter(|length| *length > 0)
    }

    fn is_blank(&self, byte: u8) -> bool {
        // Before the document there may be the mark that says which encoding it has.
        is_space(byte) || (!self.is_document && b"\xef\xbb\xbf".contains(&byte))
    }

    fn markup(&mut self, rest: &[u8]) -> Option<(usize, Step)> {
        if b"<!--".starts_with(rest) {
            return None;
        }
        if rest.starts_with(b"<!--") {
            self.state = State::Comment;
            // `<!-->` is a whole one.
            return Some((2, Step::On));
        }
        if !rest.get(1).is_some_and(|byte| byte.is_ascii_alphabetic() || b"/!?".contains(byte)) {
            return Some((0, self.here()));
        }
        let (tag, length) = Tag::read(rest)?;
        Some((length, self.tag(&tag)))
    }

    fn tag(&mut self, tag: &Tag) -> Step {
        match (tag.name.as_str(), tag.is_end) {
            ("!doctype" | "html" | "head", false) => self.is_document = true,
            ("head" | "body" | "html" | "br", true) => return self.here(),
            (_, true) => {}
            (name, false) if name.starts_with(['!', '?']) => {}
            _ if !self.is_document => return Step::End(Outcome::Fragment),
            ("meta", false) => self.meta(tag),
            ("base", false) => {
                self.has_base |= tag.attribute("href").is_some_and(|href| href.contains("//"));
            }
            ("link" | "basefont" | "bgsound", false) => {}
            ("script", false) => {
                if tag.attribute("src").is_some_and(|src| src.ends_with(PATH)) {
                    return Step::End(Outcome::Present);
                }
                self.state = State::Raw("</script");
            }
            ("style", false) => self.state = State::Raw("</style"),
            ("title", false) => self.state = State::Raw("</title"),
            ("noscript", false) => self.state = State::Raw("</noscript"),
            ("noframes", false) => self.state = State::Raw("</noframes"),
            ("template", false) => self.state = State::Raw("</template"),
            _ => return self.here(),
        }
        Step::On
    }

    fn meta(&mut self, tag: &Tag) {
        let kind = tag.attribute("http-equiv").unwrap_or_default();
        if kind.eq_ignore_ascii_case("content-security-policy") {
            self.policies.add(&decoded(tag.attribute("content").unwrap_or_default()));
        }
    }

    /// The head ends here.
    fn here(&self) -> Step {
        if self.is_document { Step::Here } else { Step::End(Outcome::Fragment) }
    }

    fn insert(&mut self, page: &mut Vec<u8>, at: usize) {
        let nonce = match self.policies.verdict(&self.place) {
            Verdict::Forbidden(directive) => {
                self.outcome = Some(Outcome::Forbidden(directive));
                return;
            }
            Verdict::Allowed { nonce } => nonce,
        };
        self.outcome = Some(Outcome::Injected);
        let site =
            if self.has_base { format!("//{}", escaped(&self.place.host)) } else { String::new() };
        let mut tag = format!("<script src=\"{site}{PATH}\" defer{}", self.attributes);
        if let Some(nonce) = nonce {
            // Writing to a string cannot fail.
            write!(tag, " nonce=\"{nonce}\"").ok();
        }
        tag.push_str("></script>");
        page.splice(at..at, tag.into_bytes());
    }
}

/// The characters that are written otherwise in attributes.
const ENTITIES: [(&str, char); 7] = [
    ("&quot;", '"'),
    ("&#34;", '"'),
    ("&apos;", '\''),
    ("&#39;", '\''),
    ("&#x27;", '\''),
    ("&lt;", '<'),
    ("&amp;", '&'),
];

/// Undoes how the value of an attribute is written.
fn decoded(value: &str) -> String {
    ENTITIES.iter().fold(value.to_owned(), |text, (entity, char)| {
        text.replace(entity, char.encode_utf8(&mut [0; 4]))
    })
}

/// Writes a text as the value of an attribute.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests;
