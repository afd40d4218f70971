//! The number by which stored samples know the code that made them.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use diffusion_engine::build_identity;
use tempfile::TempDir;

#[path = "../build/sources.rs"]
mod sources;

use sources::{fingerprint, places};

/// The crates of this checkout and the files beside them, copied to a folder without a repository.
struct Checkout(TempDir);

impl Checkout {
    fn new() -> Self {
        let checkout = Self(TempDir::new().unwrap());
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for part in ["engine/src", "engine/build", "kernels/src"] {
            copy(&crates.join(part), &checkout.path("crates").join(part));
        }
        for part in ["crates/engine/Cargo.toml", "crates/kernels/Cargo.toml", "Cargo.toml"] {
            fs::copy(crates.join("..").join(part), checkout.path(part)).unwrap();
        }
        fs::copy(crates.join("../Cargo.lock"), checkout.path("Cargo.lock")).unwrap();
        checkout
    }

    fn path(&self, part: &str) -> PathBuf {
        self.0.path().join(part)
    }

    fn fingerprint(&self) -> u64 {
        fingerprint(&places(&self.path("crates/engine"))).unwrap()
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn append(path: &Path, text: &str) {
    let mut content = fs::read_to_string(path).unwrap_or_default();
    content += text;
    fs::write(path, content).unwrap();
}

#[test]
fn where_the_code_lies_does_not_matter() {
    assert_eq!(Checkout::new().fingerprint(), Checkout::new().fingerprint());
}

#[test]
fn every_change_of_what_computes_is_another_build() {
    let checkout = Checkout::new();
    let mut seen = vec![checkout.fingerprint()];
    let mut changed = |what: &str| {
        let fingerprint = checkout.fingerprint();
        assert!(!seen.contains(&fingerprint), "{what}");
        seen.push(fingerprint);
    };
    for file in [
        "crates/kernels/src/matmul.rs",
        "crates/engine/src/noise.rs",
        "crates/engine/src/schedulers/euler.rs",
        "crates/engine/Cargo.toml",
        "Cargo.lock",
    ] {
        append(&checkout.path(file), "\n");
        changed(file);
    }
    fs::write(checkout.path("crates/kernels/src/new.rs"), "").unwrap();
    changed("a new file");
    let [from, to] =
        ["new.rs", "renamed.rs"].map(|name| checkout.path("crates/kernels/src").join(name));
    fs::rename(from, &to).unwrap();
    changed("another name");
    fs::rename(to, checkout.path("crates/engine/src/renamed.rs")).unwrap();
    changed("another place");
    fs::remove_dir_all(checkout.path("crates/kernels")).unwrap();
    changed("no kernels");
}

#[test]
fn what_does_not_compute_does_not_matter() {
    let checkout = Checkout::new();
    let before = checkout.fingerprint();
    fs::create_dir_all(checkout.path("crates/engine/tests/goldens")).unwrap();
    for file in ["README.md", "crates/engine/tests/new.rs", "crates/kernels/src/.matmul.rs.swp"] {
        append(&checkout.path(file), "text");
    }
    assert_eq!(checkout.fingerprint(), before);
}

#[test]
fn the_identity_names_version_sources_compiler_and_instruction_set() {
    let identity = build_identity();
    let parts: Vec<&str> = identity.split(' ').collect();
    let [version, sources, compiler, instruction_set] = parts[..] else { panic!("{identity}") };
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    for hash in [sources, compiler] {
        assert_eq!(hash.len(), 16);
        assert_ne!(u64::from_str_radix(hash, 16).unwrap(), 0);
    }
    assert!(!instruction_set.is_empty());
}
