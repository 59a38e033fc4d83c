use serde_json::json;

use super::*;
use crate::webhook::Settings;

fn chat(kind: Kind) -> Chat {
    Chat::new(kind, &Webhook::builder().settings(Settings::default()).build().unwrap())
}

fn subscriber(config: Value) -> Subscriber {
    Subscriber {
        subscriber_id: 1,
        tenant: String::new(),
        name: "room".to_owned(),
        kind: Kind::Slack.as_str().to_owned(),
        config,
        secrets: Vec::new(),
        credentials: None,
    }
}

#[test]
fn every_kind_is_found_by_its_name_and_has_a_group_of_its_own() {
    let webhook = Webhook::builder().build().unwrap();
    let kinds = all(&webhook).map(|chat| (chat.kind().to_owned(), chat.shards()));
    assert_eq!(kinds, ["slack", "teams", "discord"].map(|kind| (kind.to_owned(), 16)));
    for kind in Kind::ALL {
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
    }
    assert_eq!(Kind::parse("webhook"), None);
}

#[tokio::test]
async fn check_covers_the_url_and_every_template() {
    let check = async |config| {
        let checked = chat(Kind::Slack).check(&config).await;
        checked.map_err(|error| crate::roster::chain(&error))
    };
    let url = "https://192.0.2.1/";
    assert!(check(json!({ "url": url })).await.unwrap_err().contains("192.0.2.1"));
    let url = "https://93.184.215.14/services/s3cr3t";
    assert_eq!(
        check(json!({ "url": url, "templates": {"order:*": "{{ data.a }}"} })).await,
        Ok(())
    );
    let error = check(json!({ "url": url, "templates": {"order:*": "a\n{{ data.a"} })).await;
    let error = error.unwrap_err();
    assert!(error.starts_with("the template for \"order:*\": line 2: syntax error"), "{error}");
    let error = check(json!({ "url": "http://93.184.215.14/s3cr3t" })).await.unwrap_err();
    assert!(error.contains("use https://") && !error.contains("s3cr3t"), "{error}");
}

#[test]
fn template_that_does_not_compile_does_not_close_the_room() {
    let config = json!({ "url": "https://93.184.215.14/s3cr3t", "templates": {"order:*": "{{"} });
    let opened = chat(Kind::Slack).open(&subscriber(config.clone())).unwrap();
    let debug = format!("{opened:?}");
    assert!(!debug.contains("s3cr3t"), "{debug}");
    let event = sample::event("order:placed");
    let error = preview_for(Kind::Slack, &config, &event).unwrap_err();
    assert_eq!(error.to_string(), "the template for \"order:*\"");
    let closed = chat(Kind::Slack).open(&subscriber(json!({ "url": "ftp://s3cr3t" }))).unwrap_err();
    assert!(!closed.to_string().contains("s3cr3t"), "{closed}");
}

#[test]
fn preview_is_what_is_posted() {
    let event =
        RegisteredEvent { payload: r#"{"number": 7}"#.to_owned(), ..sample::event("order:placed") };
    let shown = preview(Kind::Slack, Some("Order *{{ data.number }}*"), &event).unwrap();
    assert_eq!((shown.text.as_str(), shown.body), ("Order *7*", json!({"text": "Order *7*"})));
    let shown = preview(Kind::Discord, None, &event).unwrap();
    assert!(shown.text.starts_with("**Order placed**\nNumber: 7\n"), "{}", shown.text);
    let config = json!({"url": "https://example.com", "templates": {"shop:**": "no"}});
    assert_eq!(preview_for(Kind::Discord, &config, &event).unwrap(), shown);
    let error = preview(Kind::Slack, Some("{{ data.number | nofilter }}"), &event).unwrap_err();
    assert_eq!(error.line, Some(1));
}

/// Returns whether `markup` stands in `text` and no backslash takes its meaning.
pub(super) fn is_live(text: &str, markup: &str) -> bool {
    text.match_indices(markup)
        .any(|(at, _)| text[..at].chars().rev().take_while(|c| *c == '\\').count() % 2 == 0)
}
