//! Tells the crate what it is built of, for [`build_identity`](../src/identity.rs).

mod sources;

use std::path::Path;
use std::process::Command;
use std::{env, io};

fn main() -> io::Result<()> {
    let engine = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let places = sources::places(Path::new(&engine));
    for place in places.iter().filter(|place| place.exists()) {
        println!("cargo::rerun-if-changed={}", place.display());
    }
    let sources = sources::fingerprint(&places)?;
    println!("cargo::rustc-env=ENGINE_SOURCES={sources:016x}");
    println!("cargo::rustc-env=ENGINE_COMPILER={:016x}", sources::hash(&compiler()?));
    Ok(())
}

/// What else can change a result: the compiler, with the mathematics of its library, what it
/// compiles for, and flags that it is given.
fn compiler() -> io::Result<Vec<u8>> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut text = Command::new(rustc).arg("-vV").output()?.stdout;
    for name in ["TARGET", "CARGO_ENCODED_RUSTFLAGS"] {
        text.extend(env::var_os(name).unwrap_or_default().into_encoded_bytes());
        text.push(0);
    }
    Ok(text)
}
