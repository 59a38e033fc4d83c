//! How a receiver behaves over time: well, except for a while.
//!
//! It does no I/O and reads no clock.

use std::{fmt, ops::Range, time::Duration};

/// What a receiver does with a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Conduct {
    /// Takes it and says so.
    Well,
    /// Takes it, and the connection breaks before it can say so: the event will come again.
    Forgetful,
    /// Breaks the connection.
    Dead,
    /// Asks for patience: 503 with `Retry-After`.
    Busy,
}

/// When a receiver behaves how, counted from the beginning of the load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outage {
    phases: Vec<(Range<Duration>, Conduct)>,
}

impl Outage {
    /// Returns the outage of a receiver that is always there.
    pub(crate) fn never() -> Self {
        Self::default()
    }

    /// Returns five bad seconds: answers are lost, then connections, then it comes up again and is overwhelmed.
    pub(crate) fn of_five_seconds() -> Self {
        let phase =
            |from, to, conduct| (Duration::from_millis(from)..Duration::from_millis(to), conduct);
        Self {
            phases: vec![
                phase(3_000, 3_200, Conduct::Forgetful),
                phase(3_200, 5_000, Conduct::Dead),
                phase(5_000, 8_000, Conduct::Busy),
            ],
        }
    }

    /// Returns how the receiver behaves so long after the beginning.
    pub(crate) fn conduct(&self, elapsed: Duration) -> Conduct {
        let phase = self.phases.iter().find(|(during, _)| during.contains(&elapsed));
        phase.map_or(Conduct::Well, |(_, conduct)| *conduct)
    }
}

impl fmt::Display for Conduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Well => "up",
            Self::Forgetful => "loses its answers",
            Self::Dead => "drops connections",
            Self::Busy => "answers 503",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receiver_is_well_before_and_after_its_outage() {
        let outage = Outage::of_five_seconds();
        let cases = [
            (0, Conduct::Well),
            (2_999, Conduct::Well),
            (3_000, Conduct::Forgetful),
            (3_200, Conduct::Dead),
            (7_999, Conduct::Busy),
            (8_000, Conduct::Well),
            (1_000_000, Conduct::Well),
        ];
        for (millis, conduct) in cases {
            assert_eq!(outage.conduct(Duration::from_millis(millis)), conduct, "{millis} ms");
        }
    }
}
