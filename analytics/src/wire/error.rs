//! What cannot be sent, and what to do about it.

use super::size::TooLarge;

/// Something that a service would refuse, or lose without a word.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An id without a visible character.
    #[error("an id is blank: leave it out where nobody is known")]
    BlankId,
    /// An id that PostHog refuses.
    #[error("an id has {characters} characters: send at most 200, a hash of it for example")]
    LongId {
        /// How many it has.
        characters: usize,
    },
    /// A word in the place of an id.
    #[error("`{word}` stands for nobody in particular: leave the id out where nobody is known")]
    PlaceholderId {
        /// The word.
        word: &'static str,
    },
    /// A name that is blank or too long.
    #[error(
        "the name of an event has 1 to 200 characters and is not blank: this one has {characters}"
    )]
    Name {
        /// How many characters it has.
        characters: usize,
    },
    /// A message about nobody.
    #[error(
        "a message needs a user or an anonymous id: give one, or fall back on the id of the installation"
    )]
    Nobody,
    /// A call `group` without a group.
    #[error("a call `group` needs the id of the group: give the identity a `group`")]
    NoGroup,
    /// A call `alias` without both ids, or with the same one twice.
    #[error("a call `alias` needs a `user` and another id as `previous`: give the identity both")]
    Alias,
    /// Properties of another form.
    #[error("properties are a JSON object: put the value into a field of one")]
    NotAnObject,
    /// A time that has no four digits of a year.
    #[error("the time of an event lies between the years 1970 and 9999")]
    Time,
    /// A key that cannot be sent.
    #[error(
        "the key of a sink is 1 to 200 visible ASCII characters without a colon: copy it again"
    )]
    Key,
    /// An address that is no place to send to.
    #[error("`{host}` is no address of a sink: {reason}")]
    Host {
        /// What was given, without credentials.
        host: String,
        /// What is wrong with it, and what to write.
        reason: &'static str,
    },
    /// A word that names a group type badly.
    #[error("a group type has 1 to 64 of a-z, 0-9 and underscore: `company` for example")]
    GroupType,
    /// Limits that leave no room, or are wider than the service's.
    #[error("`{name}` is {min} to {max}: {given} was given")]
    Limit {
        /// Which limit.
        name: &'static str,
        /// The least that works.
        min: usize,
        /// The most that the service takes.
        max: usize,
        /// What was given.
        given: usize,
    },
    /// A value that JSON cannot hold.
    #[error("write the event as JSON: {reason}")]
    Json {
        /// What the writer says.
        reason: String,
    },
    /// An event that is larger than the service takes.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// An event with more properties than the service keeps.
    #[error("the event has {count} properties, and {max} are kept: send counts in their place")]
    ManyProperties {
        /// How many it has, those of nested objects included.
        count: usize,
        /// How many are kept.
        max: usize,
    },
}
