//! Families of events, each event a line: its verb, its name, and the status that the verb means.
//!
//! Events of a family have the same layers, so a family says them once:
//!
//! ```text
//! events! {
//!     { project: Project, job: OneOffJob }                     the layers, from the outermost to the innermost
//!     [scope(project, job), ordering_key = job] => {           what else stands in `#[event(..)]`
//!         /// A one-off job has begun.
//!         OneOffJobStarted = "project:one-off-job:started", job becomes JobStatus::Started;
//!     }
//! }
//! ```
//!
//! Each line becomes a struct with `#[derive(Event)]` and a constructor `new` that takes the layers.
//! A status that stands there is set by `new`, so that an event never says another thing than its name.

/// Declares the events of a module, and its `catalogue` and `samples`.
macro_rules! events {
    ($(
        $layers:tt $settings:tt => {$(
            $(#[$($attribute:tt)*])*
            $event:ident = $name:literal $(, $layer:ident becomes $status:expr)?;
        )+}
    )+) => {
        $($(
            $crate::declare::event! {
                $layers $settings
                $(#[$($attribute)*])*
                $event = $name $(, $layer becomes $status)?
            }
        )+)+

        /// Returns the types of this module.
        pub(crate) fn catalogue() -> Result<tidings::Catalogue, tidings::catalogue::CatalogueError> {
            tidings::catalogue![$($($event),+),+]
        }

        /// Returns one event of each type, with `word` in whatever a person could have typed.
        pub(crate) fn samples(word: &str) -> Vec<Box<dyn tidings::Event>> {
            vec![$($(Box::new(<$event as $crate::sample::Sample>::sample(word))),+),+]
        }
    };
}

/// Declares one event.
macro_rules! event {
    (
        { $($field:ident: $type:ident),+ }
        [$($settings:tt)*]
        $(#[$($attribute:tt)*])*
        $event:ident = $name:literal $(, $layer:ident becomes $status:expr)?
    ) => {
        $(#[$($attribute)*])*
        #[derive(Debug, tidings::Event, serde::Serialize, schemars::JsonSchema)]
        #[event(name = $name, version = 1, layers($($type),+), $($settings)*)]
        pub struct $event {
            $($field: $type),+
        }

        impl $event {
            #[doc = concat!("Returns the event `", $name, "` about these layers.")]
            #[must_use]
            pub fn new($($field: $type),+) -> Self {
                $(let $layer = $layer.becoming($status);)?
                Self { $($field),+ }
            }
        }

        impl $crate::sample::Sample for $event {
            fn sample(word: &str) -> Self {
                Self::new($(<$type as $crate::sample::Sample>::sample(word)),+)
            }
        }
    };
}

pub(crate) use {event, events};
