use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{super::tests::is_live, *};

fn event(payload: &serde_json::Value) -> RegisteredEvent {
    RegisteredEvent {
        event_type: "project:job:failed".to_owned(),
        scope: "project=p1/job=j%2F1".to_owned(),
        tenant: "acme".to_owned(),
        payload: payload.to_string(),
        ..sample::event("")
    }
}

fn render(kind: Kind, source: &str, payload: &serde_json::Value) -> Result<String, TemplateError> {
    Source::compile(kind, source)?.render(&event(payload))
}

/// What of a template's own text and of an event may look like markup in a message.
fn evil() -> serde_json::Value {
    json!({ "evil": "<!channel> @everyone [x](javascript:a) `b`", "empty": "" })
}

#[test]
fn template_sees_the_event_and_its_data() {
    for (source, expected) in [
        ("{{ event.type }} {{ event.version }} {{ event.tenant }}", "project:job:failed 1 acme"),
        ("{{ event.id }}", "00000000-0000-0000-0000-000000000000"),
        ("{{ event.occurred_at }}", "1970-01-01T00:00:00Z"),
        ("{{ event.scope.project }}, {{ event.scope.job }}", "p1, j/1"),
        ("*{{ data.job.name }}* took {{ data.job.seconds }} s", "*Nightly* took 90 s"),
        ("{{ 'pipeline_run' | words }}", "pipeline run"),
        ("{% for step in data.steps %}\n- {{ step }}\n{% endfor %}", "- load\n- train"),
        ("{% if data.job.seconds > 60 %}\nslow\n{% endif %}", "slow"),
        (
            "{{ link('https://example.com/j?a=1&b', data.job.name) }}",
            "<https://example.com/j?a=1&amp;b|Nightly>",
        ),
        ("{{ link(data.nothing, 'log') }}", "log"),
        ("{{ data.steps }}", "load, train"),
        ("{{ data.job }}", "name: Nightly, seconds: 90"),
    ] {
        let data = json!({"job": {"name": "Nightly", "seconds": 90}, "steps": ["load", "train"]});
        assert_eq!(render(Kind::Slack, source, &data).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn what_is_not_there_prints_nothing_however_deep() {
    let source =
        "a{{ data.b.c.d }}{{ event.b }}{{ none }}{{ c }}{{ data.list[7].x }}{{ data['x'] }}z";
    assert_eq!(render(Kind::Discord, source, &json!({"list": []})).as_deref(), Ok("az"));
    let unreadable = RegisteredEvent { payload: "{\"a\": 1e999}".to_owned(), ..event(&json!({})) };
    let source = Source::compile(Kind::Slack, "x{{ data.a }}").unwrap();
    assert_eq!(source.render(&unreadable).as_deref(), Ok("x"));
}

#[test]
fn nothing_outside_the_event_can_be_reached() {
    for source in [
        "{% include 'template' %}",
        "{% extends 'template' %}",
        "{% import 'template' as t %}",
        "{% from 'template' import t %}",
        "{% block a %}{% endblock %}",
        "{% macro a() %}{% endmacro %}",
        "{% call a() %}{% endcall %}",
        "{{ debug() }}",
        "{{ env('HOME') }}",
        "{{ data | safe }}",
        "{{ data.evil | escape }}",
        "{{ data | pprint }}",
        "{{ data | tojson }}",
        "a\n{% set a %}{{ data.evil }}{% endset %}",
        "a\n{%- filter upper -%}{{ data.evil }}{%- endfilter -%}",
        "a\n{% autoescape false %}{{ data.evil }}{%   endautoescape %}",
    ] {
        let error = check(Kind::Slack, "project:**", source).unwrap_err();
        assert!(error.is_general(), "{source}: {error}");
        assert!(error.line.is_some(), "{source}: {error}");
    }
    for source in
        ["{{ self }}{{ loop }}{{ caller }}", "{{ data.__class__ }}", "{{ link }}{{ range }}"]
    {
        assert_eq!(
            render(Kind::Slack, source, &evil()).unwrap_err(),
            TemplateError::prints_nothing()
        );
    }
}

#[test]
fn error_says_which_line_and_what_is_wrong_there() {
    for (source, line, words) in [
        ("ok\n{{ data.a", 2, "syntax error"),
        ("ok\nok\n{% if %}", 3, "syntax error"),
        ("{{ data.a | shout }}", 1, "shout"),
        ("a\n{{ nofunction() }}", 2, "nofunction"),
        ("{{ data.a | safe }}", 1, "link(url, text)"),
        ("a\nb {% set a %}{% endset %}", 2, "everything is escaped"),
    ] {
        let error = check(Kind::Teams, "order:placed", source).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("line {line}: ")) && text.contains(words), "{text}");
    }
    let long = "x".repeat(TEMPLATE_BYTES_MAX + 1);
    let text = check(Kind::Teams, "order:placed", &long).unwrap_err().to_string();
    assert!(text.contains("at most 16384"), "{text}");
    assert_eq!(check(Kind::Teams, "order:placed", &long[1..]), Ok(()));
}

#[test]
fn template_that_only_lacks_data_passes_the_check_and_fails_on_the_event() {
    let source = "{{ data.cents / 100 }} EUR";
    assert_eq!(check(Kind::Slack, "order:**", source), Ok(()));
    assert_eq!(render(Kind::Slack, source, &json!({"cents": 250})).as_deref(), Ok("2.5 EUR"));
    let error = render(Kind::Slack, source, &json!({"cents": "x"})).unwrap_err();
    assert_eq!((error.is_general(), error.line), (false, Some(1)));
    let empty = render(Kind::Slack, "{% if data.a %}x{% endif %}\n", &json!({}));
    assert_eq!(empty, Err(TemplateError::prints_nothing()));
}

#[test]
fn no_filter_lets_an_event_through_as_markup() {
    for source in [
        "{{ data.evil }}",
        "{{ data.evil | lower }}",
        "{{ data.evil ~ '' }}{{ data.evil | string }}",
        "{{ data.evil | replace('<', '<<') }}",
        "{{ [data.evil, data.evil] | join('<') }}",
        "{{ '%s' | format(data.evil) }}",
        "{{ data.evil | list }}{{ data.evil | reverse }}",
        "{% set a = data.evil %}{{ a }}",
        "{{ data }}{{ [data] }}{{ {data.evil: data.evil} }}",
        "{% for c in data.evil %}{{ c }}{% endfor %}",
        "{{ data.evil | default('') | indent(2) }}",
        "{{ link('javascript:a', data.evil) }}{{ link(data.evil) }}",
        "{{ link('https://e.example', 'a') ~ data.evil }}",
        "{{ data.empty or data.evil }}",
    ] {
        for kind in Kind::ALL {
            let text = render(kind, source, &evil()).unwrap();
            let markup: &[&str] = match kind {
                Kind::Slack => &["<", ">", "`"],
                Kind::Teams => &["<", "[", "](", "`"],
                Kind::Discord => &["<", "[", "](", "`"],
            };
            for markup in markup {
                assert!(!is_live(&text, markup), "{source}: {text}");
            }
            assert!(!text.contains("@everyone"), "{source}: {text}");
        }
    }
}

#[test]
fn work_depth_and_output_are_bounded_and_end_soon() {
    let nested = |open: &str, close: &str| {
        format!("{{{{ {}1{} }}}}", open.repeat(2_000), close.repeat(2_000))
    };
    let bombs = [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}".to_owned(),
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}".to_owned(),
        "{{ 'x' * 1000000000 }}".to_owned(),
        "{{ data.long * 1000000000 }}".to_owned(),
        "{{ range(100000) | list | join(',') }}{{ range(100000) | list | sort | list }}".to_owned(),
        "{% for a in data.long recursive %}{{ loop(data.long) }}{% endfor %}".to_owned(),
        "{{ '%1000000000d' | format(1) }}".to_owned(),
        "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}".to_owned(),
        "{{ data.long | replace('x', data.long) | replace('x', data.long) }}".to_owned(),
        "{{ data.long | indent(1000000000) }}{{ 'a\nb' | indent(1000000000) }}".to_owned(),
        "{% for a in range(50000) %}0123456789abcdef{% endfor %}".to_owned(),
        "{% for a in range(9999) %}{{ data.long }}{% endfor %}".to_owned(),
        "{% for a in range(9999) %}{{ data.wide }}{% endfor %}".to_owned(),
        nested("(", ")"),
        nested("[", "]"),
        "{% if 1 %}".repeat(1_000),
        "{{ 9 ** 999999999 }}".to_owned(),
    ];
    let data = json!({"long": "x".repeat(9_999), "wide": vec![vec![""; 300]; 300]});
    for bomb in bombs {
        let started = Instant::now();
        let error = render(Kind::Slack, &bomb, &data).unwrap_err();
        let shown: String = bomb.chars().take(60).collect();
        assert!(started.elapsed() < Duration::from_secs(5), "{shown}: {:?}", started.elapsed());
        assert!(!error.reason.is_empty(), "{shown}");
    }
}

