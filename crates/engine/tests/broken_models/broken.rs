//! A copy of a tiny model, to be broken.

use std::path::PathBuf;
use std::sync::LazyLock;

use diffusion_engine::{Error, Model, Options, Result, Runtime, Source};
use serde_json::Value;

use crate::allocations;
use crate::folder::Folder;

/// The files of each component.
pub(crate) const UNET: &str = "unet/config.json";
pub(crate) const VAE: &str = "vae/config.json";
pub(crate) const TEXT: &str = "text_encoder/config.json";
pub(crate) const SCHEDULER: &str = "scheduler/scheduler_config.json";
pub(crate) const INDEX: &str = "model_index.json";
pub(crate) const GENERATION: &str = "generation_config.json";
pub(crate) const UNET_WEIGHTS: &str = "unet/diffusion_pytorch_model.safetensors";

/// No tiny model needs a single allocation of this size, whatever its files say.
const MOST_BYTES: usize = 12 << 20;
/// A line that a terminal shows without harm.
const MOST_CHARS: usize = 800;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new(Options::default()).unwrap());

/// A model folder that tests break.
pub(crate) struct Broken(pub(crate) Folder);

impl Broken {
    /// A copy of the tiny model of Stable Diffusion 1, with defaults of its own.
    pub(crate) fn new() -> Self {
        let model = Self(Folder::copy_of("tiny-sd1"));
        model.write(GENERATION, r#"{"num_inference_steps": 4, "guidance_scale": 1}"#);
        model
    }

    /// A copy of the tiny model of Stable Diffusion 2, whose tokenizer is one file.
    pub(crate) fn with_tokenizer_json() -> Self {
        Self(Folder::copy_of("tiny-sd2"))
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    pub(crate) fn source(&self) -> Source {
        Source::Folder(self.0.path().to_owned())
    }

    pub(crate) fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path(file)).unwrap()
    }

    pub(crate) fn write(&self, file: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(file), bytes).unwrap();
    }

    pub(crate) fn remove(&self, file: &str) {
        std::fs::remove_file(self.path(file)).unwrap();
    }

    /// Sets one key of a JSON file.
    pub(crate) fn set(&self, file: &str, key: &str, value: Value) {
        let mut json: Value = serde_json::from_slice(&self.read(file)).unwrap();
        json[key] = value;
        self.write(file, json.to_string());
    }

    /// Opens the model.
    pub(crate) fn open(&self) -> Result<Model> {
        allocations::count();
        let opened = Model::open(&RUNTIME, &self.source());
        let largest = allocations::largest();
        assert!(largest <= MOST_BYTES, "an allocation of {largest} bytes");
        if let Err(error) = &opened {
            check_line(error);
        }
        opened
    }

    /// Opens the model, which must fail with an error that names `file` and says all `words`.
    #[track_caller]
    pub(crate) fn refused(&self, file: &str, words: &[&str]) -> Error {
        let error = self.open().expect_err("the model should not open");
        let message = error.to_string();
        let path = self.path(file).display().to_string();
        assert!(message.starts_with(&path), "{message:?} does not begin with {path:?}");
        for word in words {
            assert!(message[path.len()..].contains(word), "{message:?} does not say {word:?}");
        }
        error
    }

    /// Opens the model with other content in one file, which is restored afterwards.
    #[track_caller]
    pub(crate) fn refused_with(&self, file: &str, content: impl AsRef<[u8]>, words: &[&str]) {
        let good = self.read(file);
        self.write(file, content);
        self.refused(file, words);
        self.write(file, good);
    }

    /// Opens the model with one value changed; the error must name file, key and value.
    #[track_caller]
    pub(crate) fn refused_value(&self, file: &str, key: &str, value: Value) {
        let good = self.read(file);
        self.set(file, key, value.clone());
        let error = self.refused(file, &[key]);
        let shown: String = value.to_string().chars().take(30).collect();
        if matches!(error, Error::Unsupported { .. }) {
            assert!(error.to_string().contains(&shown), "{error} does not show {shown}");
        }
        self.write(file, good);
    }
}

/// Fails unless the error is one line of moderate length.
#[track_caller]
pub(crate) fn check_line(error: &Error) {
    let message = error.to_string();
    assert!(!message.contains(char::is_control), "control characters: {message:?}");
    let length = message.chars().count();
    assert!(length <= MOST_CHARS, "{length} characters: {message:.200}…");
}
