//! What is in the table is found by each of its filters, by its words, and from the command line.

use serde_json::{Value, json};
use tidings_pipeline::sink::table::Query;

use super::{Stage, event, events, id};
use crate::binary::{on, run};

/// A stage with twenty events; number 7 differs from the others in everything.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    let mut other = event(7);
    other["eid"] = json!("FEEDBACK");
    other["actor"]["id"] = json!("teacher");
    other["context"] = json!({"channel": "k", "env": "classroom", "pdata": {"id": "prod.app"}});
    other["object"] = json!({"id": "do_312", "type": "Lesson"});
    other["edata"] = json!({"rating": 5, "comments": "Très bien, merci!"});
    stage
        .append(events(20).map(|event| if event["mid"] == "m7" { other.clone() } else { event }))
        .await;
    stage.drain().await;
    stage
}

async fn numbers(stage: &Stage, query: Query) -> Vec<String> {
    stage.search(query).await.into_iter().map(|found| found.mid.unwrap()).collect()
}

#[tokio::test]
async fn event_is_found_by_each_filter_and_by_its_words() {
    let stage = stage().await;
    let text = |text: &str| Some(text.to_owned());
    let only = |words: &str| Query { text: words.to_owned(), ..Query::default() };
    let queries = [
        Query { eid: text("FEEDBACK"), ..Query::default() },
        Query { mid: text("m7"), ..Query::default() },
        // Without `did`, it is the actor's.
        Query { device: text("teacher"), ..Query::default() },
        Query { channel: text("k"), ..Query::default() },
        only("feedback"),
        only("merci TRÈS"),
        only("prod.app"),
        only("do_312 lesson"),
        only("classroom"),
    ];
    for query in queries {
        assert_eq!(numbers(&stage, query.clone()).await, ["m7"], "{query:?}");
    }
    assert_eq!(numbers(&stage, only("page3")).await, ["m3"]);
    for query in [
        only("merci page3"),
        only("merc"),
        Query { eid: text("feedback"), ..Query::default() },
        Query { mid: text("m7"), channel: text("c"), ..Query::default() },
    ] {
        assert_eq!(numbers(&stage, query.clone()).await, Vec::<String>::new(), "{query:?}");
    }
}

#[tokio::test]
async fn latest_come_first_and_pages_follow_each_other() {
    let stage = stage().await;
    let first = stage.search(Query { limit: 8, ..Query::default() }).await;
    let since = Some(first[7].ets);
    let mut seen = Vec::new();
    let mut query = Query { limit: 8, ..Query::default() };
    loop {
        let page = stage.search(query.clone()).await;
        let Some(last) = page.last() else { break };
        query.after = Some((last.ets, last.document_id.clone()));
        seen.extend(page.into_iter().map(|found| found.document_id));
    }
    assert_eq!(seen, (0..20).rev().map(id).collect::<Vec<_>>());
    assert_eq!(numbers(&stage, Query { since, ..Query::default() }).await.len(), 8);
}

#[tokio::test]
async fn events_that_happened_at_one_moment_are_on_one_page_each() {
    let stage = Stage::new().await;
    stage
        .append((0..9).map(|number| {
            let mut event = event(number);
            event["ets"] = super::SYNCTS.into();
            event
        }))
        .await;
    stage.drain().await;
    let mut query = Query { limit: 2, ..Query::default() };
    let mut seen = Vec::new();
    loop {
        let page = stage.search(query.clone()).await;
        let Some(last) = page.last() else { break };
        query.after = Some((last.ets, last.document_id.clone()));
        seen.extend(page.into_iter().map(|found| found.document_id));
    }
    assert_eq!(seen, (0..9).rev().map(id).collect::<Vec<_>>());
}

#[tokio::test]
async fn command_line_finds_what_the_table_has() {
    let stage = stage().await;
    let search = |arguments: &'static [&'static str]| {
        on(&stage.database).args(["telemetry", "search"]).args(arguments)
    };
    let found = run(&search(&["--json", "merci", "très", "--channel", "k"])).await.json();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["mid"], "m7");
    assert_eq!(found[0]["event"]["edata"]["rating"], 5, "the event as it is");
    let cases: [(&[&str], usize); 6] = [
        (&["--json", "--eid", "IMPRESSION"], 19),
        (&["--json", "--mid", "m3"], 1),
        (&["--json", "--device", "d4"], 1),
        (&["--json", "--since", "2023-11-14T22:13:30Z"], 10),
        (&["--json", "--since", "1h"], 0),
        (&["--json", "--limit", "5"], 5),
    ];
    for (arguments, count) in cases {
        let found: Value = run(&search(arguments)).await.json();
        assert_eq!(found.as_array().unwrap().len(), count, "{arguments:?}");
    }
    let shown = run(&search(&["merci"])).await.stdout;
    assert!(shown.contains("FEEDBACK") && shown.contains("prod.app"), "{shown}");
    run(&search(&["--limit", "0"])).await.refused(2, "--limit");
}
