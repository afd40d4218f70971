//! A model in memory: tokenizer, networks and scheduler configuration of one folder.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::info::ModelInfo;
use crate::models::{ClipText, UNet, Vae};
use crate::networks::Networks;
use crate::ops::Taken;
use crate::runtime::{Options, Runtime};
use crate::source::Source;
use crate::tokenizer::{FOLDER, Tokenizer};
use crate::weights::{Bytes, Weights};
use crate::{Error, Result};

/// A loaded model. It is never changed, and many threads may use it at once.
#[derive(Debug)]
pub struct Model {
    pub(crate) info: ModelInfo,
    pub(crate) runtime: Runtime,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) text: ClipText,
    pub(crate) unet: UNet,
    pub(crate) vae: Vae,
    /// Tells this model, at this precision, from others whose samples have the same shape.
    pub(crate) fingerprint: u64,
    weight_bytes: u64,
    files: Vec<Bytes>,
    _taken: Taken,
}

impl Model {
    /// Loads a diffusers folder, or the same files embedded.
    ///
    /// Weights are mapped, so this reads headers and little else; they are packed as they are used
    /// ([`crate::runtime::Options::keep_packed`]).
    ///
    /// # Errors
    /// A file is missing or broken, a configuration is not supported, or the weights do not fit
    /// into the memory limit.
    pub fn open(runtime: &Runtime, source: &Source) -> Result<Self> {
        let info = ModelInfo::read(source)?;
        let tokenizer = Tokenizer::open(source, FOLDER)?;
        let (length, positions) = (tokenizer.max_length(), info.text.max_positions);
        if length > positions {
            return Err(Error::malformed(
                source.path("tokenizer"),
                format!("prompts of {length} tokens for a text encoder of {positions} positions"),
            ));
        }
        let options = runtime.options();
        let Opened { networks, fingerprint, weight_bytes, files } =
            Opened::open(options, source, &info)?;
        let Networks { text, unet, vae, .. } = networks;
        let taken = runtime.weights().take(weight_bytes as usize);
        let needed = runtime.weights().live();
        if let Some(limit) = options.memory_limit.filter(|&limit| needed > limit) {
            return Err(Error::Memory { needed, limit });
        }
        Ok(Self {
            info,
            runtime: runtime.clone(),
            tokenizer,
            text,
            unet,
            vae,
            fingerprint,
            weight_bytes,
            files,
            _taken: taken,
        })
    }

    /// [`Model::weight_bytes`] of a model that is not loaded, from the headers of its files.
    ///
    /// # Errors
    /// As [`Model::open`], but for the tokenizer and the memory limit.
    pub fn weight_bytes_of(options: &Options, source: &Source) -> Result<u64> {
        let info = ModelInfo::read(source)?;
        Ok(Opened::open(options, source, &info)?.weight_bytes)
    }

    /// Reads the files of the weights into the operating system's cache, so that their first use
    /// does not wait for the disk. Takes as long as the disk does.
    pub fn prefetch(&self) {
        self.files.iter().for_each(Bytes::prefetch);
    }

    /// The threads and the meter that it uses.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// What the configuration says.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Bytes that the weights take at the most, those of mapped files included.
    pub fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }
}

/// The networks of a model, and what is known of their weights.
struct Opened {
    networks: Networks,
    fingerprint: u64,
    weight_bytes: u64,
    files: Vec<Bytes>,
}

impl Opened {
    fn open(options: &Options, source: &Source, info: &ModelInfo) -> Result<Self> {
        let text = Weights::open(source, "text_encoder")?;
        let unet = Weights::open(source, "unet")?;
        let vae = Weights::open(source, "vae")?;

        let components = [&text, &unet, &vae];
        let stored: u64 = components.iter().map(|weights| weights.file_bytes).sum();
        let files = components.iter().flat_map(|weights| weights.files().to_vec()).collect();
        let mut hasher = DefaultHasher::new();
        components.iter().for_each(|weights| weights.fingerprint(&mut hasher));
        options.precision.hash(&mut hasher);
        let networks = Networks::load(options, info, (text, &unet, vae), stored)?;
        let weight_bytes = stored + networks.packed_bytes;
        Ok(Self { networks, fingerprint: hasher.finish(), weight_bytes, files })
    }
}