#[test]
fn bound_of_the_output_is_met_while_it_is_written() {
    let source =
        |count: usize| format!("{{% for a in range({count}) %}}{}{{% endfor %}}", "x".repeat(1024));
    assert_eq!(render(Kind::Slack, &source(64), &json!({})).unwrap().len(), OUTPUT_BYTES_MAX);
    let error = render(Kind::Slack, &source(65), &json!({})).unwrap_err();
    assert!(error.is_general() && error.reason.contains("65536"), "{error}");
}

#[test]
fn most_specific_template_is_used() {
    let names = [
        "**",
        "project:**",
        "*:job:failed",
        "project:*:failed",
        "project:job:failed",
        "project:job:*",
        "project:**:failed",
        "order:**",
    ];
    let sources = names.map(|name| (name.to_owned(), format!("by {name}")));
    let mut left = BTreeMap::from(sources);
    let mut order = Vec::new();
    while let Some((pattern, text)) =
        Templates::compile(Kind::Discord, &left).unwrap().render(&event(&json!({})))
    {
        assert_eq!(text.unwrap(), format!("by {pattern}"));
        order.push(pattern.to_owned());
        left.remove(order.last().unwrap());
    }
    let expected = [
        "project:job:failed",
        "project:*:failed",
        "project:job:*",
        "*:job:failed",
        "project:**:failed",
        "project:**",
        "**",
    ];
    assert_eq!(order, expected);
}

