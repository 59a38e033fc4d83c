//! What is wrong with the parts of a report, told when they are put together.

use crate::wire;

/// Parts that make no report.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name that two collectors declare, or that a report has for itself.
    #[error("`{name}` is declared by {one} and by {other}: rename one of them")]
    Clash {
        /// The name.
        name: &'static str,
        /// Who declares it.
        one: &'static str,
        /// Who else does.
        other: &'static str,
    },
    /// A name that not every service takes.
    #[error(
        "`{name}` of {collector} is no name of a statistic or a trait: write 1 to 64 of a-z, 0-9 and underscore"
    )]
    Name {
        /// The name.
        name: &'static str,
        /// Who declares it.
        collector: &'static str,
    },
    /// More names than fit into one event.
    #[error(
        "{count} statistics and traits are declared, and 250 fit into a report: group some into one trait"
    )]
    ManyNames {
        /// How many there are.
        count: usize,
    },
    /// An interval that is no rhythm.
    #[error("the interval of reports is a minute to 31 days: {seconds} s were given")]
    Interval {
        /// What was given, in seconds.
        seconds: u64,
    },
    /// A word of the environment of another form.
    #[error(
        "the {what} of an environment has 1 to 64 of a-z, A-Z, 0-9, hyphen, underscore, full stop and plus"
    )]
    Word {
        /// Which of them.
        what: &'static str,
    },
    /// An id that a service refuses.
    #[error(transparent)]
    Wire(#[from] wire::Error),
}
