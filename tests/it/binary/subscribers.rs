//! Subscribers from their adding to their removal.

use serde_json::json;
use tidings_tests::{Database, Launch, Pooler, Receiver, Reply};

use super::{KEY, PATIENCE, add, at, on, run, sync_types};

#[tokio::test]
async fn generated_secret_is_shown_once_and_never_again() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    let secret = add(&on(&database), "hook", "https://example.com/hook/t0ken").await;
    assert!(secret.starts_with("whsec_"), "{secret}");
    for command in [["subscriber", "list"].as_slice(), &["subscriber", "show", "hook"]] {
        for json in [&[][..], &["--json"]] {
            let ran = run(&on(&database).args(command).args(json)).await;
            assert_eq!(ran.code, Some(0), "{ran:?}");
            assert!(
                !ran.stdout.contains("whsec_") && !ran.stdout.contains(&secret[6..]),
                "{ran:?}"
            );
            assert!(
                !ran.stdout.contains("t0ken"),
                "the path of a URL is a secret as well: {ran:?}"
            );
        }
    }
    let ran =
        run(&on(&database).args(["subscriber", "add", "two", "--url", "https://example.com/"]))
            .await;
    assert!(
        ran.stdout.contains("whsec_") && ran.stdout.contains("it is not shown again"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn secret_that_was_given_is_used_and_never_shown() {
    let database = Database::new().await;
    let receiver = Receiver::accepting().await;
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let script = format!(
        "printf %s '{secret}' | '{}' subscriber add hook --url {} --secret - --json",
        env!("CARGO_BIN_EXE_tidings-under-test"),
        receiver.url()
    );
    let launch = Launch::new("/bin/sh").args(["-c", &script]).env("DATABASE_URL", database.url());
    let launch = launch.env("TIDINGS_KEY", KEY).env("TIDINGS_ALLOW_ADDRESS", "127.0.0.1");
    let (status, output) = launch.start().exit(PATIENCE).await;
    assert!(status.success(), "{output:?}");
    assert!(!output.stdout.join("").contains("whsec_"), "{output:?}");

    let ping = run(&on(&database).args(["subscriber", "ping", "hook", "--json"])).await.json();
    let received = receiver.wait_for(1, PATIENCE).await;
    received[0].verify(secret).unwrap();
    assert_eq!(received[0].id(), ping["ping_id"].as_str().unwrap());
    assert_eq!(received[0].json()["type"], "tidings:subscriber:pinged");
    assert_eq!((&ping["delivered"], &ping["status"]), (&json!(true), &json!(204)));
}

#[tokio::test]
async fn ping_that_fails_shows_the_answer_and_exits_with_one() {
    let database = Database::new().await;
    let receiver = Receiver::start(|_| Reply::status(500).body("out of \u{1b}[31morder")).await;
    sync_types(database.pool()).await;
    add(&on(&database), "hook", &receiver.url()).await;
    let ran = run(&on(&database).args(["subscriber", "ping", "hook"])).await;
    ran.refused(1, "ping the subscriber `hook`: ");
    assert!(ran.stdout.contains("500") && ran.stdout.contains("out of "), "{ran:?}");
    assert!(!format!("{}{}", ran.stdout, ran.stderr).contains('\u{1b}'), "{ran:?}");
    let ran = run(&on(&database).args(["subscriber", "ping", "hook", "--json"])).await;
    let pinged: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&pinged["delivered"], &pinged["status"]), (&json!(false), &json!(500)));
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert_eq!(error["error"]["code"], "failed");
}

