//! A zip of telemetry is read to its end within its limits, and what is taken of it is what another reader finds.
//!
//! Input: a zip as it is; or its manifest and its files, each with its name on the first line, parted by lines `---`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_pipeline::fuzzing::zip;

fuzz_target!(|input: &[u8]| {
    zip(input);
});
