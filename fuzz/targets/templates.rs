//! Whatever a template does and an event says, a message ends soon, keeps to its length, and obeys the template alone.
//!
//! Input: a template, `---`, a payload. The time is the fuzzer's own limit for one input.

#![no_main]

use chrono::DateTime;
use libfuzzer_sys::fuzz_target;
use tidings::delivery::RegisteredEvent;
use tidings_fuzz::{assert_useful, parts};
use tidings_worker::chat::{Kind, Preview, preview};
use uuid::Uuid;

/// What ends an expression, prints markup on purpose, or begins one inside.
const NOT_IN_EXPRESSION: [&str; 6] = ["{{", "}}", "{%", "%}", "{#", "link"];

fuzz_target!(|text: &str| {
    let (template, payload) = parts(text);
    let event = event(payload);
    for kind in Kind::ALL {
        match preview(kind, Some(template), &event) {
            Ok(shown) => assert_fits(kind, &shown),
            Err(error) => assert_useful(&error.to_string(), text),
        }
        let shown = preview(kind, None, &event).expect("the default message needs no template");
        assert_fits(kind, &shown);
        assert_calls_nobody(kind, &shown.text);

        // A template of expressions alone has no markup of its own, so there is none in the message.
        let expressions = template
            .lines()
            .filter(|line| !NOT_IN_EXPRESSION.iter().any(|word| line.contains(word)));
        let source: String = expressions.map(|line| format!("{{{{ {line} }}}}")).collect();
        if let Ok(shown) = preview(kind, Some(&source), &event) {
            assert_fits(kind, &shown);
            assert_calls_nobody(kind, &shown.text);
            assert_plain(kind, &shown.text);
        }
    }
});

fn event(payload: &str) -> RegisteredEvent {
    RegisteredEvent {
        event_id: Uuid::nil(),
        event_type: "project:job:failed".to_owned(),
        version: 1,
        tenant: "acme".to_owned(),
        scope: "project=<p1>/job=@here".to_owned(),
        ordering_key: None,
        occurred_at: DateTime::UNIX_EPOCH,
        payload: payload.to_owned(),
        headers: None,
    }
}

/// Checks that a service takes the message.
fn assert_fits(kind: Kind, shown: &Preview) {
    let units = shown.text.encode_utf16().count();
    let field = |name: &str| shown.body.get(name).and_then(|text| text.as_str());
    match kind {
        Kind::Slack => {
            assert!(units <= 4_000);
            assert_eq!(field("text"), Some(&*shown.text));
        }
        Kind::Teams => assert!(units <= 4_000 && shown.body.to_string().len() <= 28_000),
        Kind::Discord => {
            assert!(units <= 2_000);
            assert_eq!(field("content"), Some(&*shown.text));
            assert_eq!(shown.body["allowed_mentions"], serde_json::json!({ "parse": [] }));
        }
    }
}

/// Checks that a message notifies no crowd, and steers no screen.
fn assert_calls_nobody(kind: Kind, text: &str) {
    let lower = text.to_ascii_lowercase();
    for crowd in ["@channel", "@everyone", "@here"] {
        assert!(!lower.contains(crowd), "{crowd} in {text}");
    }
    // Nothing takes their meaning from these in Slack; Discord is told of no mention that may be one.
    assert!(kind != Kind::Slack || !text.contains("<!") && !text.contains("<@"), "{text}");
    let steers = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(steers), "{text:?}");
}

/// Checks that nothing in a message is markup.
fn assert_plain(kind: Kind, text: &str) {
    // The address in a URL is the one place where brackets are no markup.
    let text = without_addresses(text);
    let live: &[char] = match kind {
        Kind::Slack => &['<', '>', '`'],
        Kind::Teams => &['<', '>', '[', ']', '(', ')', '*', '~', '`'],
        Kind::Discord => &['<', '>', '[', ']', '(', ')', '*', '~', '`', '|'],
    };
    let mut escaped = false;
    for c in text.chars() {
        assert!(escaped || !live.contains(&c), "{c} in {text}");
        escaped = kind != Kind::Slack && c == '\\' && !escaped;
    }
    if kind == Kind::Slack {
        let rest =
            ["&amp;", "&lt;", "&gt;"].iter().fold(text, |text, entity| text.replace(entity, ""));
        assert!(!rest.contains('&'), "{rest}");
    }
}

/// Returns `text` without the IPv6 addresses of its URLs.
fn without_addresses(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://[") {
        out.push_str(&rest[..at]);
        let address = &rest[at + 4..];
        let end =
            address.find(|c: char| !c.is_ascii_hexdigit() && c != ':').unwrap_or(address.len());
        rest = address[end..].strip_prefix(']').unwrap_or(&address[end..]);
    }
    out + rest
}
