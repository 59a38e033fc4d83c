//! `#[derive(Anonymous)]`.

use serde_json::{Value, json};
use tidings::Anonymous;

#[derive(Anonymous)]
enum Plain {
    OutOfMemory,
    #[serde(rename = "timeout")]
    TimedOut,
    Exited(i32),
    Moved(i32, bool),
    Crashed {
        exit_code: i32,
        #[serde(rename = "core")]
        dumped_core: bool,
        #[serde(skip)]
        #[expect(dead_code, reason = "what is skipped is not read")]
        message: String,
    },
    Nested(Box<Self>),
}

#[derive(Anonymous)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Renamed {
    OutOfMemory,
    HardLimit {
        used_mib: u32,
    },
    #[serde(rename_all = "UPPERCASE")]
    SoftLimit {
        used_mib: u32,
    },
}

#[derive(Anonymous)]
#[serde(rename_all = "camelCase")]
struct Usage<T> {
    used_mib: T,
    r#type: Port,
    history: Vec<Option<u16>>,
}

#[derive(Anonymous)]
struct Port(u16);

#[derive(Anonymous)]
struct Version(u16, u16);

#[derive(Anonymous)]
enum Never {}

fn json_of(value: &impl Anonymous) -> Value {
    value.to_value().unwrap().into_json()
}

#[test]
fn variant_is_its_name_and_its_anonymous_fields() {
    let crashed = Plain::Crashed { exit_code: 1, dumped_core: true, message: "canary".into() };
    let cases = [
        (json_of(&Plain::OutOfMemory), json!("out_of_memory")),
        (json_of(&Plain::TimedOut), json!("timeout")),
        (json_of(&Plain::Exited(-1)), json!({"exited": -1})),
        (json_of(&Plain::Moved(2, true)), json!({"moved": [2, true]})),
        (json_of(&crashed), json!({"crashed": {"exit_code": 1, "core": true}})),
        (json_of(&Plain::Nested(Box::new(Plain::TimedOut))), json!({"nested": "timeout"})),
        (json_of(&Renamed::OutOfMemory), json!("out-of-memory")),
        (json_of(&Renamed::HardLimit { used_mib: 1 }), json!({"hard-limit": {"usedMib": 1}})),
        (json_of(&Renamed::SoftLimit { used_mib: 1 }), json!({"soft-limit": {"USED_MIB": 1}})),
    ];
    for (value, expected) in cases {
        assert_eq!(value, expected);
    }
}

#[test]
fn struct_is_its_anonymous_fields() {
    let usage = Usage { used_mib: 1.5_f64, r#type: Port(80), history: vec![Some(1), None] };
    assert_eq!(json_of(&usage), json!({"usedMib": 1.5, "type": 80, "history": [1, null]}));
    assert_eq!(json_of(&Version(1, 2)), json!([1, 2]));
    assert!(None::<Never>.to_value().is_some());
}
