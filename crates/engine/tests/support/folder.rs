//! Copies of a tiny model whose weights look as other programs write them: other names, types,
//! shards and file names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::json;
use tempfile::TempDir;

/// One tensor outside of any file.
#[derive(Clone)]
pub(crate) struct Weight {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

/// The tensors of one component, by name.
pub(crate) type Weights = BTreeMap<String, Weight>;

/// How the files of a component are called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Files {
    /// `model.safetensors`
    One,
    /// `model.fp16.safetensors`
    OneFp16,
    /// `model-00001-of-00002.safetensors` and `model.safetensors.index.json`
    Two,
    /// `model.fp16-00001-of-00002.safetensors` and `model.safetensors.index.fp16.json`
    TwoFp16,
    /// `model-00001-of-00002.fp16.safetensors` and `model.fp16.safetensors.index.json`
    TwoFp16Old,
}

/// A copy of a tiny model in a temporary folder, which goes when this is dropped.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// Copies `tests/goldens/{model}`.
    pub(crate) fn copy_of(model: &str) -> Self {
        let folder = Self(TempDir::new().unwrap());
        let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
        copy(&goldens.join(model), folder.path());
        folder
    }

    /// Replaces the components that `tests/goldens/{model}` has by those.
    pub(crate) fn with_parts_of(self, model: &str) -> Self {
        let parts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(model);
        for part in std::fs::read_dir(&parts).unwrap() {
            let part = part.unwrap().file_name();
            std::fs::remove_dir_all(self.path().join(&part)).unwrap();
            copy(&parts.join(&part), &self.path().join(&part));
        }
        self
    }

    /// Where the copy lies.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// All tensors of a component such as `unet`, whatever its files are called.
    pub(crate) fn weights(&self, part: &str) -> Weights {
        let mut weights = Weights::new();
        for file in weight_files(&self.path().join(part)) {
            if file.extension().is_some_and(|extension| extension == "json") {
                continue;
            }
            let bytes = std::fs::read(&file).unwrap();
            for (name, view) in SafeTensors::deserialize(&bytes).unwrap().iter() {
                let weight = Weight {
                    dtype: view.dtype(),
                    shape: view.shape().to_vec(),
                    bytes: view.data().to_vec(),
                };
                weights.insert(name.to_owned(), weight);
            }
        }
        assert!(!weights.is_empty(), "{part} has no weights");
        weights
    }

    /// Replaces the component's files by new ones.
    pub(crate) fn write(&self, part: &str, weights: &Weights, files: Files) {
        let folder = self.path().join(part);
        for file in weight_files(&folder) {
            std::fs::remove_file(file).unwrap();
        }
        let stem = if part == "text_encoder" { "model" } else { "diffusion_pytorch_model" };
        let (names, index) = match files {
            Files::One => (vec![format!("{stem}.safetensors")], None),
            Files::OneFp16 => (vec![format!("{stem}.fp16.safetensors")], None),
            Files::Two => (
                shards(|n| format!("{stem}-{n}.safetensors")),
                Some(format!("{stem}.safetensors.index.json")),
            ),
            Files::TwoFp16 => (
                shards(|n| format!("{stem}.fp16-{n}.safetensors")),
                Some(format!("{stem}.safetensors.index.fp16.json")),
            ),
            Files::TwoFp16Old => (
                shards(|n| format!("{stem}-{n}.fp16.safetensors")),
                Some(format!("{stem}.fp16.safetensors.index.json")),
            ),
        };
        let mut map = BTreeMap::new();
        let share = weights.len().div_ceil(names.len());
        let all: Vec<_> = weights.iter().collect();
        for (name, share) in names.iter().zip(all.chunks(share)) {
            let views = share.iter().map(|(name, weight)| {
                let view = TensorView::new(weight.dtype, weight.shape.clone(), &weight.bytes);
                (name, view.unwrap())
            });
            let bytes = safetensors::serialize(views, None).unwrap();
            std::fs::write(folder.join(name), bytes).unwrap();
            map.extend(share.iter().map(|(tensor, _)| (tensor, name)));
        }
        if let Some(index) = index {
            let total: usize = weights.values().map(|weight| weight.bytes.len()).sum();
            let index_json = json!({"metadata": {"total_size": total}, "weight_map": map});
            std::fs::write(folder.join(index), index_json.to_string()).unwrap();
        }
    }

    /// Changes the component's tensors; they end in one file.
    pub(crate) fn change(&self, part: &str, change: impl FnOnce(Weights) -> Weights) {
        self.write(part, &change(self.weights(part)), Files::One);
    }

    /// Renames the component's tensors.
    pub(crate) fn rename(&self, part: &str, rename: impl Fn(&str) -> String) {
        self.change(part, |weights| {
            weights.into_iter().map(|(name, weight)| (rename(&name), weight)).collect()
        });
    }

    /// Calls the component's files otherwise.
    pub(crate) fn reshape_files(&self, part: &str, files: Files) {
        self.write(part, &self.weights(part), files);
    }

    /// Stores the component's `f32` tensors as `dtype` (`F16` or `BF16`).
    pub(crate) fn cast(&self, part: &str, dtype: Dtype) {
        self.change(part, |weights| {
            weights.into_iter().map(|(name, weight)| (name, weight.cast(dtype))).collect()
        });
    }

    /// Rounds the component's tensors as [`Folder::cast`] does, but keeps them `f32`: the same
    /// values, stored otherwise.
    pub(crate) fn round(&self, part: &str, dtype: Dtype) {
        self.change(part, |weights| {
            weights
                .into_iter()
                .map(|(name, weight)| (name, weight.cast(dtype).cast(Dtype::F32)))
                .collect()
        });
    }
}

