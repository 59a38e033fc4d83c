#![expect(clippy::unwrap_used, reason = "temporary")]
mod binary;
