use proptest::prelude::*;

use super::*;

#[test]
fn of_two_members_with_one_name_the_last_counts_and_the_first_is_gone() {
    let value =
        Value::parse(br#"{"a":1,"\u0061":2,"b":{"c":[null,true,-1,1.5e3,"x\n"]}}"#).unwrap();
    assert_eq!(value.to_bytes(), br#"{"a":2,"b":{"c":[null,true,-1,1500.0,"x\n"]}}"#);
    let many: Vec<_> = (0..100).map(|n| format!("\"k{}\":{n}", n % 50)).collect();
    let text = format!("{{{}}}", many.join(","));
    let value = Value::parse(text.as_bytes()).unwrap();
    assert_eq!(value.as_object().unwrap().len(), 50);
    assert_eq!(value.get("k7").and_then(Value::as_i64), Some(57));
}

#[test]
fn members_are_set_and_removed() {
    let mut value = Value::parse(br#"{"a":{"b":1},"c":2}"#).unwrap();
    value.at_mut(&["a"]).unwrap().as_object_mut().unwrap().set("d", "e");
    value.as_object_mut().unwrap().set("c", 3_i64);
    assert_eq!(value.to_bytes(), br#"{"a":{"b":1,"d":"e"},"c":3}"#);
    assert_eq!(value.as_object_mut().unwrap().remove("c"), Some(3_i64.into()));
    assert_eq!(value.at(&["a", "b"]).and_then(Value::as_i64), Some(1));
}

#[test]
fn tree_is_lent_and_owned_as_it_is() {
    let text = br#"{"a":[null,true,{"b":"c\n"}],"d":1.5}"#.to_vec();
    let value = Value::parse(&text).unwrap();
    assert_eq!(value.lend(), value);
    let owned = value.clone().into_owned();
    assert_eq!(owned, value);
    drop(text);
    assert_eq!(owned.to_bytes(), br#"{"a":[null,true,{"b":"c\n"}],"d":1.5}"#);
}

#[test]
fn depth_is_bounded() {
    assert!(Value::parse(&b"[".repeat(100_000)).is_err());
}

proptest! {
    #[test]
    fn tree_is_that_of_serde_json(text in "[\\[\\]{}:,\"a-c0-9.e\\\\ntrue-]{0,40}") {
        let theirs = serde_json::from_str::<serde_json::Value>(&text).ok();
        let ours = Value::parse(text.as_bytes()).ok();
        prop_assert_eq!(ours.is_some(), theirs.is_some());
        if let (Some(ours), Some(theirs)) = (ours, theirs) {
            let again: serde_json::Value = serde_json::from_slice(&ours.to_bytes()).unwrap();
            prop_assert_eq!(again, theirs);
        }
    }

    #[test]
    fn text_is_written_as_serde_writes_it(text in any::<String>(), plain in "[ -~é\u{7f}\u{2028}]{0,9}") {
        for text in [text, plain] {
            let mut buffer = Vec::new();
            write_text(&text, &mut buffer);
            prop_assert_eq!(buffer, serde_json::to_vec(&text).unwrap());
        }
    }
}
