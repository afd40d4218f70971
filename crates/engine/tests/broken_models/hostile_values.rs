//! Every key of every configuration with every kind of value: the model opens or does not, and if
//! it does it makes a picture or does not, but nothing panics.

use std::ops::ControlFlow;

use diffusion_engine::images::RgbImage;
use diffusion_engine::{Plan, generate};
use serde_json::{Map, Value, json};

use crate::broken::{Broken, GENERATION, INDEX, SCHEDULER, TEXT, UNET, VAE, check_line};

fn hostile_values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(2),
        json!(3),
        json!(-1),
        json!(0.5),
        json!(1e-320),
        json!(1e300),
        json!(1 << 20),
        json!(u64::MAX),
        json!(""),
        json!("line\nline\u{1b}[2J"),
        json!("x".repeat(1 << 16)),
        json!([]),
        json!([1, 1, 1]),
        json!([null, "a", {}]),
        json!({}),
    ]
}

/// Keys of the classes that the tiny models leave out.
const MORE_KEYS: [(&str, &[&str]); 2] = [
    (UNET, &["time_cond_proj_dim", "conv_in_kernel", "time_embedding_dim", "downsample_padding"]),
    (SCHEDULER, &["prediction_type", "timestep_spacing", "rescale_betas_zero_snr", "solver_order"]),
];

fn every_value_of(file: &str) {
    let model = Broken::new();
    let good = model.read(file);
    let object: Map<String, Value> = serde_json::from_slice(&good).unwrap();
    let more = MORE_KEYS.iter().filter(|(of, _)| *of == file).flat_map(|(_, keys)| *keys);
    let keys: Vec<&str> = object.keys().map(String::as_str).chain(more.copied()).collect();
    let picture = RgbImage::new(16, 16).into();
    for key in keys {
        for value in hostile_values() {
            model.set(file, key, value);
            let Ok(opened) = model.open() else { continue };
            let multiple = opened.info().multiple();
            if multiple > 16 {
                continue;
            }
            let plan = Plan { steps: 1, strength: Some(1.0), ..crate::not_finite::plan() };
            if let Err(error) =
                generate(&opened, &plan, Some(&picture), |_| ControlFlow::Continue(()))
            {
                check_line(&error);
            }
        }
        model.write(file, &good);
    }
}

#[test]
fn no_value_of_the_index_panics() {
    every_value_of(INDEX);
}

#[test]
fn no_value_of_the_unet_panics() {
    every_value_of(UNET);
}

#[test]
fn no_value_of_the_vae_panics() {
    every_value_of(VAE);
}

#[test]
fn no_value_of_the_text_encoder_panics() {
    every_value_of(TEXT);
}

#[test]
fn no_value_of_the_scheduler_panics() {
    every_value_of(SCHEDULER);
}

#[test]
fn no_default_panics() {
    every_value_of(GENERATION);
}

#[test]
fn no_value_of_the_tokenizer_panics() {
    every_value_of("tokenizer/tokenizer_config.json");
    every_value_of("tokenizer/special_tokens_map.json");
}
