//! A batch is taken apart and its events are checked under every profile: accepted once is accepted for good, refused has
//! its reasons, and who an event is of does not depend on how it is written.
//!
//! Input: headers as `name: value`, an empty line, the batch.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_pipeline::fuzzing::events;

fuzz_target!(|input: &[u8]| {
    events(input);
});
