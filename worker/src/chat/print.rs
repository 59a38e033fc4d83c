//! What a template prints of a value: text for people, never JSON, in bounds.

use minijinja::value::{Value, ValueKind};

use super::link::Link;

/// The most values that are printed of one list or object, those inside it included.
const VALUES_MAX: usize = 50;

/// How deep a printed value is looked into.
const DEPTH_MAX: usize = 4;

/// Returns `value` as text: nothing for what is not there, and lists and objects with commas between their parts.
pub(super) fn text(value: &Value) -> String {
    let mut left = VALUES_MAX;
    write(value, DEPTH_MAX, &mut left)
}

fn write(value: &Value, depth: usize, left: &mut usize) -> String {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None | ValueKind::Invalid => String::new(),
        ValueKind::Seq | ValueKind::Iterable => parts(value, |item| inner(&item, depth, left)),
        ValueKind::Map => parts(value, |key| {
            let (text, more) = inner(&value.get_item(&key).unwrap_or_default(), depth, left);
            (
                Some(text)
                    .filter(|text| !text.is_empty())
                    .map(|text| format!("{key}: {text}"))
                    .unwrap_or_default(),
                more,
            )
        }),
        ValueKind::Bool => if value.is_true() { "true" } else { "false" }.to_owned(),
        // Functions and the like have no text.
        ValueKind::Plain => {
            value.downcast_object_ref::<Link>().map_or_else(String::new, |_| value.to_string())
        }
        _ => value.to_string(),
    }
}

/// Returns the text of a value inside another one, and whether there is room for more.
fn inner(value: &Value, depth: usize, left: &mut usize) -> (String, bool) {
    if *left == 0 || depth == 0 {
        return ("…".to_owned(), false);
    }
    *left -= 1;
    (write(value, depth - 1, left), true)
}

fn parts(value: &Value, mut part: impl FnMut(Value) -> (String, bool)) -> String {
    let mut texts = Vec::new();
    for item in value.try_iter().into_iter().flatten() {
        let (text, more) = part(item);
        if !text.is_empty() {
            texts.push(text);
        }
        if !more {
            break;
        }
    }
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use minijinja::value::Serde;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_printed_for_people() {
        for (value, expected) in [
            (json!(null), ""),
            (json!("a"), "a"),
            (json!(1.5), "1.5"),
            (json!(18_446_744_073_709_551_615_u64), "18446744073709551615"),
            (json!(true), "true"),
            (json!(["a", null, 2, ["b"]]), "a, 2, b"),
            (json!({"a": 1, "b": {"c": [2, 3]}, "d": null}), "a: 1, b: c: 2, 3"),
            (json!([[[[[["deep"]]]]]]), "…"),
        ] {
            assert_eq!(text(&Value::from(Serde(&value))), expected, "{value}");
        }
        assert_eq!(text(&Value::UNDEFINED), "");
    }

    #[test]
    fn long_list_is_printed_in_bounds() {
        let long = text(&Value::from(Serde(vec![vec![1; 1_000]; 1_000])));
        assert!(long.len() < 300 && long.ends_with('…'), "{long}");
    }
}
