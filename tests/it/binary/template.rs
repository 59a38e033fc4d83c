//! Chat subscribers and their templates, from the command line.

use std::fs;

use serde_json::json;
use tidings_tests::{Database, Receiver, Reply, Temporary};

use super::{PATIENCE, on, register, run, sync_types, tidings};

/// Announces the kinds of chat services, as the first worker does.
async fn announce(database: &Database) {
    for kind in ["slack", "teams", "discord"] {
        let statement = sqlx::query("select tidings.make_group($1, 16)").bind(kind);
        statement.execute(database.pool()).await.unwrap();
    }
}

#[tokio::test]
async fn message_is_shown_before_anybody_gets_it_and_without_a_database() {
    let made_up = ["--type", "shop:order:placed", "--payload", r#"{"number": 7, "by": "<Ann>"}"#];
    let preview = || tidings().args(["template", "preview", "--kind", "slack"]).args(made_up);
    let ran = run(&preview()).await;
    assert!(ran.stdout.starts_with("*Order placed*\nBy: &lt;Ann&gt;\nNumber: 7\n_"), "{ran:?}");
    let ran =
        run(&preview().args(["--template", "Order {{ data.number }}\nby {{ data.by }}"])).await;
    assert_eq!(ran.stdout, "Order 7\nby &lt;Ann&gt;");
    let ran = run(&preview().args(["--template", "Order {{ data.number }}", "--json"])).await;
    assert_eq!(ran.json(), json!({"text": "Order 7"}));
    let discord =
        tidings().args(["template", "preview", "--kind", "discord", "--json"]).args(made_up);
    assert_eq!(run(&discord).await.json()["allowed_mentions"], json!({"parse": []}));

    let folder = Temporary::new("template");
    let file = folder.path().join("order.txt");
    fs::write(&file, "From a file: {{ data.number }}\n").unwrap();
    let ran = run(&preview().args(["--template", &format!("@{}", file.display())])).await;
    assert_eq!(ran.stdout, "From a file: 7");
}

#[tokio::test]
async fn mistake_in_a_template_is_told_with_its_line() {
    let preview = |template: &str| {
        let arguments =
            ["template", "preview", "--kind", "teams", "--type", "order:placed", "--template"];
        tidings().args(arguments).arg(template)
    };
    run(&preview("a\n{{ data.b | shout }}"))
        .await
        .refused(4, "preview the message: line 2: unknown filter");
    run(&preview("{% include 'x' %}")).await.refused(4, "line 1: syntax error");
    run(&preview("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"))
        .await
        .refused(4, "loop over less");
    run(&preview("@/nonexistent/template"))
        .await
        .refused(1, "read the template in /nonexistent/template");
    run(&tidings().args(["template", "preview", "--type", "order:placed"]))
        .await
        .refused(2, "--kind");
    run(&tidings().args(["template", "preview", "--kind", "slack"])).await.refused(2, "--event");
    run(&tidings().args(["template", "preview", "--kind", "slack", "--type", "order"]))
        .await
        .refused(4, "order");
}

#[tokio::test]
async fn chat_subscriber_is_checked_added_shown_pinged_and_previewed() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    announce(&database).await;
    let receiver = Receiver::answering([Reply::status(200).body("ok")]).await;
    let add =
        |name: &str| on(&database).args(["subscriber", "add", name, "--url", &receiver.url()]);
    let slack = |name: &str| add(name).args(["--kind", "slack"]);
    run(&slack("room").args(["--template", "order:*=a\n{{ data.n"]))
        .await
        .refused(4, "the template for \"order:*\": line 2: syntax error");
    run(&slack("room").args(["--template", "order=a"])).await.refused(4, "is not a pattern");
    run(&slack("room").args(["--header", "x-a: b"])).await.refused(4, "leave out --header");
    run(&slack("room").args(["--secret", "whsec_x"])).await.refused(4, "leave out --secret");
    run(&add("hook").args(["--template", "order:*=a"])).await.refused(4, "--kind slack");
    run(&on(&database).args(["subscriber", "add", "room", "--kind", "teams"]))
        .await
        .refused(2, "--url");
    run(&on(&database).args([
        "subscriber",
        "add",
        "room",
        "--kind",
        "teams",
        "--url",
        "https://10.0.0.1/t0ken",
    ]))
    .await
    .refused(4, "--allow-address");

    let templates = ["--template", "order:placed=Order {{ data.n }}", "--template", "**=Something"];
    let added =
        run(&slack("room").args(templates).args(["--subscribe", "order:*", "--json"])).await.json();
    assert_eq!((&added["kind"], added.get("secret")), (&json!("slack"), None));
    let shown = run(&on(&database).args(["subscriber", "show", "room", "--json"])).await;
    let config = shown.json()["config"].clone();
    assert_eq!(config["url"], format!("http://127.0.0.1:{}/…", receiver.port()));
    assert_eq!(config["templates"]["order:placed"], "Order {{ data.n }}");
    assert!(!shown.stdout.contains("/hook"), "the path of the URL is a secret: {shown:?}");

    let pinged = run(&on(&database).args(["subscriber", "ping", "room", "--json"])).await.json();
    assert_eq!((&pinged["delivered"], &pinged["status"]), (&json!(true), &json!(200)));
    let text = receiver.wait_for(1, PATIENCE).await[0].json()["text"].as_str().unwrap().to_owned();
    assert!(text.contains("this is a test") && text.contains("room"), "{text}");

    let event = register(database.pool(), r#"{"n": 7}"#).await;
    let preview = |arguments: &[&str]| {
        on(&database).args(["template", "preview", "--subscriber", "room"]).args(arguments)
    };
    assert_eq!(run(&preview(&["--event", &event])).await.stdout, "Order 7");
    assert_eq!(run(&preview(&["--type", "order:paid"])).await.stdout, "Something");
    let unknown = "00000000-0000-7000-8000-000000000000";
    run(&preview(&["--event", unknown])).await.refused(3, "there is no event");
    let default = ["template", "preview", "--kind", "slack", "--event", &event];
    let ran = run(&on(&database).args(default)).await;
    assert!(ran.stdout.starts_with("*Order placed*\nN: 7\n"), "{ran:?}");
    assert_eq!(receiver.received().len(), 1, "a preview posts nothing");
}
