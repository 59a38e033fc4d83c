//! How much a page loads: the browser client as the relay serves it, compressed.

use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};

use crate::report::Report;

/// What `GET /tidings.js` answers.
const SCRIPT: &[u8] = include_bytes!("../../relay/assets/tidings.js");

/// Thousands of bytes of the script after gzip at its highest level.
pub(crate) fn gzip_kb(report: &mut Report) -> Result<()> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(SCRIPT)?;
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let [plain, compressed] =
        [SCRIPT.len(), encoder.finish()?.len()].map(|bytes| bytes as f64 / 1000.0);
    let note = format!("/tidings.js as the relay sends it, {plain:.1} KB before; at most 12");
    report.add("web.gzip_kb", "KB", &[compressed], note);
    Ok(())
}
