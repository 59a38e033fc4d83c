//! Links to the web: which texts are URLs that may be followed, and how each service writes a link.

use std::sync::Arc;

use minijinja::value::{Object, ObjectRepr};
use url::{Position, Url};

use super::{Kind, escape::escape};

/// The longest URL that becomes a link.
const URL_BYTES_MAX: usize = 2_000;

/// What a template's `link(url, text)` returns: the only value that is printed as markup.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// A URL that may stand in the markup of any service; `None` if what was given may not be followed.
    url: Option<String>,
    text: String,
}

impl Link {
    /// Returns a link to `url` if it is `http` or `https`; otherwise only the text is left of it.
    pub(super) fn new(url: &str, text: Option<&str>) -> Self {
        let text = text.filter(|text| !text.trim().is_empty());
        Self { url: web(url), text: text.unwrap_or(url).to_owned() }
    }

    /// Writes the link for `kind`.
    pub(super) fn markup(&self, kind: Kind) -> String {
        let Some(url) = &self.url else { return escape(kind, &self.text) };
        // Discord shows no link whose text looks like another one.
        let is_bare = web(&self.text).is_some();
        let text = escape(kind, &self.text.split_whitespace().collect::<Vec<_>>().join(" "));
        match kind {
            Kind::Slack if is_bare => format!("<{}>", escape_ampersand(url)),
            Kind::Slack => format!("<{}|{text}>", escape_ampersand(url)),
            Kind::Teams => format!("[{text}]({url})"),
            Kind::Discord if is_bare => format!("<{url}>"),
            Kind::Discord => format!("[{text}](<{url}>)"),
        }
    }
}

impl Object for Link {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    /// What is left when a template turns it into text: what it says, which is then escaped like any other.
    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Returns `text` as a URL that every service takes for one and none for markup; `None` if it is not one of the web.
///
/// A user name or password in it is a trick more often than not.
pub(super) fn web(text: &str) -> Option<String> {
    let text = text.trim();
    let is_web = text.get(..8).is_some_and(|start| {
        let start = start.to_ascii_lowercase();
        start.starts_with("http://") || start.starts_with("https://")
    });
    if !is_web || text.len() > URL_BYTES_MAX || text.contains(char::is_whitespace) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let has_plain_host = url
        .host_str()?
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    if !has_plain_host || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let encoded = encode(&url[Position::BeforePath..]);
    Some(format!("{}{encoded}", &url[..Position::BeforePath]))
}

/// Returns the last four bits of `number` as a digit.
fn digit(number: u32) -> char {
    char::from_digit(number & 15, 16).map_or('0', |digit| digit.to_ascii_uppercase())
}

/// Percent-encodes what is markup somewhere; a server reads it as the same URL.
fn encode(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '<' | '>' | '|' | '(' | ')' | '[' | ']' | '*' | '_' | '~' | '`' | '\\' | '@' | '"'
            | '\'' => {
                text.extend(['%', digit(u32::from(c) >> 4), digit(u32::from(c))]);
            }
            c => text.push(c),
        }
    }
    text
}

pub(super) fn escape_ampersand(url: &str) -> String {
    url.replace('&', "&amp;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_addresses_are_links() {
        for (text, expected) in [
            ("https://example.com/a?b=c&d#e", Some("https://example.com/a?b=c&d#e")),
            ("https://a.example/@everyone", Some("https://a.example/%40everyone")),
            (" HTTP://Example.com ", Some("http://example.com/")),
            (
                "https://example.com/a(b)_c_|<x>",
                Some("https://example.com/a%28b%29%5Fc%5F%7C%3Cx%3E"),
            ),
            ("https://[::1]/[a]", Some("https://[::1]/%5Ba%5D")),
            ("https://b\u{fc}cher.example/", Some("https://xn--bcher-kva.example/")),
            ("https://user@example.com/", None),
            ("https://*.example.com/", None),
            ("https://example.com/a b", None),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("//example.com", None),
            ("https://", None),
            ("", None),
        ] {
            assert_eq!(web(text).as_deref(), expected, "{text}");
        }
        assert_eq!(web(&format!("https://example.com/{}", "a".repeat(URL_BYTES_MAX))), None);
    }

    #[test]
    fn each_service_has_its_own_way_to_write_a_link() {
        let link = Link::new("https://example.com/?a=1&b=(2)", Some("Run <3>\n[x]"));
        let table = [
            (Kind::Slack, "<https://example.com/?a=1&amp;b=%282%29|Run &lt;3&gt; [x]>"),
            (Kind::Teams, r"[Run &lt;3&gt; \[x\]](https://example.com/?a=1&b=%282%29)"),
            (Kind::Discord, r"[Run \<3\> \[x\]](<https://example.com/?a=1&b=%282%29>)"),
        ];
        for (kind, expected) in table {
            assert_eq!(link.markup(kind), expected);
        }
        let bare = Link::new("https://example.com/a", None);
        assert_eq!(bare.markup(Kind::Slack), "<https://example.com/a>");
        assert_eq!(bare.markup(Kind::Discord), "<https://example.com/a>");
    }

    #[test]
    fn what_may_not_be_followed_is_only_its_text() {
        for kind in Kind::ALL {
            assert_eq!(Link::new("javascript:alert(1)", Some("click")).markup(kind), "click");
            assert!(!Link::new("javascript:alert", None).markup(kind).contains("javascript:"));
        }
    }
}