proptest! {
    #[test]
    fn any_source_compiles_or_is_refused(source in "([{}%#a-z.|() \"'\\n-]|\\{\\{|\\}\\}|\\{%|%\\}|data|for|in|if|end){0,40}") {
        if let Err(error) = check(Kind::Slack, "order:placed", &source) {
            prop_assert!(error.is_general() && !error.reason.is_empty(), "{error}");
        }
    }

    #[test]
    fn no_event_gets_through_a_template_as_markup(evil in "([<>@!|*_`\\\\\\[\\]()]|channel|everyone|here|https://|javascript:| ){0,12}") {
        for kind in Kind::ALL {
            let source = "{{ data.evil }} {{ data.evil | trim }} {{ link('https://e.example/', data.evil) }}";
            let text = render(kind, source, &json!({ "evil": evil.clone() })).unwrap();
            let ours = match kind {
                Kind::Slack => {
                    let begun = text.replace("<https://e.example/|", "");
                    begun.replace("<https://e.example/>", "").replace('>', "")
                }
                _ => text.clone(),
            };
            prop_assert!(kind != Kind::Slack || !ours.contains('<'), "{text}");
            for crowd in ["@everyone", "@here", "@channel"] {
                prop_assert!(!text.contains(crowd), "{text}");
            }
            prop_assert!(!text.contains("](javascript:"), "{text}");
        }
    }
}
