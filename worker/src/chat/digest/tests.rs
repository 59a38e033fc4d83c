use serde_json::json;

use super::{super::sample, *};

fn digest(event_type: &str, payload: &Value) -> Digest {
    Digest::of(&RegisteredEvent {
        event_type: event_type.to_owned(),
        payload: payload.to_string(),
        occurred_at: DateTime::from_timestamp(1_654_186_345, 0).unwrap(),
        ..sample::event("")
    })
}

/// The failure of a pipeline run that a cron job has started, in the shape of Orchest.
fn cron_failure() -> Digest {
    let uuid = "c9075806-be93-4b87-9d77-9a376d347b3a";
    digest(
        "project:cron-job:run:pipeline-run:failed",
        &json!({ "project": { "uuid": uuid, "name": "Sales",
            "job": { "uuid": uuid, "name": "Nightly_import", "status": "STARTED",
                "pipeline_name": "Import", "url_path": "/job?project_uuid=1", "total_runs": 4,
                "run": { "status": "STARTED", "number": 7, "total_pipeline_runs": 2,
                    "pipeline_run": { "uuid": uuid, "status": "FAILURE", "number": 3, "number_in_run": 1,
                        "url": "https://orchest.example/job-run?a=1&b=2",
                        "parameters": { uuid: { "step": { "title": "Load" }, "parameters": { "rows": 5 } },
                            "pipeline_parameters": { "parameters": { "api_token": "s3cr3t", "day": "monday" } } },
                        "failed_steps": [{ "uuid": uuid, "title": "Train <model>" }, { "uuid": uuid, "title": "Report" }],
                    } } } } }),
    )
}

