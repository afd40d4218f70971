//! Weights that are no numbers, and networks that overflow.

use diffusion_engine::images::RgbImage;
use diffusion_engine::{Error, Initial, Model, Plan, SchedulerKind, TextOptions, generate};
use std::ops::ControlFlow;

use crate::broken::{Broken, check_line};

const SCHEDULERS: [&str; 17] = [
    "euler",
    "euler-karras",
    "euler-a",
    "ddim",
    "dpmpp-2m",
    "dpmpp-2m-karras",
    "dpmpp-2m-exponential",
    "dpmpp-2m-sde",
    "dpmpp-2m-sde-karras",
    "dpmpp-2m-sde-exponential",
    "pndm",
    "lms",
    "lms-karras",
    "heun",
    "heun-karras",
    "unipc",
    "lcm",
];

/// A small and quick picture.
pub(crate) fn plan() -> Plan {
    Plan {
        prompt: "a cat".into(),
        negative_prompt: String::new(),
        width: 16,
        height: 16,
        steps: 2,
        guidance: 7.5,
        scheduler: None,
        seed: 1,
        strength: None,
        text: TextOptions::default(),
        variation: None,
        inpaint: None,
    }
}

/// Fills every `f32` weight of a component.
fn fill(model: &Broken, part: &str, value: f32) {
    model.0.change(part, |mut weights| {
        for weight in weights.values_mut().filter(|w| w.dtype == safetensors::Dtype::F32) {
            weight.bytes = value.to_le_bytes().repeat(weight.bytes.len() / 4);
        }
        weights
    });
}

fn refused_picture(model: &Model, plan: &Plan, initial: Option<&Initial>) {
    let error = generate(model, plan, initial, |_| ControlFlow::Continue(())).unwrap_err();
    check_line(&error);
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    assert!(error.to_string().contains("non-finite"), "{error}");
}

#[test]
fn weights_that_are_no_numbers_make_no_picture() {
    for part in ["text_encoder", "unet", "vae"] {
        for value in [f32::NAN, f32::INFINITY, f32::MAX] {
            let model = Broken::new();
            fill(&model, part, value);
            refused_picture(&model.open().unwrap(), &plan(), None);
        }
    }
}

#[test]
fn no_scheduler_stumbles_over_predictions_that_are_no_numbers() {
    let model = Broken::new();
    fill(&model, "unet", f32::NAN);
    let model = model.open().unwrap();
    let picture = RgbImage::new(16, 16).into();
    for name in SCHEDULERS {
        let kind: SchedulerKind = name.parse().unwrap();
        for steps in [1, 2, 5] {
            let plan = Plan { scheduler: Some(kind), steps, ..plan() };
            refused_picture(&model, &plan, None);
            let plan = Plan { strength: Some(1.0), ..plan };
            refused_picture(&model, &plan, Some(&picture));
        }
    }
}

#[test]
fn an_encoder_that_gives_no_numbers_makes_no_picture() {
    let model = Broken::new();
    model.0.change("vae", |mut weights| {
        let bias = weights.get_mut("encoder.conv_out.bias").unwrap();
        bias.bytes = f32::NAN.to_le_bytes().repeat(bias.bytes.len() / 4);
        weights
    });
    let model = model.open().unwrap();
    let plan = Plan { strength: Some(0.5), ..plan() };
    refused_picture(&model, &plan, Some(&RgbImage::new(16, 16).into()));
}
