//! The client by itself: its bytes, its own tests.

use std::fs;

use super::npm::{package, root, tests};

#[test]
fn script_that_the_relay_serves_is_what_the_sources_build_to() {
    let served = fs::read(root().join("relay/assets/tidings.js")).unwrap();
    let same = served == package().script;
    assert!(same, "relay/assets/tidings.js is not what web/ builds to; run `make web`");
}

#[test]
fn client_passes_its_own_tests() {
    for folder in ["unit", "browser"] {
        tests(package(), folder, &[]);
    }
}
