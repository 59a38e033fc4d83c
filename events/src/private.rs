//! What the derives need from this crate; no part of its public interface.

mod message;

pub use schemars;
pub use serde;
pub use serde_json;
pub use tidings_analytics as analytics;

pub use self::message::{Message, concat, contains, same, total};
pub use crate::{
    event::{
        schema::{LayerSchema, schema},
        view::{Nested, notification},
    },
    layer::{covered, name_fault, name_twice, scope_fault},
    name::{fault_of, reserved},
};
