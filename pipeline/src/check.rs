//! STUB until the model comes.
use crate::{provenance::Provenance, reason::Reason, value::Value};
/// Checked.
#[derive(Debug)]
pub struct Checked {
    /// eid
    pub eid: String,
    /// mid
    pub mid: String,
    /// ets
    pub ets_ms: i64,
}
/// Checks.
///
/// # Errors
///
/// reasons
pub fn check(event: &mut Value<'_>, _: &Provenance) -> Result<Checked, Vec<Reason>> {
    let text = |name: &'static str| {
        event
            .get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .ok_or_else(|| vec![Reason::new(format!("$.{name}"), "missing", "x")])
    };
    Ok(Checked {
        eid: text("eid")?,
        mid: text("mid")?,
        ets_ms: event.get("ets").and_then(Value::as_i64).unwrap_or(0),
    })
}
