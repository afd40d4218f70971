//! Weights: safetensors files, found by name, kept as they are stored.

mod file;
mod listing;
mod mmap;
mod param;

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use crate::source::Source;
use crate::{Error, Result};

pub use file::Entry;
pub use listing::{Listing, NamedShape};
pub use mmap::Bytes;
pub use param::Param;

/// All tensors of one component (a sub-folder of a diffusers model).
#[derive(Debug)]
pub struct Weights {
    source: Source,
    folder: String,
    tensors: HashMap<String, Entry>,
    listing: Option<Listing>,
    files: Vec<Bytes>,
    /// Total size of the files in bytes.
    pub file_bytes: u64,
}

/// The file names under which diffusers and transformers save a component, best first.
const STEMS: [&str; 2] = ["diffusion_pytorch_model", "model"];

impl Weights {
    /// Opens the weights of a component: `<stem>.safetensors`, its `.fp16` variant, or the shards
    /// that an index file lists.
    ///
    /// # Errors
    /// There are no safetensors files (pickles are refused by name), or a header is broken.
    pub fn open(source: &Source, folder: &str) -> Result<Self> {
        let mut weights = Self {
            source: source.clone(),
            folder: folder.to_owned(),
            tensors: HashMap::new(),
            listing: None,
            files: Vec::new(),
            file_bytes: 0,
        };
        for file in weights.find_files()? {
            let bytes = source.map(&file)?;
            weights.file_bytes += bytes.as_slice().len() as u64;
            for (name, entry) in file::read_header(&bytes, &source.path(&file))? {
                if weights.tensors.contains_key(&name) {
                    return Err(weights.error(&name, "is in two files".to_owned()));
                }
                weights.tensors.insert(name, entry);
            }
            weights.files.push(bytes);
        }
        Ok(weights)
    }

    /// Weights that have every tensor, all of zeros, and note in `listing` which are asked for: a
    /// network loaded from them tells what it needs.
    pub fn listing(listing: &Listing) -> Self {
        Self {
            source: Source::Embedded { name: "", files: &[] },
            folder: String::new(),
            tensors: HashMap::new(),
            listing: Some(listing.clone()),
            files: Vec::new(),
            file_bytes: 0,
        }
    }

    /// The files themselves.
    pub fn files(&self) -> &[Bytes] {
        &self.files
    }

    /// The safetensors files of this component, relative to the model.
    fn find_files(&self) -> Result<Vec<String>> {
        let folder = &self.folder;
        for stem in STEMS {
            for variant in ["", ".fp16"] {
                let single = format!("{folder}/{stem}{variant}.safetensors");
                if self.source.has(&single) {
                    return Ok(vec![single]);
                }
                // diffusers writes `stem.safetensors.index.fp16.json`, older files
                // `stem.fp16.safetensors.index.json`.
                for index in [
                    format!("{folder}/{stem}.safetensors.index{variant}.json"),
                    format!("{folder}/{stem}{variant}.safetensors.index.json"),
                ] {
                    if let Some(value) = self.source.json(&index)? {
                        return self.shards(&index, &value);
                    }
                }
            }
        }
        let pickle = ["diffusion_pytorch_model.bin", "pytorch_model.bin"]
            .into_iter()
            .find(|name| self.source.has(&format!("{folder}/{name}")));
        Err(Error::malformed(
            self.source.path(folder),
            match pickle {
                Some(name) => format!(
                    "only {name} is here; pickle files can run code and are refused: convert it to safetensors"
                ),
                None => "no safetensors file is here".to_owned(),
            },
        ))
    }

    fn shards(&self, index: &str, value: &serde_json::Value) -> Result<Vec<String>> {
        let broken = |message: &str| Error::malformed(self.source.path(index), message);
        let map = value
            .get("weight_map")
            .and_then(|m| m.as_object())
            .ok_or_else(|| broken("no weight_map"))?;
        let mut names: Vec<&str> = Vec::new();
        for name in map.values() {
            let name = name.as_str().ok_or_else(|| broken("a shard's name is not a string"))?;
            if name.contains(['/', '\\']) || !name.ends_with(".safetensors") {
                return Err(broken(&format!("not the name of a shard: {name:?}")));
            }
            names.push(name);
        }
        names.sort_unstable();
        names.dedup();
        Ok(names.into_iter().map(|name| format!("{}/{name}", self.folder)).collect())
    }

    /// Every tensor's name, shape and first bytes, in the order of names: enough to tell models apart
    /// without reading them whole.
    pub fn heads(&self) -> Vec<(&str, &[usize], &[u8])> {
        let tensors = self.tensors.iter();
        let mut heads: Vec<(&str, &[usize], &[u8])> =
            tensors.map(|(name, entry)| (&**name, &*entry.shape, entry.head())).collect();
        heads.sort_unstable();
        heads
    }

    /// Hashes [`Weights::heads`].
    pub fn fingerprint(&self, hasher: &mut impl Hasher) {
        self.heads().hash(hasher);
    }

    /// Number of values of all tensors.
    pub fn values(&self) -> u64 {
        self.tensors.values().map(|entry| entry.shape.iter().product::<usize>() as u64).sum()
    }

    /// A tensor that must have this shape; a 1×1 convolution's trailing ones may be left out of
    /// either (old VAE files store linear layers so, and the reverse).
    ///
    /// # Errors
    /// It is missing, or of another shape or type.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<Param> {
        if let Some(listing) = &self.listing {
            let entry = listing.ask(name, shape).map_err(|e| self.error(name, e.to_string()))?;
            return Param::new(&entry).map_err(|message| self.error(name, message));
        }
        let Some(entry) = self.tensors.get(name) else {
            return Err(self.error(name, "is missing".to_owned()));
        };
        let significant = |shape: &[usize]| -> Vec<usize> {
            let end = shape.iter().rposition(|&side| side != 1).map_or(0, |i| i + 1);
            shape[..end].to_vec()
        };
        if significant(&entry.shape) != significant(shape) {
            return Err(self.error(
                name,
                format!("has shape {:?}, the configuration asks for {shape:?}", entry.shape),
            ));
        }
        Param::new(entry).map_err(|message| self.error(name, message))
    }

    /// A tensor's values widened to `f32`, for the small ones (biases, norms).
    ///
    /// # Errors
    /// As [`Weights::get`].
    pub fn vector(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        Ok(self.get(name, shape)?.to_f32())
    }

    fn error(&self, name: &str, message: String) -> Error {
        Error::Tensor { path: self.source.path(&self.folder), name: name.to_owned(), message }
    }

    /// Renames tensors: each key becomes `rename(key)`.
    ///
    /// # Errors
    /// Two keys become the same.
    pub fn rename(&mut self, rename: impl Fn(&str) -> String) -> Result<()> {
        let mut renamed = HashMap::new();
        for (name, entry) in std::mem::take(&mut self.tensors) {
            let new = rename(&name);
            if renamed.insert(new.clone(), entry).is_some() {
                return Err(self.error(&new, "is there under two names".to_owned()));
            }
        }
        self.tensors = renamed;
        Ok(())
    }
}
