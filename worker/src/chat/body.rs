//! Bodies of requests: a message in the form of each service, within its limits.

use serde_json::{Value, json};

use super::{Kind, cut::cut, digest::Digest};

/// Slack takes 40,000 characters and folds a long message; nobody reads on beyond this.
const SLACK_UNITS_MAX: usize = 4_000;

/// What Discord takes.
const DISCORD_UNITS_MAX: usize = 2_000;

/// The most text of a card; less where its bytes are too many.
const TEAMS_UNITS_MAX: usize = 4_000;

/// Teams takes 28 KB, everything included.
pub(super) const TEAMS_BYTES_MAX: usize = 28_000;

/// What is posted.
#[derive(Clone, Debug)]
pub(super) enum Message {
    /// The default message.
    Digest(Digest),
    /// The text of a template, in the markup of the service.
    Text(String),
}

impl Message {
    /// Returns what people read, in the markup of `kind` and cut to its length.
    pub(super) fn text(&self, kind: Kind) -> String {
        let units_max = match kind {
            Kind::Slack => SLACK_UNITS_MAX,
            Kind::Teams => TEAMS_UNITS_MAX,
            Kind::Discord => DISCORD_UNITS_MAX,
        };
        cut(kind, &self.whole(kind), units_max)
    }

    /// Returns the body of the request.
    pub(super) fn body(&self, kind: Kind) -> Value {
        match kind {
            Kind::Slack => json!({ "text": self.text(kind) }),
            Kind::Discord => {
                json!({ "content": self.text(kind), "allowed_mentions": { "parse": [] } })
            }
            Kind::Teams => self.teams(),
        }
    }

    fn whole(&self, kind: Kind) -> String {
        match self {
            Self::Digest(digest) => digest.text(kind),
            Self::Text(text) => text.clone(),
        }
    }

    /// Returns the largest body that Teams takes.
    ///
    /// A character has one to six bytes in JSON and stands there twice, so its number alone says little.
    fn teams(&self) -> Value {
        let text = self.whole(Kind::Teams);
        let mut units_max = TEAMS_UNITS_MAX;
        loop {
            let short = cut(Kind::Teams, &text, units_max);
            let card = match self {
                Self::Digest(digest) if short == text => digest.card(),
                _ => paragraphs(&short),
            };
            let body = message(&short, &card);
            if body.to_string().len() <= TEAMS_BYTES_MAX || units_max == 0 {
                return body;
            }
            units_max /= 2;
        }
    }
}

/// Returns a line or paragraph of a card.
pub(super) fn block(text: &str) -> Value {
    json!({ "type": "TextBlock", "text": text, "wrap": true })
}

/// Returns a message of Teams: its text, for those who cannot show cards, and the card.
fn message(text: &str, card: &[Value]) -> Value {
    json!({
        "type": "message",
        "text": text,
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": card,
            },
        }],
    })
}

/// Returns one block for each paragraph of `text`.
///
/// A card shows a single line break only before an item of a list.
fn paragraphs(text: &str) -> Vec<Value> {
    let is_item = |line: &str| {
        let line = line.trim_start().trim_start_matches(|c: char| c.is_ascii_digit());
        ["- ", "* ", "+ ", ". "].iter().any(|mark| line.starts_with(mark))
    };
    let lines = text.lines().map(str::trim_end).filter(|line| !line.is_empty());
    let mut blocks: Vec<String> = Vec::new();
    for line in lines {
        match blocks.last_mut() {
            Some(block) if is_item(line) => {
                block.push('\n');
                block.push_str(line);
            }
            _ => blocks.push(line.to_owned()),
        }
    }
    blocks.iter().map(|text| block(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::cut::units, *};

    #[test]
    fn body_has_the_form_of_its_service() {
        let message = Message::Text("a\n- b\n- c\n\nd".to_owned());
        assert_eq!(message.body(Kind::Slack), json!({"text": "a\n- b\n- c\n\nd"}));
        assert_eq!(
            message.body(Kind::Discord),
            json!({"content": "a\n- b\n- c\n\nd", "allowed_mentions": {"parse": []}})
        );
        let teams = message.body(Kind::Teams);
        assert_eq!(
            (&teams["type"], &teams["text"]),
            (&json!("message"), &json!("a\n- b\n- c\n\nd"))
        );
        let card = &teams["attachments"][0]["content"];
        assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
        assert_eq!(card["body"], json!([block("a\n- b\n- c"), block("d")]));
    }

    #[test]
    fn whatever_is_posted_keeps_to_the_limits_of_its_service() {
        for text in [
            "a".repeat(100_000),
            "日".repeat(30_000),
            "💥 ".repeat(30_000),
            "\"\\".repeat(30_000),
            "\u{7f}".repeat(9_000),
            "x\n".repeat(9_000),
        ] {
            let message = Message::Text(text);
            let slack = message.body(Kind::Slack);
            assert!(units(slack["text"].as_str().unwrap()) <= 4_000);
            let discord = message.body(Kind::Discord);
            let content = discord["content"].as_str().unwrap();
            assert!(units(content) <= 2_000 && content.ends_with("..."));
            let teams = message.body(Kind::Teams);
            assert!(teams.to_string().len() <= TEAMS_BYTES_MAX);
            assert!(teams["text"].as_str().unwrap().ends_with("..."));
        }
    }

    #[test]
    fn limit_of_discord_is_met_exactly() {
        let text = |count| Message::Text("💥".repeat(count)).text(Kind::Discord);
        assert_eq!(text(1_000), "💥".repeat(1_000));
        assert_eq!(text(1_001), format!("{}...", "💥".repeat(998)));
    }
}
