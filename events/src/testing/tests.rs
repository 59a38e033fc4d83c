use serde_json::json;

use super::*;

fn seen(event_type: &str, order: u64) -> Seen {
    Seen {
        event_id: Uuid::nil(),
        event_type: event_type.to_owned(),
        version: 1,
        tenant: String::new(),
        scope: String::new(),
        ordering_key: None,
        occurred_at: DateTime::UNIX_EPOCH,
        payload: json!({"order": order}),
        telemetry: Value::Null,
        headers: Value::Null,
    }
}

fn all() -> Vec<Seen> {
    vec![seen("order:placed", 7), seen("order:paid", 7), seen("order:placed", 8)]
}

/// What a failing assertion says.
fn complaint(assertion: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = std::panic::catch_unwind(assertion).unwrap_err();
    *panic.downcast::<String>().unwrap()
}

#[test]
fn first_event_that_is_as_expected_is_found() {
    assert_eq!(expect_one(Ok(all()), "order:placed", |_| true).payload["order"], 7);
    let found = expect_one(Ok(all()), "order:placed", |seen| seen.payload["order"] == 8);
    assert_eq!(found.payload["order"], 8);
    expect_none(Ok(all()), "order:placed", |seen| seen.payload["order"] == 9);
    expect_none(Ok(all()), "order:sent", |_| true);
}

#[test]
fn failing_assertion_says_what_was_registered_instead() {
    assert_eq!(
        complaint(|| drop(expect_one(Ok(all()), "order:placed", |_| false))),
        "no such `order:placed` was registered in this transaction; registered were:\n  \
         order:placed {\"order\":7}\n  order:paid\n  order:placed {\"order\":8}"
    );
    assert_eq!(
        complaint(|| drop(expect_one(Ok(Vec::new()), "order:placed", |_| true))),
        "no such `order:placed` was registered in this transaction; nothing was registered"
    );
    assert_eq!(
        complaint(|| expect_none(Ok(all()), "order:paid", |_| true)),
        "`order:paid` was registered in this transaction: {\"order\":7}"
    );
    let lost = || expect_none(Err(Error::NoPartition), "order:paid", |_| true);
    assert!(complaint(lost).contains("NoPartition"));
}

#[tokio::test]
async fn answers_are_made_as_many_as_the_deliveries() {
    use crate::{deliverer::BoxFuture, delivery::RegisteredEvent};

    #[derive(Debug)]
    struct Answers(usize);

    impl Destination for Answers {
        fn timeout(&self) -> std::time::Duration {
            std::time::Duration::from_mins(1)
        }

        fn deliver<'a>(&'a self, _: &'a [Delivery]) -> BoxFuture<'a, Vec<Answer>> {
            Box::pin(std::future::ready(vec![Answer::delivered(); self.0]))
        }
    }

    let delivery = Delivery {
        delivery_id: 1,
        subscriber_id: 1,
        subscription_id: None,
        attempt: 1,
        first_due_at: DateTime::UNIX_EPOCH,
        call: None,
        event: RegisteredEvent {
            event_id: Uuid::nil(),
            event_type: "order:placed".to_owned(),
            version: 1,
            tenant: String::new(),
            scope: String::new(),
            ordering_key: None,
            occurred_at: DateTime::UNIX_EPOCH,
            payload: "{}".to_owned(),
            headers: None,
        },
    };
    for number in [0, 1, 3] {
        let answers = deliver(&Answers(number), &[delivery.clone(), delivery.clone()]).await;
        assert_eq!(answers.len(), 2);
        let delivered =
            answers.iter().filter(|answer| answer.verdict == Verdict::Delivered).count();
        assert_eq!(delivered, number.min(2));
    }
}
