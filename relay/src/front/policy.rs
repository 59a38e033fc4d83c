//! What the Content-Security-Policy of a page says to our script and to its requests.
//!
//! A rule of what is allowed errs on the side of no: a page that is left as it is works as before.

use axum::http::{HeaderMap, header};

/// Where a page is, as its browser sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Place {
    /// `http` or `https`.
    pub(super) scheme: String,
    /// The host, with a port if it is not the scheme's.
    pub(super) host: String,
}

/// What is to become of a page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// The script runs and sends, with this nonce.
    Allowed { nonce: Option<String> },
    /// It would not; by this directive.
    Forbidden(&'static str),
}

/// All policies of a page; each of them has to allow what is done.
#[derive(Clone, Debug, Default)]
pub(super) struct Policies(Vec<Policy>);

/// One policy: directives by their names.
#[derive(Clone, Debug)]
struct Policy(Vec<(String, Vec<String>)>);

impl Policies {
    /// Reads the policies of an answer.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut policies = Self::default();
        for value in headers.get_all(header::CONTENT_SECURITY_POLICY) {
            policies.add(&String::from_utf8_lossy(value.as_bytes()));
        }
        policies
    }

    /// Adds policies, separated by commas.
    pub(super) fn add(&mut self, text: &str) {
        self.0.extend(text.split(',').map(Policy::read));
    }

    /// Returns whether a script of this place may run there and send to it, and with which nonce.
    pub(super) fn verdict(&self, place: &Place) -> Verdict {
        let nonces = self.0.iter().flat_map(Policy::nonces).map(Some);
        let nonce = nonces.chain([None]).find(|nonce| {
            self.0.iter().all(|policy| policy.allows_script(nonce.as_deref(), place))
        });
        match nonce {
            _ if self.0.iter().any(Policy::is_sandbox) => Verdict::Forbidden("sandbox"),
            None => Verdict::Forbidden("script-src"),
            Some(_) if !self.0.iter().all(|policy| policy.allows_requests(place)) => {
                Verdict::Forbidden("connect-src")
            }
            Some(nonce) => Verdict::Allowed { nonce },
        }
    }
}

impl Policy {
    fn read(text: &str) -> Self {
        let directives = text.split(';').filter_map(|directive| {
            let mut words = directive.split_ascii_whitespace().map(str::to_owned);
            Some((words.next()?.to_ascii_lowercase(), words.collect()))
        });
        Self(directives.collect())
    }

    /// Returns what the first of these directives that is there lists; the first of a name counts.
    fn sources(&self, names: &[&str]) -> Option<&[String]> {
        let mut found =
            names.iter().filter_map(|name| self.0.iter().find(|(known, _)| known == name));
        found.next().map(|(_, sources)| sources.as_slice())
    }

    fn script_sources(&self) -> Option<&[String]> {
        self.sources(&["script-src-elem", "script-src", "default-src"])
    }

    fn is_sandbox(&self) -> bool {
        let allowed = self.sources(&["sandbox"]);
        allowed.is_some_and(|words| {
            !words.iter().any(|word| word.eq_ignore_ascii_case("allow-scripts"))
        })
    }

    fn nonces(&self) -> impl Iterator<Item = String> {
        let sources = self.script_sources().unwrap_or_default();
        sources.iter().filter_map(|source| nonce(source)).map(str::to_owned)
    }

    fn allows_script(&self, with: Option<&str>, place: &Place) -> bool {
        let Some(sources) = self.script_sources() else { return true };
        let has_nonce = with.is_some() && sources.iter().any(|source| nonce(source) == with);
        // It makes the addresses in the list count for nothing.
        let is_strict =
            sources.iter().any(|source| source.eq_ignore_ascii_case("'strict-dynamic'"));
        has_nonce || (!is_strict && sources.iter().any(|source| place.is_named(source)))
    }

    fn allows_requests(&self, place: &Place) -> bool {
        let sources = self.sources(&["connect-src", "default-src"]);
        sources.is_none_or(|sources| sources.iter().any(|source| place.is_named(source)))
    }
}