impl Weight {
    /// Its values.
    pub(crate) fn values(&self) -> Vec<f32> {
        let halves = || self.bytes.as_chunks().0.iter();
        match self.dtype {
            Dtype::F32 => {
                self.bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
            }
            Dtype::F16 => halves().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect(),
            Dtype::BF16 => {
                halves().map(|bytes| half::bf16::from_le_bytes(*bytes).to_f32()).collect()
            }
            other => panic!("{other:?} values"),
        }
    }

    /// The same values as another type of floating-point numbers; integers stay.
    pub(crate) fn cast(self, dtype: Dtype) -> Self {
        if self.dtype == Dtype::I64 {
            return self;
        }
        let values = self.values().into_iter();
        let bytes = match dtype {
            Dtype::F32 => values.flat_map(f32::to_le_bytes).collect(),
            Dtype::F16 => values.flat_map(|v| half::f16::from_f32(v).to_le_bytes()).collect(),
            Dtype::BF16 => values.flat_map(|v| half::bf16::from_f32(v).to_le_bytes()).collect(),
            other => panic!("a cast to {other:?}"),
        };
        Self { dtype, bytes, ..self }
    }
}

/// CLIP's names as transformers 4 writes them, and all checkpoints of that time have them.
pub(crate) fn with_text_model(name: &str) -> String {
    format!("text_model.{}", without_text_model(name))
}

/// CLIP's names as transformers 5 writes them.
pub(crate) fn without_text_model(name: &str) -> String {
    name.strip_prefix("text_model.").unwrap_or(name).to_owned()
}

/// The names of the VAE's attention in the files that Stable Diffusion 1 and 2 came with.
pub(crate) fn old_vae_attention(name: &str) -> String {
    if !name.contains(".attentions.") {
        return name.to_owned();
    }
    [("to_q", "query"), ("to_k", "key"), ("to_v", "value"), ("to_out.0", "proj_attn")]
        .into_iter()
        .fold(name.to_owned(), |name, (new, old)| name.replace(new, old))
}

/// The VAE's attention as 1×1 convolutions, which it was before diffusers.
pub(crate) fn vae_attention_as_convolutions(mut weights: Weights) -> Weights {
    for (name, weight) in &mut weights {
        if name.contains(".attentions.") && weight.shape.len() == 2 {
            weight.shape.extend([1, 1]);
        }
    }
    weights
}

fn shards(name: impl Fn(&str) -> String) -> Vec<String> {
    ["00001-of-00002", "00002-of-00002"].into_iter().map(name).collect()
}

/// The safetensors files of a folder and their indices.
fn weight_files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".safetensors"))
        .collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
