//! The field `infotext`: another image's parameters stand in for fields that are not given.

use serde_json::{Map, Value, json};

use super::settings::{CHECKPOINT, CLIP_SKIP};
use crate::infotext::{Info, read_parameters};

/// Settings of the text that are fields under other names, with their values as they stand.
const FIELDS: [(&str, &str); 9] = [
    ("Eta", "eta"),
    ("Sigma churn", "s_churn"),
    ("Sigma noise", "s_noise"),
    ("NGMS", "s_min_uncond"),
    ("Refiner", "refiner_checkpoint"),
    ("Mask blur", "mask_blur"),
    ("Masked area padding", "inpaint_full_res_padding"),
    ("Noise multiplier", "initial_noise_multiplier"),
    ("Schedule type", "scheduler"),
];

/// Settings of the text that are options.
const OPTIONS: [(&str, &str); 32] = [
    ("Schedule max sigma", "sigma_max"),
    ("Schedule min sigma", "sigma_min"),
    ("Schedule rho", "rho"),
    ("Beta schedule alpha", "beta_dist_alpha"),
    ("Beta schedule beta", "beta_dist_beta"),
    ("Sigma tmin", "s_tmin"),
    ("Sigma tmax", "s_tmax"),
    ("SGM noise multiplier", "sgm_noise_multiplier"),
    ("NGMS all steps", "s_min_uncond_all"),
    ("Skip Early CFG", "skip_early_cond"),
    ("Pad conds", "pad_cond_uncond"),
    ("Pad conds v0", "pad_cond_uncond_v0"),
    ("Hypertile U-Net", "hypertile_enable_unet"),
    ("Hypertile VAE", "hypertile_enable_vae"),
    ("FP8 weight", "fp8_storage"),
    ("Cache FP16 weight for LoRA", "cache_fp16_weight"),
    ("UniPC variant", "uni_pc_variant"),
    ("UniPC skip type", "uni_pc_skip_type"),
    ("UniPC order", "uni_pc_order"),
    ("UniPC lower order final", "uni_pc_lower_order_final"),
    ("Noise Schedule", "sd_noise_schedule"),
    ("Extra noise", "img2img_extra_noise"),
    ("Color correction", "img2img_color_correction"),
    ("VAE Encoder", "sd_vae_encode_method"),
    ("VAE Decoder", "sd_vae_decode_method"),
    ("VAE", "sd_vae"),
    ("RNG", "randn_source"),
    ("Emphasis", "emphasis"),
    ("Token merging ratio", "token_merging_ratio"),
    ("Conditional mask weight", "inpainting_mask_weight"),
    ("Discard penultimate sigma", "always_discard_next_to_last_sigma"),
    ("ENSD", "eta_noise_seed_delta"),
];

/// Adds what the text says to the fields that are given.
pub(super) fn stand_in(fields: &mut Map<String, Value>, text: &str) {
    let info = read_parameters(text);
    let options = options(&info);
    for (name, value) in values(info) {
        fields.entry(name).or_insert(value);
    }
    let given = fields.entry("override_settings").or_insert_with(|| json!({}));
    if let Value::Object(given) = given {
        for (name, value) in options {
            given.entry(name).or_insert(value);
        }
    }
}