impl Place {
    /// Returns whether a source names this place, whatever the path.
    fn is_named(&self, source: &str) -> bool {
        let source = source.to_ascii_lowercase();
        match source.as_str() {
            "'self'" | "*" => return true,
            "https:" => return self.scheme == "https",
            "http:" => return true,
            quoted if quoted.starts_with('\'') => return false,
            _ => {}
        }
        let (scheme, rest) = source
            .split_once("://")
            .map_or((None, &*source), |(scheme, rest)| (Some(scheme), rest));
        // A path may be one that is not ours.
        let host = rest.strip_suffix('/').unwrap_or(rest);
        let own = self.host.to_ascii_lowercase();
        let is_host = match host.strip_prefix("*.") {
            Some(parent) => own.strip_suffix(parent).is_some_and(|name| name.ends_with('.')),
            None => own == host,
        };
        is_host && scheme.is_none_or(|scheme| scheme == self.scheme || scheme == "http")
    }
}

/// Returns the nonce of a source that is one.
fn nonce(source: &str) -> Option<&str> {
    let rest = source.strip_suffix('\'')?;
    let (word, nonce) = rest.split_at_checked("'nonce-".len())?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte);
    (word.eq_ignore_ascii_case("'nonce-") && nonce.bytes().all(is_plain)).then_some(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(policies: &[&str]) -> Verdict {
        let mut all = Policies::default();
        for policy in policies {
            all.add(policy);
        }
        all.verdict(&Place { scheme: "https".to_owned(), host: "shop.example".to_owned() })
    }

    fn allowed(nonce: Option<&str>) -> Verdict {
        Verdict::Allowed { nonce: nonce.map(str::to_owned) }
    }

    #[test]
    fn script_runs_where_its_policy_names_the_place_or_a_nonce() {
        for (policy, expected) in [
            ("", allowed(None)),
            ("img-src 'none'", allowed(None)),
            ("default-src 'self'", allowed(None)),
            ("default-src *", allowed(None)),
            ("default-src https:", allowed(None)),
            ("default-src https://shop.example", allowed(None)),
            ("default-src http://shop.example/", allowed(None)),
            ("default-src *.example", allowed(None)),
            ("Script-Src 'Nonce-aB+/=_-1' 'strict-dynamic'", allowed(Some("aB+/=_-1"))),
            ("script-src 'self' 'nonce-a'", allowed(Some("a"))),
            ("default-src 'self'; script-src 'nonce-a' 'strict-dynamic'", allowed(Some("a"))),
            ("script-src-elem 'nonce-a'; script-src 'none'", allowed(Some("a"))),
            ("script-src 'none'; script-src 'self'", Verdict::Forbidden("script-src")),
            ("script-src 'self' 'strict-dynamic'", Verdict::Forbidden("script-src")),
            ("script-src 'sha256-abc' 'unsafe-inline'", Verdict::Forbidden("script-src")),
            ("script-src 'nonce-a\"onload'", Verdict::Forbidden("script-src")),
            ("script-src https://shop.example:8443", Verdict::Forbidden("script-src")),
            ("script-src shop.example.org *.shop.example", Verdict::Forbidden("script-src")),
            ("script-src shop.example/js/", Verdict::Forbidden("script-src")),
            ("default-src 'none'", Verdict::Forbidden("script-src")),
            ("default-src 'none'; script-src 'nonce-a'", Verdict::Forbidden("connect-src")),
            ("script-src 'self'; connect-src api.example", Verdict::Forbidden("connect-src")),
            ("sandbox allow-forms", Verdict::Forbidden("sandbox")),
            ("sandbox allow-scripts", allowed(None)),
        ] {
            assert_eq!(verdict(&[policy]), expected, "{policy}");
        }
    }

    #[test]
    fn every_policy_of_a_page_has_to_allow_the_script() {
        assert_eq!(
            verdict(&["script-src 'self'", "script-src 'nonce-a' 'self'"]),
            allowed(Some("a"))
        );
        assert_eq!(
            verdict(&["script-src 'nonce-a' 'nonce-b', script-src 'nonce-b'"]),
            allowed(Some("b"))
        );
        let apart = ["script-src 'nonce-a'", "script-src 'nonce-b'"];
        assert_eq!(verdict(&apart), Verdict::Forbidden("script-src"));
    }
}
