//! Sizes that are known before anything is sent.

use super::*;

/// Any JSON that properties may hold, texts with characters that are escaped among it.
fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[\\PC\n\t\"\\\\]{0,40}".prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map("[a-z$]{0,6}", inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn any_properties() -> impl Strategy<Value = Json> {
    prop::collection::btree_map("[a-z$]{0,6}", any_json(), 0..6)
        .prop_map(|map| Json::Object(map.into_iter().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn body_is_as_long_as_the_batch_says_and_never_over_the_limits(
        many in prop::collection::vec(any_properties(), 1..60),
        events_max in 1_usize..20,
        batch_bytes_max in 6_000_usize..12_000,
        number in 1_u32..40,
    ) {
        for sink in sinks() {
            let limits = sink.limits().narrowed(4_900, batch_bytes_max, events_max).unwrap();
            let settings = Settings { limits: Some(limits), ..settings() };
            let sink = match sink.protocol() {
                None => Sink::segment(settings).unwrap(),
                Some(protocol) => {
                    Sink::posthog(settings, PostHog { protocol, ..PostHog::default() }).unwrap()
                }
            };
            let messages = (0..).zip(&many).map(|(number, json)| message(number, json.clone()));
            let encoded: Vec<_> = messages.filter_map(|one| sink.encode(&one).ok()).collect();
            let batches = sink.batches(encoded.clone());
            for batch in &batches {
                let request = sink.request(batch, &attempt(number));
                prop_assert_eq!(request.body.len(), batch.body_bytes());
                prop_assert!(request.body.len() <= batch_bytes_max);
                prop_assert!((1..=events_max).contains(&batch.len()));
                let body: Json = serde_json::from_slice(&request.body).unwrap();
                prop_assert_eq!(body["batch"].as_array().unwrap().len(), batch.len());
            }
            // None is missing, none is there twice, and the order is kept.
            let gathered: Vec<_> = batches.into_iter().flat_map(Batch::into_events).collect();
            prop_assert_eq!(gathered, encoded);
        }
    }

    #[test]
    fn event_that_passes_the_check_is_encoded_by_every_sink(
        properties in any_properties(),
        filler in 0_usize..40_000,
        consent in prop::collection::btree_map("\\PC{0,60}", any::<bool>(), 0..4),
    ) {
        let mut view = json!({"event_properties": properties, "derived_properties": {}});
        view["event_properties"]["filler"] = Json::from("é".repeat(filler / 2));
        let identity = Identity { consent: Some(consent), ..Identity::user(id(&"é".repeat(200))) };
        let text = view.to_string();
        if Check::default().telemetry(Call::Track, "order:placed", &identity, &text).is_ok() {
            // The longest that a context provider may add is as long as the reserve.
            let context = Context::new().app("filler", crate::Value::text("x".repeat(1_900)));
            let properties = Properties::of_stored("order:placed", &text, &context).unwrap();
            let name = Name::new("order:placed").unwrap();
            let event = uuid::Uuid::from_u128(1);
            let message = Message::new(event, Call::Track, name, identity, at(0)).unwrap();
            let message = message.with_properties(properties);
            for sink in sinks() {
                prop_assert!(sink.encode(&message).is_ok());
            }
        }
    }
}

#[test]
fn event_that_is_too_large_is_refused_with_its_largest_fields() {
    let notes = "x".repeat(32_000);
    let error = segment().encode(&message(1, json!({"notes": notes, "n": 1}))).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the event takes 32"), "{text}");
    assert!(
        text.ends_with(
            "and Segment takes 32000: leave out or count what is in `notes` (32002 bytes), `n` (1 bytes)"
        ),
        "{text}"
    );
    assert!(posthog(Protocol::V0).encode(&message(1, json!({"notes": notes}))).is_ok());
}

#[test]
fn event_is_allowed_to_be_exactly_as_large_as_the_limit() {
    let room = 32_000 - segment().encode(&message(1, json!({"n": ""}))).unwrap().bytes().len();
    let sized = |bytes: usize| segment().encode(&message(1, json!({"n": "x".repeat(bytes)})));
    assert_eq!(sized(room).unwrap().bytes().len(), 32_000);
    assert!(matches!(sized(room + 1), Err(Error::TooLarge(TooLarge { bytes: 32_001, .. }))));
}

#[test]
fn more_properties_than_segment_keeps_are_refused() {
    let many = |count: usize| -> Json {
        (0..count)
            .map(|number| (format!("{number:x}"), json!(0)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    // 10,000 properties do not fit into 32,000 bytes, whatever their names: the size is what is told first.
    assert!(matches!(segment().encode(&message(1, many(10_001))), Err(Error::TooLarge(_))));
}

#[test]
fn check_tells_what_a_sink_will_refuse_when_the_event_is_registered() {
    let check = Check::default();
    let view = |bytes: usize| {
        json!({"event_properties": {"order": {"notes": "x".repeat(bytes)}}, "derived_properties": {}})
            .to_string()
    };
    let told = |call, identity: &Identity, text: &str| {
        check.telemetry(call, "order:placed", identity, text).map_err(|error| error.to_string())
    };
    let nobody = Identity::default();
    assert_eq!(told(Call::Track, &nobody, &view(100)), Ok(()));
    assert_eq!(told(Call::Track, &nobody, &view(29_000)), Ok(()));
    let error = told(Call::Track, &nobody, &view(31_000)).unwrap_err();
    assert!(error.contains("`event_properties.order.notes` (31002 bytes)"), "{error}");
    assert_eq!(
        told(Call::Group, &nobody, &view(100)).unwrap_err(),
        "a call `group` needs the id of the group: give the identity a `group`"
    );
    assert!(
        check
            .clone()
            .with_reserve_bytes(20_000)
            .telemetry(Call::Track, "order:placed", &nobody, &view(20_000))
            .is_err()
    );
    let wide = Check::new([(Vendor::PostHog, Limits::POSTHOG)]);
    assert_eq!(wide.telemetry(Call::Track, "order:placed", &nobody, &view(31_000)), Ok(()));
}

#[test]
fn event_that_is_in_a_batch_already_goes_into_the_next() {
    let sink = segment();
    let event = sink.encode(&message(1, json!({}))).unwrap();
    let mut batch = sink.batch();
    batch.push(event.clone()).unwrap();
    assert_eq!(batch.push(event.clone()), Err(event.clone()));
    assert_eq!((batch.len(), sink.batches([event.clone(), event]).len()), (1, 2));
}
