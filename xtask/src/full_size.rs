//! `cargo xtask full-size`: a model folder of real sizes with random weights.
//!
//! Its pictures are noise; its time and memory are those of the real model.

mod configs;
mod random;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use diffusion_engine::source::Source;
use diffusion_engine::{ModelInfo, Required, required_tensors};
use random::Random;

use crate::workspace;

/// Write a diffusers folder of a real model's sizes, with random f16 weights (2 to 3 GB)
#[derive(Debug, Args)]
pub(crate) struct FullSize {
    /// Where to write it [default: target/full-size/FAMILY]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,

    /// Whose sizes it has
    #[arg(long)]
    family: Family,
}

/// Models whose sizes are known.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Family {
    /// Stable Diffusion 1.5
    Sd1,
    /// Stable Diffusion 2.1, of 768×768
    Sd2,
}

impl FullSize {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let folder = self.folder.unwrap_or_else(|| self.family.folder());
        write(self.family, &folder)?;
        println!("{}", folder.display());
        Ok(())
    }
}

impl Family {
    fn folder(self) -> PathBuf {
        workspace::path("target/full-size").join(self.name())
    }

    fn name(self) -> &'static str {
        match self {
            Self::Sd1 => "sd1",
            Self::Sd2 => "sd2",
        }
    }
}

/// The folder of this family, written first where it is missing.
pub(crate) fn at_hand(family: Family) -> anyhow::Result<PathBuf> {
    let folder = family.folder();
    if !folder.exists() {
        eprintln!("writing {}", folder.display());
        write(family, &folder)?;
    }
    Ok(folder)
}

/// Writes beside `folder` and renames in the end, so that a folder is whole where there is one.
fn write(family: Family, folder: &Path) -> anyhow::Result<()> {
    ensure!(!folder.exists(), "{} exists already", folder.display());
    let part = folder.with_extension("part");
    copy_tokenizer(family, &part)?;
    write_configs(family, &part)?;
    let tensors = required_tensors(&ModelInfo::read(&Source::Folder(part.clone()))?)?;
    for (component, file) in [
        ("text_encoder", "model.safetensors"),
        ("unet", "diffusion_pytorch_model.safetensors"),
        ("vae", "diffusion_pytorch_model.safetensors"),
    ] {
        let path = part.join(component).join(file);
        write_weights(&path, tensors.iter().filter(|tensor| tensor.component == component))
            .with_context(|| path.display().to_string())?;
    }
    fs::rename(&part, folder).with_context(|| folder.display().to_string())
}

fn write_configs(family: Family, folder: &Path) -> anyhow::Result<()> {
    for (name, config) in configs::all(family) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(&path, format!("{config:#}\n")).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn write_weights<'a>(
    path: &Path,
    tensors: impl Iterator<Item = &'a Required>,
) -> anyhow::Result<()> {
    // Each tensor is made when its turn to be written comes.
    let tensors = tensors.map(|tensor| (tensor.name.as_str(), Random(tensor)));
    Ok(safetensors::serialize_to_file(tensors, None, path)?)
}

/// The small models' tokenizers serve: all their ids are within the real vocabulary.
fn copy_tokenizer(family: Family, folder: &Path) -> anyhow::Result<()> {
    let tiny = format!("crates/engine/tests/goldens/tiny-{}/tokenizer", family.name());
    let tiny = workspace::path(tiny);
    let target = folder.join("tokenizer");
    fs::create_dir_all(&target).with_context(|| target.display().to_string())?;
    for entry in fs::read_dir(&tiny).with_context(|| tiny.display().to_string())? {
        let entry = entry?;
        fs::copy(entry.path(), target.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use diffusion_engine::{Options, Plan, Runtime};

    use super::*;

    const LIMIT: u64 = 8 << 30;

    /// What the configurations of a family say.
    fn info(family: Family) -> ModelInfo {
        let folder = tempfile::tempdir().unwrap();
        write_configs(family, folder.path()).unwrap();
        ModelInfo::read(&Source::Folder(folder.path().to_owned())).unwrap()
    }

    /// The numbers of parameters that the real models are known to have.
    #[test]
    fn the_configurations_are_those_of_the_real_models() {
        for (family, sizes) in [
            (Family::Sd1, [123_060_480, 859_520_964, 83_653_863]),
            (Family::Sd2, [340_387_840, 865_910_724, 83_653_863]),
        ] {
            let tensors = required_tensors(&info(family)).unwrap();
            let found = ["text_encoder", "unet", "vae"].map(|component| {
                let tensors = tensors.iter().filter(|tensor| tensor.component == component);
                tensors.map(|tensor| tensor.shape.iter().product::<usize>()).sum::<usize>()
            });
            assert_eq!(found, sizes, "{family:?}");
        }
    }

    /// The full-size models run at their native sizes within 8 GiB where that is the limit (without
    /// one they keep more packed weights), also on a machine of many processors, each of which
    /// takes scratch of its own.
    #[test]
    fn full_size_models_fit_into_8_gib() {
        let threads = NonZeroUsize::new(16);
        let options = Options { threads, memory_limit: Some(LIMIT), ..Options::default() };
        let runtime = Runtime::new(options).unwrap();
        for (family, side) in [(Family::Sd1, 512), (Family::Sd2, 768)] {
            let info = info(family);
            assert_eq!(info.native_size(), (side, side));
            for strength in [None, Some(0.8)] {
                let plan = Plan {
                    prompt: "a lighthouse".to_owned(),
                    negative_prompt: String::new(),
                    width: side,
                    height: side,
                    steps: 50,
                    guidance: 7.5,
                    scheduler: None,
                    seed: 0,
                    strength,
                    text: diffusion_engine::TextOptions::default(),
                    variation: None,
                    inpaint: None,
                };
                let planned = info.memory(&runtime, &plan, 1).unwrap();
                println!("{family:?}, strength {strength:?}: {} MiB", planned.total() >> 20);
                assert!(planned.total() < LIMIT, "{family:?}, strength {strength:?}: {planned:?}");
                assert!(planned.step.min(planned.finish) > 128 << 20, "nothing was walked past");
            }
        }
    }
}
