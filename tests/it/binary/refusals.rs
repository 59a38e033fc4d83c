//! Input that is not accepted: exit code 4, the reason, and nothing written.

use tidings_tests::{Database, Receiver};

use super::{KEY, Ran, add, on, run, sync_types};

/// Adds a webhook with more arguments than its name.
async fn adding(database: &Database, arguments: &[&str]) -> Ran {
    run(&on(database).args(["subscriber", "add", "hook"]).args(arguments)).await
}

async fn nothing_was_added(database: &Database) {
    let listed = run(&on(database).args(["subscriber", "list", "--json"])).await.json();
    assert_eq!(listed, serde_json::json!([]));
}

#[tokio::test]
async fn endpoint_that_must_not_be_called_is_refused_with_the_reason() {
    let database = Database::new().await;
    let table = [
        ("https://127.0.0.1/hook", "this machine itself (loopback)"),
        ("https://[::1]/hook", "this machine itself (loopback)"),
        ("https://localhost/hook", "this machine itself (loopback)"),
        ("https://169.254.169.254/latest/meta-data", "where clouds keep their metadata"),
        ("https://168.63.129.16/", "the host service of a cloud"),
        ("https://10.0.0.1/hook", "a private address"),
        ("https://[::ffff:10.0.0.1]/hook", "it carries 10.0.0.1"),
        ("https://db.internal/hook", "exists in private networks only"),
        ("https://user:s3cr3t@example.com/hook", "contains a user name or password"),
        ("http://example.com/hook", "plain http is not allowed"),
        ("ftp://example.com/hook", "has to begin with https://"),
        ("https://example.com:22/hook", "port 22 belongs to another protocol"),
        ("https://example.com/hook#part", "has a fragment"),
        ("no url", "white space"),
    ];
    for (url, reason) in table {
        let launch = on(&database).env("TIDINGS_ALLOW_ADDRESS", "");
        let ran = run(&launch.args(["subscriber", "add", "hook", "--url", url])).await;
        ran.refused(4, reason);
        assert!(ran.stderr.starts_with("error: add the subscriber `hook`: "), "{ran:?}");
        assert!(!ran.stderr.contains("s3cr3t"), "{ran:?}");
    }
    nothing_was_added(&database).await;
}

#[tokio::test]
async fn operator_is_told_how_to_allow_a_private_address() {
    let database = Database::new().await;
    let launch = on(&database).env("TIDINGS_ALLOW_ADDRESS", "");
    let ran =
        run(&launch.args(["subscriber", "add", "hook", "--url", "https://10.0.0.1/", "--json"]))
            .await;
    ran.refused(4, "\"code\": \"refused\"");
    assert!(ran.stderr.contains("--allow-address"), "{ran:?}");
}

#[tokio::test]
async fn subscription_to_an_unknown_type_names_those_that_come_closest() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    adding(&database, &["--url", "https://example.com/", "--subscribe", "order:place"])
        .await
        .refused(4, "past tense");
    let ran =
        adding(&database, &["--url", "https://example.com/", "--subscribe", "order:plased"]).await;
    ran.refused(4, "event type `order:plased` is not in the catalogue");
    assert!(ran.stderr.contains("order:placed"), "{ran:?}");
    // The subscriber and its subscriptions are one transaction.
    nothing_was_added(&database).await;
}

#[tokio::test]
async fn pattern_scope_and_ladder_are_checked_before_anything_is_written() {
    let database = Database::new().await;
    sync_types(database.pool()).await;
    let url = ["--url", "https://example.com/"];
    let table: [(&[&str], &str); 9] = [
        (&["--subscribe", "Order:*"], "`Order:*` is not a pattern"),
        (&["--subscribe", "order:*", "--scope", "shop"], "shop"),
        (&["--subscribe", "order:placed", "--scope", "team=t1"], "its keys are shop"),
        (&["--retry", r#"{"delays_s": []}"#], "1 to 100 delays"),
        (&["--retry", r#"{"delay": 1}"#], "unknown field `delay`"),
        (&["--in-flight", "0"], "in_flight_max is 0"),
        (&["--rate", "0"], "rate_per_s is 0"),
        (&["--header", "webhook-id: 1"], "is set by the sender"),
        (&["--secret", "hunter2"], "begins with whsec_"),
    ];
    for (arguments, reason) in table {
        adding(&database, &[&url, arguments].concat()).await.refused(4, reason);
    }
    nothing_was_added(&database).await;
}

#[tokio::test]
async fn name_kind_and_number_that_cannot_be_are_refused() {
    let database = Database::new().await;
    let launch = || on(&database).args(["subscriber", "add"]);
    let url = ["--url", "https://example.com/"];
    run(&launch().arg("a b").args(url)).await.refused(4, "cannot be the name of a subscriber");
    run(&launch().arg("hook").args(url).arg("--json")).await.json();
    run(&launch().arg("hook").args(url)).await.refused(4, "named `hook` exists already");
    let other = run(&launch().args(["other", "--kind", "pigeon", "--config", "{}"])).await;
    other.refused(4, "no worker has announced the kind `pigeon`");
    run(&on(&database).args(["subscriber", "list", "--limit", "0"]))
        .await
        .refused(2, "0 is not in 1..=1000");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let database = Database::new().await;
    let event = "01890000-0000-7000-8000-000000000000";
    let table: [(&[&str], &str); 9] = [
        (&["subscriber", "show", "nobody"], "there is no subscriber `nobody`"),
        (&["subscriber", "pause", "7"], "there is no subscriber `7`"),
        (&["subscriber", "ping", "nobody", "--tenant", "t"], "of tenant `t`"),
        (&["subscription", "remove", "7"], "there is no subscription 7"),
        (&["event", "show", event], "there is no event 01890000"),
        (&["delivery", "show", "7"], "delivery 7 is not pending"),
        (&["delivery", "retry", "7"], "delivery 7 is not pending"),
        (&["dead", "show", "7"], "there is no dead letter 7"),
        (&["dead", "replay", "7"], "there is no dead letter 7"),
    ];
    for (arguments, reason) in table {
        run(&on(&database).args(arguments)).await.refused(3, reason);
    }
    // Our own lane is not for anybody.
    run(&on(&database).args(["subscriber", "remove", "0"]))
        .await
        .refused(3, "there is no subscriber");
}

#[tokio::test]
async fn secret_under_another_key_is_told_with_the_id_of_the_key() {
    let database = Database::new().await;
    let receiver = Receiver::accepting().await;
    sync_types(database.pool()).await;
    add(&on(&database), "hook", &receiver.url()).await;
    let ping = || on(&database).args(["subscriber", "ping", "hook"]);
    let other = KEY.replace("AAEC", "BBEC");
    run(&ping().env("TIDINGS_KEY", other)).await.refused(
        4,
        "open the secret of subscriber `hook`: open a stored secret: it is sealed under key ",
    );
    run(&ping().env("TIDINGS_KEY", "")).await.refused(4, "there is no key; set TIDINGS_KEY");
    run(&ping().env("TIDINGS_KEY", "short")).await.refused(4, "read TIDINGS_KEY: ");
    assert!(receiver.received().is_empty(), "nothing is sent unsigned");
    let keyless = on(&database).env("TIDINGS_KEY", "");
    let ran = run(&keyless.args(["subscriber", "add", "other", "--url", &receiver.url()])).await;
    ran.refused(4, "there is no key to seal it with");
}
