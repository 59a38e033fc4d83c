//! What a rule does to a value.

use std::borrow::Cow;

use serde::Deserialize;
use tidings_analytics::HashKeys;

use crate::{
    path::{Blocked, Edit, Path},
    reason::Reason,
    value::{Object, Value},
};

/// What stands where a text was.
const MASK: &str = "***";

/// What a rule does to a value; null and the empty text hold nothing and stay.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Takes it out.
    Drop,
    /// Puts something of the same type that says nothing: `***`, 0, false, no items, no members.
    Mask,
    /// Puts its hash under the current key, `<key id>:<hash>`: the same for the same text or number.
    Hash,
    /// Takes out of a URL what may tell of a person: the query, a fragment that is no route, and the credentials.
    StripQuery,
}

/// Why an action could not be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Problem {
    /// Something without children stands where the path goes on.
    Blocked(&'static str),
    /// The value is of a type for which the action has no meaning.
    Type(&'static str),
    /// There is no key.
    NoKey,
}

impl From<Blocked> for Problem {
    fn from(Blocked(kind): Blocked) -> Self {
        Self::Blocked(kind)
    }
}

impl Action {
    /// Returns the word in the settings.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Mask => "mask",
            Self::Hash => "hash",
            Self::StripQuery => "strip-query",
        }
    }

    pub(super) fn apply(
        self,
        value: &mut Value<'_>,
        keys: Option<&HashKeys>,
    ) -> Result<Edit, Problem> {
        match self {
            Self::Drop => Ok(Edit::Gone),
            Self::Mask => Ok(mask(value)),
            Self::Hash => each(value, &|value| hash(value, keys)),
            Self::StripQuery => each(value, &strip_query),
        }
    }
}

impl Problem {
    pub(super) fn reason(self, path: &Path, action: Action) -> Reason {
        let (word, at) = (action.as_str(), path.as_str().to_owned());
        match self {
            Self::Blocked(kind) => {
                let message = format!(
                    "the rule `{word}` goes on below a {kind}; send an object or a list there, or change the rule"
                );
                Reason::new(at, "redact_blocked", message)
            }
            Self::Type(kind) => {
                let message = format!(
                    "the rule `{word}` cannot be applied to a {kind}; send a text there, or change the rule"
                );
                Reason::new(at, "redact_type", message)
            }
            Self::NoKey => {
                let message =
                    "the rule `hash` needs a hash key; install one, then replay the event";
                Reason::new(at, "redact_no_key", message)
            }
        }
    }
}

fn mask(value: &mut Value<'_>) -> Edit {
    let masked = match value {
        Value::Null => Value::Null,
        Value::Text(text) if text.is_empty() => Value::from(""),
        Value::Text(_) => Value::from(MASK),
        Value::Number(_) => Value::from(0_i64),
        Value::Bool(_) => Value::from(false),
        Value::List(_) => Value::List(Vec::new()),
        Value::Object(_) => Value::Object(Object::new()),
    };
    if *value == masked {
        return Edit::Kept;
    }
    *value = masked;
    Edit::Changed
}

/// Does it to a value, or to each item of lists within lists.
fn each(
    value: &mut Value<'_>,
    action: &impl Fn(&mut Value<'_>) -> Result<Edit, Problem>,
) -> Result<Edit, Problem> {
    match value {
        Value::Null => Ok(Edit::Kept),
        Value::Text(text) if text.is_empty() => Ok(Edit::Kept),
        Value::List(list) => {
            let mut done = Edit::Kept;
            for item in list {
                if each(item, action)? != Edit::Kept {
                    done = Edit::Changed;
                }
            }
            Ok(done)
        }
        _ => action(value),
    }
}

fn hash(value: &mut Value<'_>, keys: Option<&HashKeys>) -> Result<Edit, Problem> {
    let keys = keys.ok_or(Problem::NoKey);
    let hash = match value {
        Value::Text(text) => keys?.hash(text),
        Value::Number(number) => keys?.hash(number),
        other => return Err(Problem::Type(other.kind())),
    };
    *value = Value::from(hash.ok_or(Problem::NoKey)?);
    Ok(Edit::Changed)
}

fn strip_query(value: &mut Value<'_>) -> Result<Edit, Problem> {
    let Value::Text(text) = value else {
        return Err(Problem::Type(value.kind()));
    };
    let stripped = stripped(text);
    if let Cow::Borrowed(part) = stripped
        && part.len() == text.len()
    {
        return Ok(Edit::Kept);
    }
    *value = Value::from(stripped.into_owned());
    Ok(Edit::Changed)
}

/// Returns a URL without its query, its credentials, and a fragment that is not the route of a page (`#/…`, `#!/…`).
pub(crate) fn stripped(url: &str) -> Cow<'_, str> {
    let mut kept = url.split_once('?').map_or(url, |(before, _)| before);
    if let Some((before, fragment)) = kept.split_once('#') {
        let is_route = fragment.starts_with('/') || fragment.starts_with("!/");
        // A second fragment within a route is none of the page's.
        let route = fragment.split_once('#').map_or(fragment, |(route, _)| route);
        kept = if is_route { &kept[..before.len() + 1 + route.len()] } else { before };
    }
    let Some((scheme, rest)) = kept.split_once("//") else { return Cow::Borrowed(kept) };
    let authority = rest.find(['/', '#', '\\']).map_or(rest, |end| &rest[..end]);
    match authority.rsplit_once('@') {
        Some((credentials, _)) => {
            Cow::Owned(format!("{scheme}//{}", &rest[credentials.len() + 1..]))
        }
        None => Cow::Borrowed(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_loses_what_may_tell_of_a_person_and_stays_a_url() {
        let cases = [
            ("https://a.org/p?name=ada#x", "https://a.org/p"),
            ("https://a.org/#/login?mobile=99", "https://a.org/#/login"),
            ("https://a.org/#!/login", "https://a.org/#!/login"),
            ("https://a.org/p#access_token=s", "https://a.org/p"),
            ("https://a.org/#/p#token", "https://a.org/#/p"),
            ("https://ada:secret@a.org/p", "https://a.org/p"),
            ("https://a@b@a.org?x", "https://a.org"),
            ("//ada@a.org/p", "//a.org/p"),
            ("/citizen/home?cityId=pb", "/citizen/home"),
            ("https://a.org/@ada/p", "https://a.org/@ada/p"),
            ("?q", ""),
            ("plain", "plain"),
        ];
        for (url, expected) in cases {
            assert_eq!(stripped(url), expected, "{url}");
        }
    }
}
