//! One number for the code that images are computed by.
//!
//! The build script takes it of the tree that it builds; a test takes it of changed copies.

use std::io;
use std::path::{Path, PathBuf};

/// What computes: this crate and the kernels, and which versions of other crates they are built on.
/// None of it needs a repository around it.
pub(crate) fn places(engine: &Path) -> Vec<PathBuf> {
    let parts =
        ["src", "build", "Cargo.toml", "../kernels", "../../Cargo.toml", "../../Cargo.lock"];
    parts.iter().map(|part| engine.join(part)).collect()
}

/// What Rust code is made of. Other files (notes, what editors leave) compute no image.
const COMPUTES: [&str; 2] = ["rs", "toml"];

/// A hash of all Rust and TOML files below some folders, or of files named themselves.
///
/// It follows names and contents alone: neither where the folders lie nor times nor the order in
/// which the file system lists them. A path that is not there counts as empty.
///
/// # Errors
/// Something that is there cannot be read.
pub(crate) fn fingerprint(places: &[PathBuf]) -> io::Result<u64> {
    let mut hash = Fnv::new();
    for place in places {
        let mut files = Vec::new();
        collect(place, &mut files)?;
        // By the parts of their names, which are the same on every system.
        files.sort();
        hash.count(files.len());
        for file in files {
            let name = file.strip_prefix(place).unwrap_or(&file);
            hash.count(name.components().count());
            for part in name.components() {
                hash.field(part.as_os_str().as_encoded_bytes());
            }
            hash.field(&std::fs::read(&file)?);
        }
    }
    Ok(hash.0)
}

/// A hash of bytes.
#[allow(dead_code)] // not by the test
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hash = Fnv::new();
    hash.field(bytes);
    hash.0
}

fn collect(place: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if place.is_dir() {
        for entry in std::fs::read_dir(place)? {
            let path = entry?.path();
            let computes = path.extension().is_some_and(|kind| COMPUTES.iter().any(|k| kind == *k));
            if path.is_dir() || computes {
                collect(&path, files)?;
            }
        }
    } else if place.exists() {
        files.push(place.to_owned());
    }
    Ok(())
}

/// The 64-bit FNV-1a hash, which is the same in every version of Rust.
/// <https://datatracker.ietf.org/doc/html/rfc9923>
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn count(&mut self, count: usize) {
        self.bytes(&(count as u64).to_le_bytes());
    }

    /// Bytes with their length, so that none can pass into the next field.
    fn field(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.bytes(bytes);
    }
}
