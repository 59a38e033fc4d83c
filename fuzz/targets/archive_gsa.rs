//! A database of telemetry is read to its end within its limits, and what is taken of it is what another reader finds.
//!
//! Input: the database.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_pipeline::fuzzing::gsa;

fuzz_target!(|input: &[u8]| {
    gsa(input);
});
