//! JSON with its members sorted and without spaces, in which equal events are equal texts.
//!
//! Names are ordered by their UTF-8 bytes.
//! A float that is a whole number is written as one, since clients and proxies write `1.586E12` for 1586000000000.

use serde_json::Number;

use super::TRANSPORT;
use crate::value::{Object, Value, write_text};

/// Up to here every whole number is a float of its own.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// Writes an event without what was written on its way.
pub(super) fn write_event(event: &Value<'_>, text: &mut Vec<u8>, order: &mut Vec<usize>) {
    match event {
        Value::Object(object) => write_object(object, &TRANSPORT, text, order),
        other => write(other, text, order),
    }
}

fn write(value: &Value<'_>, text: &mut Vec<u8>, order: &mut Vec<usize>) {
    match value {
        Value::Object(object) => write_object(object, &[], text, order),
        Value::List(list) => {
            text.push(b'[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    text.push(b',');
                }
                write(item, text, order);
            }
            text.push(b']');
        }
        Value::Number(number) => match whole(number) {
            Some(whole) => Value::from(whole).write(text),
            None => value.write(text),
        },
        Value::Text(string) => write_text(string, text),
        Value::Null | Value::Bool(_) => value.write(text),
    }
}

/// Writes the members in the order of their names; `order` is a stack, on which the objects around this one lie.
fn write_object(object: &Object<'_>, except: &[&str], text: &mut Vec<u8>, order: &mut Vec<usize>) {
    let members = object.members();
    let base = order.len();
    for (index, (name, _)) in members.iter().enumerate() {
        if !except.contains(&name.as_ref()) {
            order.push(index);
        }
    }
    order[base..].sort_unstable_by(|a, b| members[*a].0.cmp(&members[*b].0));
    text.push(b'{');
    for place in base..order.len() {
        if place > base {
            text.push(b',');
        }
        let (name, value) = &members[order[place]];
        write_text(name, text);
        text.push(b':');
        write(value, text, order);
    }
    text.push(b'}');
    order.truncate(base);
}

/// Returns the whole number that a float is.
fn whole(number: &Number) -> Option<i64> {
    let float = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0)?;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole, and small enough")]
    (float.abs() <= WHOLE_MAX).then_some(float as i64)
}
