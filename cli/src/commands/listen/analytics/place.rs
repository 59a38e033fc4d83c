//! Which path of which service a request is for.

use tidings::analytics::wire::{Call, Protocol, Vendor};

/// What a path takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// One call of Segment's, or a batch.
    Segment(Option<Call>),
    /// Events of PostHog's, in bodies up to this size.
    PostHog(Protocol, usize),
    /// What clients ask before they send anything.
    Question,
}

/// The most bytes of a body of one event, and of a batch.
const EVENT_BODY_BYTES_MAX: usize = 2 << 20;
const BATCH_BODY_BYTES_MAX: usize = 20 << 20;

impl Place {
    /// Returns what this path takes; `None` where neither service has it.
    pub(super) fn at(path: &str) -> Option<Self> {
        let path = path.trim_end_matches('/');
        if let Some(call) = path.strip_prefix("/v1/") {
            return match call {
                "batch" | "import" | "b" => Some(Self::Segment(None)),
                "t" => Some(Self::Segment(Some(Call::Track))),
                "i" => Some(Self::Segment(Some(Call::Identify))),
                "g" => Some(Self::Segment(Some(Call::Group))),
                "p" => Some(Self::Segment(Some(Call::Page))),
                "s" => Some(Self::Segment(Some(Call::Screen))),
                "a" => Some(Self::Segment(Some(Call::Alias))),
                word => word.parse().ok().map(|call| Self::Segment(Some(call))),
            };
        }
        match path {
            "/batch" | "/e" => Some(Self::PostHog(Protocol::V0, BATCH_BODY_BYTES_MAX)),
            "/capture" | "/i/v0/e" => Some(Self::PostHog(Protocol::V0, EVENT_BODY_BYTES_MAX)),
            "/i/v1/analytics/events" => Some(Self::PostHog(Protocol::V1, BATCH_BODY_BYTES_MAX)),
            "/decide" | "/flags" | "/s" => Some(Self::Question),
            path if path.starts_with("/array/") => Some(Self::Question),
            _ => None,
        }
    }

    /// Returns whose path it is.
    pub(super) const fn vendor(self) -> Vendor {
        match self {
            Self::Segment(_) => Vendor::Segment,
            Self::PostHog(..) | Self::Question => Vendor::PostHog,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_services() {
        let place = Place::at;
        assert_eq!(place("/v1/batch"), Some(Place::Segment(None)));
        for call in Call::ALL {
            assert_eq!(place(&format!("/v1/{call}")), Some(Place::Segment(Some(call))));
        }
        let v0 = |max| Some(Place::PostHog(Protocol::V0, max));
        for path in ["/batch/", "/batch", "/e/"] {
            assert_eq!(place(path), v0(20 << 20), "{path}");
        }
        assert_eq!((place("/capture/"), place("/i/v0/e/")), (v0(2 << 20), v0(2 << 20)));
        assert_eq!(place("/i/v1/analytics/events"), Some(Place::PostHog(Protocol::V1, 20 << 20)));
        assert_eq!((place("/flags/"), place("/array/k/config")), (place("/decide"), place("/s/")));
        for path in ["/", "/v1/", "/v1/nonsense", "/v2/batch", "/hook"] {
            assert_eq!(place(path), None, "{path}");
        }
    }
}