#[test]
fn failure_of_a_cron_run_reads_well_in_slack() {
    insta::assert_snapshot!(cron_failure().text(Kind::Slack), @r"
    *Cron job · run · pipeline run failed*
    Project Sales · Job Nightly_import
    Pipeline run failed steps: Train &lt;model&gt;, Report
    Pipeline run status: FAILURE
    Pipeline run number: 3
    Pipeline run number in run: 1
    Run number: 7
    Run status: STARTED
    Run total pipeline runs: 2
    Job pipeline name: Import
    Job status: STARTED
    Job total runs: 4
    <https://orchest.example/job-run?a=1&amp;b=2|Pipeline run>
    _2 Jun 2022, 16:12 UTC_
    ");
}

#[test]
fn failure_of_a_cron_run_reads_well_in_discord() {
    insta::assert_snapshot!(cron_failure().text(Kind::Discord), @r"
    **Cron job · run · pipeline run failed**
    Project Sales · Job Nightly_import
    Pipeline run failed steps: Train \<model\>, Report
    Pipeline run status: FAILURE
    Pipeline run number: 3
    Pipeline run number in run: 1
    Run number: 7
    Run status: STARTED
    Run total pipeline runs: 2
    Job pipeline name: Import
    Job status: STARTED
    Job total runs: 4
    [Pipeline run](<https://orchest.example/job-run?a=1&b=2>)
    _2 Jun 2022, 16:12 UTC_
    ");
}

#[test]
fn failure_of_a_cron_run_is_a_card_of_teams() {
    let card = serde_json::to_string(&cron_failure().card()).unwrap();
    insta::assert_snapshot!(card.replace("},{", "},\n{"), @r#"
    [{"size":"Medium","text":"Cron job · run · pipeline run failed","type":"TextBlock","weight":"Bolder","wrap":true},
    {"text":"Project Sales · Job Nightly_import","type":"TextBlock","wrap":true},
    {"facts":[{"title":"Pipeline run failed steps","value":"Train &lt;model&gt;, Report"},
    {"title":"Pipeline run status","value":"FAILURE"},
    {"title":"Pipeline run number","value":"3"},
    {"title":"Pipeline run number in run","value":"1"},
    {"title":"Run number","value":"7"},
    {"title":"Run status","value":"STARTED"},
    {"title":"Run total pipeline runs","value":"2"},
    {"title":"Job pipeline name","value":"Import"},
    {"title":"Job status","value":"STARTED"},
    {"title":"Job total runs","value":"4"}],"type":"FactSet"},
    {"text":"[Pipeline run](https://orchest.example/job-run?a=1&b=2)","type":"TextBlock","wrap":true},
    {"isSubtle":true,"size":"Small","text":"2 Jun 2022, 16:12 UTC","type":"TextBlock","wrap":true}]
    "#);
}

#[test]
fn flat_event_is_its_headline_and_its_facts() {
    let placed = json!({
        "order_id": "A-1001", "customer": { "name": "Zoë *van* Dijk", "email": "zoe@example.com" },
        "total": 49.9, "paid": true, "note": "leave it\n\nat the door", "coupon": null, "tags": [],
        "items": [{ "sku": "a" }, { "sku": "b" }, { "sku": "c" }],
        "invoice_url": "https://shop.example/i/1001", "password": "s3cr3t",
    });
    insta::assert_snapshot!(digest("order:placed", &placed).text(Kind::Slack), @r"
    *Order placed*
    Customer Zoë ∗van∗ Dijk
    Customer email: zoe@example.com
    Items: 3
    Note: leave it at the door
    Paid: yes
    Total: 49.9
    Order id: A-1001
    <https://shop.example/i/1001|Invoice>
    _2 Jun 2022, 16:12 UTC_
    ");
}

#[test]
fn changes_are_told_by_what_has_changed() {
    let changed = json!({ "project": { "name": "Sales", "job": { "name": "Nightly", "update": { "changes": [
        { "type": "UPDATED", "changed_object": "schedule", "old_value": "daily", "new_value": "hourly" },
        { "type": "CREATED", "changed_object": "environment_variable" },
    ] } } } });
    insta::assert_snapshot!(digest("project:cron-job:updated", &changed).text(Kind::Teams), @r"
    **Cron job updated**

    Project Sales · Job Nightly

    Update changes: schedule: daily → hourly, environment variable

    _2 Jun 2022, 16:12 UTC_
    ");
}

#[test]
fn large_event_is_short_and_says_first_how_it_went() {
    let mut fields = Map::new();
    for n in 0..200 {
        fields.insert(format!("field_{n:03}"), "long ".repeat(100).into());
    }
    fields.insert("z_reason".to_owned(), "out of memory".into());
    fields.insert("list".to_owned(), (0..99).collect());
    let text = digest("import:failed", &Value::Object(fields)).text(Kind::Discord);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines[1]), ("**Import failed**", "Z reason: out of memory"));
    assert_eq!(lines.len(), 1 + FACTS_MAX + 1);
    assert!(lines.iter().all(|line| line.chars().count() < 200), "{text}");
}

#[test]
fn any_payload_has_a_message() {
    for (payload, expected) in [
        (json!(null), "*Order placed*\n_2 Jun 2022, 16:12 UTC_"),
        (json!("a\nb"), "*Order placed*\nData: a b\n_2 Jun 2022, 16:12 UTC_"),
        (
            json!([1, 2, 3, 4, 5, 6, 7]),
            "*Order placed*\nData: 1, 2, 3, 4, 5 and 2 more\n_2 Jun 2022, 16:12 UTC_",
        ),
        (json!({}), "*Order placed*\n_2 Jun 2022, 16:12 UTC_"),
    ] {
        assert_eq!(digest("order:placed", &payload).text(Kind::Slack), expected);
    }
    let deep = (0..100).fold(json!(1), |inner, _| json!({ "name": "x", "a": inner }));
    assert!(digest("order:placed", &deep).text(Kind::Slack).lines().count() < 5);
    let unreadable =
        RegisteredEvent { payload: "{\"a\": 1e999}".to_owned(), ..sample::event("a:b") };
    assert_eq!(Digest::of(&unreadable).text(Kind::Slack), "*A b*\n_1 Jan 1970, 00:00 UTC_");
}
