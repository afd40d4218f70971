//! The tensors that a configuration asks for are those that the reference saves.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use diffusion_engine::source::Source;
use diffusion_engine::{ModelInfo, required_tensors};
use safetensors::SafeTensors;

mod support;

use support::goldens;

#[test]
fn all_tensors_of_the_files_and_no_others() {
    for model in ["tiny-sd1", "tiny-sd2"] {
        let folder = Path::new(&goldens()).join(model);
        let info = ModelInfo::read(&Source::Folder(folder.clone())).unwrap();
        let mut required: BTreeMap<&str, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
        for tensor in required_tensors(&info).unwrap() {
            let name = bare(&tensor.name).to_owned();
            let names = required.entry(tensor.component).or_default();
            assert_eq!(names.insert(name, tensor.shape), None, "{}", tensor.name);
        }
        for (component, stem) in [
            ("text_encoder", "model"),
            ("unet", "diffusion_pytorch_model"),
            ("vae", "diffusion_pytorch_model"),
        ] {
            let path = folder.join(component).join(format!("{stem}.safetensors"));
            let bytes = std::fs::read(path).unwrap();
            let stored: BTreeMap<String, Vec<usize>> = SafeTensors::deserialize(&bytes)
                .unwrap()
                .iter()
                // Counts from 0: old transformers saved them, no model reads them.
                .filter(|(name, _)| !name.ends_with("position_ids"))
                .map(|(name, view)| (bare(name).to_owned(), view.shape().to_vec()))
                .collect();
            assert_eq!(required[component], stored, "{model}/{component}");
        }
    }
}

/// A name without the prefix that transformers wrote before version 5.
fn bare(name: &str) -> &str {
    name.strip_prefix("text_model.").unwrap_or(name)
}
