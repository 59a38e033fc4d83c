//! The walk along a table: what does not fit is a reason, or is coerced or flagged.

use super::{
    flags::{Coercion, FLAGS_MAX, Flags},
    moment,
    path::Path,
    shape::{Shape, Type},
};
use crate::{
    failed::REASONS_MAX,
    reason::Reason,
    value::{Object, Value},
};

/// What a walk has found in one event.
#[derive(Debug)]
pub(super) struct Findings {
    coerces: bool,
    reasons: Vec<Reason>,
    flags: Flags,
}

impl Findings {
    /// Begins a walk on which whatever does not fit is a reason.
    pub(super) fn strict() -> Self {
        Self { coerces: false, reasons: Vec::new(), flags: Flags::default() }
    }

    /// Begins a walk on which it is coerced, or kept and flagged.
    pub(super) fn lenient() -> Self {
        Self { coerces: true, ..Self::strict() }
    }

    /// Returns what was found.
    pub(super) fn into_parts(self) -> (Vec<Reason>, Flags) {
        (self.reasons, self.flags)
    }

    /// Notes a reason for which the event is refused.
    pub(super) fn refuse(
        &mut self,
        path: &Path<'_>,
        code: &'static str,
        message: impl Into<String>,
    ) {
        // One more than is kept, so that it is seen that there were more.
        if self.reasons.len() <= REASONS_MAX {
            self.reasons.push(Reason::new(path.to_string(), code, message));
        }
    }

    /// Notes that something was made to fit.
    pub(super) fn coerced(&mut self, path: &Path<'_>, how: Coercion) {
        if self.flags.coerced.len() < FLAGS_MAX {
            self.flags.coerced.push((path.to_string(), how));
        } else {
            self.flags.more = self.flags.more.saturating_add(1);
        }
    }

    /// Notes that the kind is none of the specification's.
    pub(super) fn unknown_kind(&mut self, eid: &str) {
        if self.coerces {
            self.flags.unknown_kind = true;
            return;
        }
        let eid: String = eid.chars().take(64).collect();
        let message = format!(
            "send a kind that the specification has, not `{eid}`, or give the channel the profile lenient"
        );
        self.refuse(&Path::Member(&Path::Root, "eid"), "unknown_kind", message);
    }

    /// Notes that something does not fit.
    fn mismatch(&mut self, path: &Path<'_>, code: &'static str, message: impl FnOnce() -> String) {
        if !self.coerces {
            self.refuse(path, code, message());
        } else if self.flags.mismatched.len() < FLAGS_MAX {
            self.flags.mismatched.push((path.to_string(), code));
        } else {
            self.flags.more = self.flags.more.saturating_add(1);
        }
    }
}

/// Walks along the members of an object.
pub(super) fn walk_record(
    value: &mut Value<'_>,
    shape: &Shape,
    path: &Path<'_>,
    findings: &mut Findings,
) {
    let Some(object) = value.as_object_mut() else { return };
    let met = walk_members(object, shape, path, findings);
    for (index, field) in shape.fields.iter().enumerate() {
        if field.required && met & (1 << index) == 0 {
            findings.mismatch(&Path::Member(path, field.name), "missing", || {
                format!("add `{}`, {}", field.name, field.is)
            });
        }
    }
}

/// Walks along the members that there are, and returns which fields they are, as bits.
fn walk_members(
    object: &mut Object<'_>,
    shape: &Shape,
    path: &Path<'_>,
    findings: &mut Findings,
) -> u32 {
    let mut met = 0;
    for (name, value) in object.iter_mut() {
        let path = Path::Member(path, name);
        let Some(index) = shape.fields.iter().position(|field| field.name == name) else {
            if !shape.open {
                findings.mismatch(&path, "unknown_field", || {
                    format!("leave out `{}`, which the specification does not have", path.name())
                });
            }
            continue;
        };
        // Clients write null for what they do not know.
        if findings.coerces && *value == Value::Null {
            continue;
        }
        met |= 1 << index;
        walk(value, &shape.fields[index].is, &path, findings);
    }
    met
}

fn walk(value: &mut Value<'_>, is: &Type, path: &Path<'_>, findings: &mut Findings) {
    if findings.coerces
        && let Some((fitting, how)) = coerce(value, is)
    {
        *value = fitting;
        findings.coerced(path, how);
    }
    let fits = match (is, &mut *value) {
        (Type::Text, Value::Text(_)) | (Type::Number, Value::Number(_)) => true,
        (Type::Object, Value::Object(_)) => true,
        (Type::Filled, Value::Text(text)) => {
            if text.is_empty() {
                findings.mismatch(path, "empty", || format!("fill `{}`", path.name()));
            }
            true
        }
        (Type::OneOf(words), Value::Text(text)) => {
            if !words.contains(&text.as_ref()) {
                let code = if path.name() == "ver" { "unknown_version" } else { "unknown_word" };
                findings.mismatch(path, code, || format!("write `{}` as {is}", path.name()));
            }
            true
        }
        (Type::NumberFrom(least), Value::Number(number)) => {
            if number.as_f64().is_some_and(|number| number < f64::from(*least)) {
                findings.mismatch(path, "too_small", || format!("write `{}` as {is}", path.name()));
            }
            true
        }
        (Type::Record(shape), value @ Value::Object(_)) => {
            walk_record(value, shape, path, findings);
            true
        }
        (Type::ListOf(item), Value::List(list)) => {
            for (index, value) in list.iter_mut().enumerate() {
                walk(value, item, &Path::Item(path, index), findings);
            }
            true
        }
        _ => false,
    };
    if !fits {
        let kind = value.kind();
        findings.mismatch(path, "wrong_type", || {
            format!("write `{}` as {is}, not as {kind}", path.name())
        });
    }
}

/// Returns what a value becomes where a number stands for a text, or the other way round.
fn coerce(value: &Value<'_>, is: &Type) -> Option<(Value<'static>, Coercion)> {
    match (is, value) {
        (Type::Number | Type::NumberFrom(_), Value::Text(text)) => {
            Some((Value::Number(moment::number(text)?), Coercion::ParsedNumber))
        }
        (Type::Text | Type::Filled, Value::Number(number)) => {
            Some((number.to_string().into(), Coercion::Text))
        }
        (Type::Text, Value::Bool(value)) => Some((value.to_string().into(), Coercion::Text)),
        _ => None,
    }
}
