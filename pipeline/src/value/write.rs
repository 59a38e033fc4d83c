//! Writing a tree as a text: directly, which is quicker, and by serde, for whoever asks for it.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};

use super::{Object, Value};

/// Writes a tree as JSON, without spaces.
pub(super) fn write(value: &Value<'_>, buffer: &mut Vec<u8>) {
    match value {
        Value::Text(text) => write_text(text, buffer),
        Value::List(list) => {
            buffer.push(b'[');
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    buffer.push(b',');
                }
                write(item, buffer);
            }
            buffer.push(b']');
        }
        Value::Object(object) => {
            buffer.push(b'{');
            for (index, (name, value)) in object.0.iter().enumerate() {
                if index > 0 {
                    buffer.push(b',');
                }
                write_text(name, buffer);
                buffer.push(b':');
                write(value, buffer);
            }
            buffer.push(b'}');
        }
        // Every value can be written, and a buffer takes everything.
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            drop(serde_json::to_writer(buffer, value));
        }
    }
}

/// Writes a text as JSON; most have nothing in them that is escaped, which is seen at a glance.
pub(crate) fn write_text(text: &str, buffer: &mut Vec<u8>) {
    let is_escaped = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if text.bytes().fold(false, |found, byte| found | is_escaped(byte)) {
        // A buffer takes everything.
        drop(serde_json::to_writer(buffer, text));
        return;
    }
    buffer.reserve(text.len() + 2);
    buffer.push(b'"');
    buffer.extend_from_slice(text.as_bytes());
    buffer.push(b'"');
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(list) => {
                let mut seq = serializer.serialize_seq(Some(list.len()))?;
                for item in list {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name.as_ref(), value)?;
        }
        map.end()
    }
}
