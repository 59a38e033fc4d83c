//! Routes: topics that get copies of some events.
//!
//! Every unique event is in `telemetry.unique`, whatever the routes say.

pub mod share;

use serde::Deserialize;

use crate::{
    Error, Result,
    condition::{Condition, When},
    topic,
    value::Value,
};

/// The longest name of a topic: Kafka's 249 bytes, less room for the prefix of an installation.
const TOPIC_BYTES_MAX: usize = 200;

/// Topics of the pipeline itself, which only its steps write.
const OWN: [&str; 7] = [
    topic::RAW,
    topic::EVENTS,
    topic::UNIQUE,
    topic::DUPLICATE,
    topic::FAILED,
    topic::SEEN,
    topic::LEDGER,
];

/// Which events are copied where.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Ready-made rules, before those that are written out.
    pub preset: Option<Preset>,
    /// Whether each item of a SHARE event becomes an event of its own; `preset = "sunbird"` says yes.
    pub share_items: Option<bool>,
    /// The rules; an event goes to each topic of which a rule holds, once.
    pub rule: Vec<Rule>,
}

/// A rule.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The topic that gets a copy.
    pub topic: String,
    /// Of which events.
    #[serde(default)]
    pub when: When,
}

/// Ready-made rules.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Sunbird's: `telemetry.log`, `telemetry.error` and `telemetry.audit` by kind, `telemetry.secondary` for INTERACT,
    /// IMPRESSION and `SHARE_ITEM`, `telemetry.primary` for the rest, with AUDIT and without LOG and ERROR.
    Sunbird,
}

/// The compiled rules of an installation.
#[derive(Clone, Debug, Default)]
pub struct Router {
    routes: Vec<(&'static str, Vec<Condition>)>,
    share_items: bool,
}

impl Router {
    /// Compiles rules.
    ///
    /// # Errors
    ///
    /// Which setting cannot be used, and what to write.
    pub fn compile(settings: &Settings) -> Result<Self> {
        let share_items = settings.share_items.unwrap_or(settings.preset == Some(Preset::Sunbird));
        let mut router = Self { routes: Vec::new(), share_items };
        for rule in settings.preset.iter().flat_map(|Preset::Sunbird| sunbird()) {
            router.add(&rule, "route.preset")?;
        }
        for (index, rule) in settings.rule.iter().enumerate() {
            router.add(rule, &format!("route.rule[{}]", index + 1))?;
        }
        Ok(router)
    }

    fn add(&mut self, rule: &Rule, place: &str) -> Result<()> {
        let at = || format!("{place}.topic");
        if OWN.contains(&rule.topic.as_str()) {
            let message =
                format!("`{}` is written by the pipeline itself; name another", rule.topic);
            return Err(Error::setting(at(), message));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=TOPIC_BYTES_MAX).contains(&rule.topic.len());
        if !fits || !rule.topic.bytes().all(plain) || matches!(&*rule.topic, "." | "..") {
            let message = format!(
                "`{}` is no topic; write 1 to {TOPIC_BYTES_MAX} of a-z, A-Z, 0-9, dot, hyphen and _",
                rule.topic
            );
            return Err(Error::setting(at(), message));
        }
        let condition = Condition::compile(&rule.when, &format!("{place}.when"))?;
        match self.routes.iter_mut().find(|(topic, _)| *topic == rule.topic) {
            Some((_, conditions)) => conditions.push(condition),
            // Topics live as long as the process, and every record of theirs names one.
            None => self.routes.push((rule.topic.clone().leak(), vec![condition])),
        }
        Ok(())
    }

    /// Returns the topics that rules write to, each once: those that have to be there.
    pub fn destinations(&self) -> impl Iterator<Item = &'static str> {
        self.routes.iter().map(|(topic, _)| *topic)
    }