#[tokio::test]
async fn everything_that_was_asked_for_is_shown() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    let add = on(&database).args(["subscriber", "add", "hook", "--tenant", "acme"]);
    let add = add.args(["--url", "https://example.com/hook", "--header", "X-Api-Key: k3y"]);
    let add = add.args(["--timeout", "2s", "--in-flight", "3", "--rate", "1.5"]);
    let add = add.args(["--retry", r#"{"delays_s": [0, 1]}"#, "--subscribe", "order:placed"]);
    let add = add.args(["--subscribe", "order:*", "--scope", "shop=s1", "--ordered", "--json"]);
    let added = run(&add).await.json();
    assert_eq!(added["subscription_ids"].as_array().unwrap().len(), 2);

    let show = on(&database).args(["subscriber", "show", "hook", "--tenant", "acme"]);
    let shown = run(&show.clone().arg("--json")).await.json();
    let expected =
        json!({"url": "https://example.com/…", "headers": {"X-Api-Key": "…"}, "timeout_ms": 2000});
    assert_eq!(shown["config"], expected);
    assert_eq!(shown["in_flight_max"], 3);
    assert_eq!(shown["rate_per_s"], 1.5);
    assert_eq!(shown["retry"], json!({"delays_s": [0, 1]}));
    assert_eq!(shown["state"], "active");
    let subscription = &shown["subscriptions"][1];
    assert_eq!(subscription["pattern"], "order:*");
    assert_eq!(subscription["scope"], "shop=s1");
    assert_eq!(subscription["ordered"], true);
    let text = run(&show).await.stdout;
    for part in ["acme", "active", "order:placed", "shop=s1", "3 at most", "1.5 per second"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    run(&on(&database).args(["subscriber", "show", "hook"]))
        .await
        .refused(3, "there is no subscriber `hook`");
}

#[tokio::test]
async fn subscriber_is_paused_resumed_and_removed_by_name_or_id() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    add(&on(&database), "hook", "https://example.com/").await;
    let subscriber = |words: &[&str]| on(&database).arg("subscriber").args(words).arg("--json");
    let show = async || run(&subscriber(&["show", "hook"])).await.json();
    let id = show().await["subscriber_id"].to_string();
    assert_eq!(run(&subscriber(&["pause", "hook"])).await.json()["change"], "paused");
    assert_eq!(show().await["state"], "paused");
    assert_eq!(run(&subscriber(&["resume", &id])).await.json()["change"], "resumed");
    assert_eq!(show().await["state"], "active");
    assert_eq!(run(&subscriber(&["remove", &id])).await.json()["change"], "removed");
    run(&subscriber(&["show", "hook"])).await.refused(3, "there is no subscriber");
    add(&on(&database), "hook", "https://example.com/").await;
}

#[tokio::test]
async fn subscriptions_are_added_once_listed_and_removed() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    add(&on(&database), "hook", "https://example.com/").await;
    let subscription = |words: &[&str]| on(&database).arg("subscription").args(words).arg("--json");
    let first =
        run(&subscription(&["add", "hook", "order:paid", "--scope", "shop=s1"])).await.json();
    let again =
        run(&subscription(&["add", "hook", "order:paid", "--scope", "shop=s1"])).await.json();
    assert_eq!((&first["added"], &again["added"]), (&json!(true), &json!(false)));
    assert_eq!(first["subscription_id"], again["subscription_id"]);
    let listed = run(&subscription(&["list", "hook"])).await.json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let id = first["subscription_id"].to_string();
    run(&subscription(&["remove", &id])).await.json();
    run(&subscription(&["remove", &id])).await.refused(3, "there is no subscription");
}

#[tokio::test]
async fn long_list_comes_in_pages() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    for name in ["one", "two", "three"] {
        add(&on(&database), name, "https://example.com/").await;
    }
    let list =
        |words: &[&str]| on(&database).args(["subscriber", "list", "--limit", "2"]).args(words);
    let ran = run(&list(&[])).await;
    assert_eq!(ran.stdout.lines().count(), 3, "a title and two rows: {ran:?}");
    let first = run(&list(&["--json"])).await.json();
    let last = first[1]["subscriber_id"].to_string();
    assert!(ran.stderr.contains(&format!("--after {last}")), "{ran:?}");
    let second = run(&list(&["--json", "--after", &last])).await.json();
    let names: Vec<_> =
        [&first[0], &first[1], &second[0]].map(|item| item["name"].as_str().unwrap()).into();
    assert_eq!(names, ["one", "two", "three"]);
    assert_eq!(second.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn commands_work_through_a_transaction_pooler() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    let pooler = Pooler::start(&database, 1).await;
    let launch = at(&pooler.url());
    add(&launch, "hook", "https://example.com/").await;
    for _ in 0..3 {
        let listed = run(&launch.clone().args(["subscriber", "list", "--json"])).await.json();
        assert_eq!(listed[0]["name"], "hook");
    }
}