fn values(info: Info) -> Map<String, Value> {
    let mut fields = Map::new();
    let get = |name: &str| info.parameters.get(name);
    for (name, field) in FIELDS {
        fields.extend(get(name).map(|value| (field.to_owned(), read(value))));
    }
    let choice = |name: &str, choices: &[(&str, Value)]| {
        let value = get(name)?;
        choices.iter().find(|(text, _)| value == text).map(|(_, value)| value.clone())
    };
    let fill = [
        ("fill", json!(0)),
        ("original", json!(1)),
        ("latent noise", json!(2)),
        ("latent nothing", json!(3)),
    ];
    let variation = info.variation;
    // What a text with settings does not say of these is as the web UI leaves it unsaid.
    let unsaid = |value: Value| (!info.parameters.is_empty()).then_some(value);
    let told = [
        ("prompt", info.prompt.clone().map(Value::from)),
        ("negative_prompt", info.negative_prompt.clone().map(Value::from)),
        ("steps", info.steps.map(Value::from)),
        ("cfg_scale", info.guidance.map(Value::from)),
        ("seed", info.seed.map(Value::from)),
        ("width", info.width.map(Value::from)),
        ("height", info.height.map(Value::from)),
        ("sampler_name", info.sampler.clone().map(Value::from)),
        ("denoising_strength", info.strength.map(Value::from)),
        ("subseed", variation.map(|other| other.seed.into())),
        ("subseed_strength", variation.map(|other| other.strength.into())),
        ("restore_faces", get("Face restoration").map(|_| true.into())),
        ("tiling", get("Tiling").map(|value| (value == "True").into())),
        (
            "enable_hr",
            get("Hires upscale")
                .or(get("Hires resize-1"))
                .or(get("Hires resize"))
                .map(|_| true.into()),
        ),
        ("inpainting_fill", choice("Masked content", &fill).or_else(|| unsaid(json!(1)))),
        (
            "inpainting_mask_invert",
            choice("Mask mode", &[("Inpaint not masked", json!(1)), ("Inpaint masked", json!(0))])
                .or_else(|| unsaid(json!(0))),
        ),
        (
            "inpaint_full_res",
            choice(
                "Inpaint area",
                &[("Only masked", json!(true)), ("Whole picture", json!(false))],
            )
            .or_else(|| unsaid(json!(false))),
        ),
    ];
    fields.extend(told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    fields
}

fn options(info: &Info) -> Map<String, Value> {
    let mut options = Map::new();
    for (name, option) in OPTIONS {
        let value = info.parameters.get(name);
        options.extend(value.map(|value| (option.to_owned(), read(value))));
    }
    let model = info.model.clone().or(info.model_hash.clone());
    options.extend(model.map(|model| (CHECKPOINT.to_owned(), model.into())));
    let layer = info.clip_skip.or((!info.parameters.is_empty()).then_some(1));
    options.extend(layer.map(|layer| (CLIP_SKIP.to_owned(), layer.into())));
    options
}

/// A value of the text: a number or a truth where it is one.
fn read(text: &str) -> Value {
    match text {
        "True" => true.into(),
        "False" => false.into(),
        text => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => number.into(),
            _ => text.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "a cat\nNegative prompt: rain\nSteps: 20, Sampler: DPM++ 2M, \
        Schedule type: Karras, CFG scale: 6.5, Seed: 9, Size: 64x96, Model: paper, Clip skip: 2, \
        Variation seed: 4, Variation seed strength: 0.5, Mask blur: 3, Masked content: latent noise, \
        VAE: other.pt, Hires upscale: 2, Schedule rho: 5, Hypertile U-Net: True";

    #[test]
    fn what_is_given_counts_more() {
        let mut fields = Map::new();
        fields.insert("seed".into(), json!(1));
        fields.insert("override_settings".into(), json!({"sd_vae": "None"}));
        stand_in(&mut fields, TEXT);
        for (name, value) in [
            ("seed", json!(1)),
            ("prompt", json!("a cat")),
            ("negative_prompt", json!("rain")),
            ("steps", json!(20)),
            ("sampler_name", json!("DPM++ 2M")),
            ("scheduler", json!("Karras")),
            ("cfg_scale", json!(6.5)),
            ("width", json!(64)),
            ("height", json!(96)),
            ("subseed", json!(4)),
            ("subseed_strength", json!(0.5)),
            ("mask_blur", json!(3.0)),
            ("inpainting_fill", json!(2)),
            ("inpaint_full_res", json!(false)),
            ("inpainting_mask_invert", json!(0)),
            ("enable_hr", json!(true)),
            (
                "override_settings",
                json!({
                    "sd_vae": "None", CHECKPOINT: "paper", CLIP_SKIP: 2, "rho": 5.0,
                    "hypertile_enable_unet": true
                }),
            ),
        ] {
            assert_eq!(fields[name], value, "{name}");
        }
        assert!(!fields.contains_key("tiling"));
    }

    #[test]
    fn what_goes_without_saying_is_meant() {
        let mut fields = Map::new();
        stand_in(&mut fields, "a cat\nSteps: 20, Sampler: Euler, Seed: 9, Size: 64x96");
        assert_eq!(fields["inpainting_fill"], 1);
        assert_eq!(fields["override_settings"], json!({CLIP_SKIP: 1}));
        // Words alone say nothing of it.
        let mut fields = Map::new();
        stand_in(&mut fields, "a cat");
        assert!(!fields.contains_key("inpainting_fill"));
        assert_eq!(fields["override_settings"], json!({}));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(\\PC|[\\n\":,]|Steps: |Size: |Mask ){0,60}") {
            let mut fields = Map::new();
            stand_in(&mut fields, &text);
            prop_assert!(fields.contains_key("prompt"));
        }
    }
}