    /// Returns the topics that get a copy of an event that came under a key of `channel`, each once.
    pub fn topics<'r>(
        &'r self,
        event: &'r Value<'_>,
        channel: &'r str,
    ) -> impl Iterator<Item = &'static str> + 'r {
        let holds = move |conditions: &[Condition]| {
            conditions.iter().any(|condition| condition.holds(event, channel))
        };
        let routes = self.routes.iter().filter(move |(_, conditions)| holds(conditions));
        routes.map(|(topic, _)| *topic)
    }

    /// Returns whether items of SHARE events become events of their own.
    #[must_use]
    pub const fn share_items(&self) -> bool {
        self.share_items
    }
}

fn sunbird() -> [Rule; 5] {
    let names = |eids: &[&str]| eids.iter().map(|&eid| eid.to_owned()).collect();
    let only = |topic: &str, eids: &[&str]| Rule {
        topic: topic.to_owned(),
        when: When { eid: names(eids), ..When::default() },
    };
    let secondary = ["INTERACT", "IMPRESSION", "SHARE_ITEM"];
    let other = ["LOG", "ERROR", "INTERACT", "IMPRESSION", "SHARE_ITEM"];
    [
        only("telemetry.log", &["LOG"]),
        only("telemetry.error", &["ERROR"]),
        only("telemetry.audit", &["AUDIT"]),
        only("telemetry.secondary", &secondary),
        Rule {
            topic: "telemetry.primary".to_owned(),
            when: When { except_eid: names(&other), ..When::default() },
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(toml: &str) -> Router {
        Router::compile(&toml::from_str(toml).unwrap()).unwrap()
    }

    fn topics(router: &Router, event: &str) -> Vec<String> {
        let event = Value::parse(event.as_bytes()).unwrap();
        router.topics(&event, "key").map(str::to_owned).collect()
    }

    #[test]
    fn sunbirds_routes_are_those_of_its_preprocessor() {
        let router = router("preset = 'sunbird'");
        let cases: [(&str, &[&str]); 7] = [
            ("LOG", &["telemetry.log"]),
            ("ERROR", &["telemetry.error"]),
            ("AUDIT", &["telemetry.audit", "telemetry.primary"]),
            ("INTERACT", &["telemetry.secondary"]),
            ("SHARE_ITEM", &["telemetry.secondary"]),
            ("SHARE", &["telemetry.primary"]),
            ("START", &["telemetry.primary"]),
        ];
        for (eid, expected) in cases {
            assert_eq!(topics(&router, &format!(r#"{{"eid":"{eid}"}}"#)), expected, "{eid}");
        }
        assert!(router.share_items());
        assert_eq!(router.destinations().count(), 5);
    }

    #[test]
    fn event_goes_once_to_each_topic_of_which_a_rule_holds() {
        let router = router(
            "[[rule]]\ntopic='a'\nwhen={eid=['END']}\n[[rule]]\ntopic='a'\nwhen={channel=['key']}\n\
             [[rule]]\ntopic='b'\nwhen={equals={'$.edata.type'=['page']}}\n[[rule]]\ntopic='all'",
        );
        assert_eq!(topics(&router, r#"{"eid":"END","edata":{"type":"page"}}"#), ["a", "b", "all"]);
        assert_eq!(topics(&router, r#"{"eid":"START"}"#), ["a", "all"]);
        assert!(!router.share_items());
    }

    #[test]
    fn topic_of_the_pipeline_or_of_no_log_is_refused() {
        let cases = [
            ("telemetry.unique", "route.rule[1].topic: `telemetry.unique` is written by the"),
            ("a b", "route.rule[1].topic: `a b` is no topic"),
            ("", "route.rule[1].topic: `` is no topic"),
            ("..", "route.rule[1].topic: `..` is no topic"),
        ];
        for (topic, expected) in cases {
            let settings = toml::from_str(&format!("[[rule]]\ntopic='{topic}'")).unwrap();
            let error = Router::compile(&settings).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
