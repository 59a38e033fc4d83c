//! The Rust examples of the book, compiled with the documentation of this package: `cargo test --doc -p tidings-tests`.
//!
//! `it/book/structure.rs` sees to it that no page is missing.

macro_rules! pages {
    ($($name:ident = $path:literal,)*) => {$(
        #[doc = include_str!($path)]
        pub mod $name {}
    )*};
}

pages! {
    first_event = "../../docs/start/first-event.md",
    register_events = "../../docs/guides/register-events.md",
    receive_webhooks = "../../docs/guides/receive-webhooks.md",
    chat = "../../docs/guides/chat.md",
    events_to_kafka = "../../docs/guides/events-to-kafka.md",
    analytics = "../../docs/guides/analytics.md",
    reporting = "../../docs/guides/reporting.md",
    relay = "../../docs/guides/relay.md",
    catalogue = "../../docs/guides/catalogue.md",
    change_a_schema = "../../docs/guides/change-a-schema.md",
    add_a_destination = "../../docs/guides/add-a-destination.md",
    test_your_application = "../../docs/guides/test-your-application.md",
    deploy = "../../docs/operate/deploy.md",
    poolers = "../../docs/operate/poolers.md",
}
