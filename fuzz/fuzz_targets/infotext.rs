//! What image files say of how they were made.

#![no_main]

use libfuzzer_sys::fuzz_target;

/// As in the server's binary, where it is private.
#[allow(dead_code, unused_imports)]
#[path = "../../crates/server/src/infotext/mod.rs"]
mod infotext;
#[allow(dead_code)]
#[path = "../../crates/server/src/fingerprint.rs"]
mod fingerprint;
#[allow(dead_code)]
#[path = "../../crates/server/src/plan.rs"]
mod plan;
#[allow(dead_code)]
#[path = "../../crates/server/src/samplers.rs"]
mod samplers;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(info) = infotext::read(bytes) {
        serde_json::to_vec(&info).unwrap();
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        serde_json::to_vec(&infotext::read_parameters(text)).unwrap();
    }
});
