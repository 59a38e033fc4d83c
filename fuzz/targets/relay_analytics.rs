//! /analytics is taken or refused, as the relay's own code does it, and what is stored is what may be.
//!
//! Input: a path with its query, headers as `name: value`, an empty line, the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidings_relay::fuzzing::{ANALYTICS, request};

fuzz_target!(|input: &[u8]| {
    request(ANALYTICS, input);
});
