//! The same model in the files of other programs makes the same pictures.

#![allow(clippy::unwrap_used)]

#[path = "support/folder.rs"]
#[allow(dead_code)]
mod folder;

use diffusion_engine::images::RgbImage;
use diffusion_engine::{Model, Options, Plan, Runtime, Source, TextOptions, generate};
use folder::{
    Files, Folder, old_vae_attention, vae_attention_as_convolutions, with_text_model,
    without_text_model,
};
use safetensors::tensor::Dtype;
use std::ops::ControlFlow;

const PARTS: [&str; 3] = ["text_encoder", "unet", "vae"];

/// An image-to-image picture, which every component takes part in.
fn picture(folder: &Folder, options: Options) -> Vec<u8> {
    let runtime = Runtime::new(options).unwrap();
    let model = Model::open(&runtime, &Source::Folder(folder.path().to_owned())).unwrap();
    let plan = Plan {
        prompt: "a photo of a cat".into(),
        negative_prompt: "blurry".into(),
        width: 32,
        height: 24,
        steps: 3,
        guidance: 7.5,
        scheduler: None,
        seed: 42,
        strength: Some(0.7),
        text: TextOptions::default(),
        variation: None,
        inpaint: None,
    };
    let initial = RgbImage::from_fn(32, 24, |x, y| image::Rgb([x as u8 * 8, y as u8 * 10, 99]));
    let image =
        generate(&model, &plan, Some(&initial.into()), |_| ControlFlow::Continue(())).unwrap();
    image.into_raw()
}

/// Both ways to hold weights must read the changed folder as the unchanged one.
fn assert_same(what: &str, model: &str, change: impl FnOnce(&Folder)) {
    let plain = Folder::copy_of(model);
    let changed = Folder::copy_of(model);
    change(&changed);
    assert_same_pictures(what, &plain, &changed);
}

fn assert_same_pictures(what: &str, one: &Folder, other: &Folder) {
    for keep_packed in [0, u64::MAX] {
        let options = || Options { keep_packed, ..Options::default() };
        assert_eq!(
            picture(one, options()),
            picture(other, options()),
            "{what}, keeping {keep_packed} bytes packed"
        );
    }
}

#[test]
fn names_of_the_text_encoder() {
    assert_same("without text_model", "tiny-sd1", |folder| {
        folder.rename("text_encoder", without_text_model);
    });
    assert_same("with text_model", "tiny-sd2", |folder| {
        folder.rename("text_encoder", with_text_model);
    });
}

#[test]
fn names_of_the_vae_attention() {
    for model in ["tiny-sd1", "tiny-sd2"] {
        assert_same("old names", model, |folder| folder.rename("vae", old_vae_attention));
        assert_same("convolutions", model, |folder| {
            folder.change("vae", vae_attention_as_convolutions);
        });
        assert_same("old names, convolutions", model, |folder| {
            folder.change("vae", vae_attention_as_convolutions);
            folder.rename("vae", old_vae_attention);
        });
    }
}

#[test]
fn names_of_files() {
    for files in [Files::One, Files::OneFp16, Files::Two, Files::TwoFp16, Files::TwoFp16Old] {
        assert_same(&format!("{files:?}"), "tiny-sd1", |folder| {
            for part in PARTS {
                folder.reshape_files(part, files);
            }
        });
    }
}

#[test]
fn types_of_values() {
    for (model, dtype) in [("tiny-sd1", Dtype::F16), ("tiny-sd2", Dtype::BF16)] {
        let [stored, rounded] = [0, 1].map(|_| Folder::copy_of(model));
        for part in PARTS {
            stored.cast(part, dtype);
            rounded.round(part, dtype);
        }
        assert_same_pictures(&format!("{dtype:?}"), &stored, &rounded);
    }
}

#[test]
fn types_of_values_may_differ_between_tensors() {
    let [stored, rounded] = [0, 1].map(|_| Folder::copy_of("tiny-sd1"));
    for (folder, keep) in [(&stored, false), (&rounded, true)] {
        folder.change("unet", |weights| {
            let mut dtypes = [Dtype::F16, Dtype::F32, Dtype::BF16].into_iter().cycle();
            let mut cast = |weight: folder::Weight| {
                let half = weight.cast(dtypes.next().unwrap_or(Dtype::F32));
                if keep { half.cast(Dtype::F32) } else { half }
            };
            weights.into_iter().map(|(name, weight)| (name, cast(weight))).collect()
        });
    }
    assert_same_pictures("mixed", &stored, &rounded);
}
