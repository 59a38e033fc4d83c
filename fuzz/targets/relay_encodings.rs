//! A content encoding changes nothing of what a batch says, and whatever claims to be encoded is taken or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_relay::fuzzing::encodings;

fuzz_target!(|input: &[u8]| {
    encodings(input);
});
