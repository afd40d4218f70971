//! The options that clients read and set, and what each may be here.
//!
//! An option that changes pictures may be set to what this server does and to nothing else. One
//! that changes none is kept as it is given, whether it is known here or not.

use serde_json::{Map, Value, json};

use super::refused::{Refused, Result};

/// The model of the calls that name none: a title, a name, a hash or a file's name.
pub(super) const CHECKPOINT: &str = "sd_model_checkpoint";
/// Which of the text encoder's layers conditions, counted from its last, 1.
pub(super) const CLIP_SKIP: &str = "CLIP_stop_at_last_layers";
/// Follows the model, and is never set.
pub(super) const CHECKPOINT_HASH: &str = "sd_checkpoint_hash";

/// The most layers that a text encoder may be cut short by.
const MOST_LAYERS: i64 = 12;

/// What is told of an option that was never set.
pub(super) fn defaults() -> Map<String, Value> {
    let defaults = [
        ("samples_save", json!(true)),
        ("samples_format", json!("png")),
        ("samples_filename_pattern", json!("")),
        ("save_images_add_number", json!(true)),
        ("save_images_replace_action", json!("Replace")),
        ("grid_save", json!(false)),
        ("grid_format", json!("png")),
        ("grid_only_if_multiple", json!(true)),
        ("return_grid", json!(false)),
        ("return_mask", json!(false)),
        ("return_mask_composite", json!(false)),
        ("enable_pnginfo", json!(true)),
        ("jpeg_quality", json!(80)),
        ("webp_lossless", json!(false)),
        ("export_for_4chan", json!(false)),
        ("do_not_show_images", json!(false)),
        ("add_model_hash_to_info", json!(true)),
        ("add_model_name_to_info", json!(true)),
        ("add_version_to_infotext", json!(true)),
        ("live_previews_enable", json!(true)),
        ("live_preview_refresh_period", json!(1000.0)),
        ("show_progress_every_n_steps", json!(10)),
        ("show_progress_type", json!("Approx cheap")),
        ("sd_vae", json!("Automatic")),
        ("sd_unet", json!("None")),
        ("sd_lora", json!("None")),
        ("sd_hypernetwork", json!("None")),
        ("CLIP_stop_at_last_layers", json!(1)),
        ("randn_source", json!("CPU")),
        ("emphasis", json!("Original")),
        ("enable_batch_seeds", json!(true)),
        ("comma_padding_backtrack", json!(20)),
        ("eta_ddim", json!(0.0)),
        ("eta_ancestral", json!(1.0)),
        ("eta_noise_seed_delta", json!(0)),
        ("s_churn", json!(0.0)),
        ("s_noise", json!(1.0)),
        ("s_min_uncond", json!(0.0)),
        ("initial_noise_multiplier", json!(1.0)),
        ("inpainting_mask_weight", json!(1.0)),
        ("img2img_extra_noise", json!(0.0)),
        ("img2img_color_correction", json!(false)),
        ("img2img_fix_steps", json!(false)),
        ("face_restoration", json!(false)),
        ("tiling", json!(false)),
        ("token_merging_ratio", json!(0.0)),
        ("token_merging_ratio_img2img", json!(0.0)),
    ];
    defaults.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Checks that an option is nothing that changes pictures in a way that is not offered.
///
/// # Errors
/// 422 that names the option, and what it may be.
pub(super) fn check(name: &str, value: &Value) -> Result<()> {
    let fits = match name {
        CHECKPOINT => value.is_string(),
        CLIP_SKIP => layers(value).is_some(),
        name => may_be(name).is_none_or(|allowed| allowed.iter().any(|one| same(one, value))),
    };
    if fits || value.is_null() {
        return Ok(());
    }
    let allowed = match name {
        CHECKPOINT => "the title of a model is needed".into(),
        CLIP_SKIP => format!("a whole number from 1 to {MOST_LAYERS} is needed"),
        name => {
            let allowed = may_be(name).unwrap_or_default();
            let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
            format!("it changes pictures, and can only be {} here", allowed.join(" or "))
        }
    };
    Err(Refused::field(name, format!("{value}: {allowed}")))
}

/// Which layer is asked for, if this is one.
pub(super) fn layers(value: &Value) -> Option<u32> {
    let number = value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0).then_some(number as i64)
    })?;
    u32::try_from(number).ok().filter(|_| (1..=MOST_LAYERS).contains(&number))
}

/// What an option that changes pictures may be.
fn may_be(name: &str) -> Option<Vec<Value>> {
    let any = |values: Value| values.as_array().cloned();
    match name {
        "sd_vae" => any(json!(["Automatic", "None", "", "auto"])),
        "sd_unet" => any(json!(["None", "Automatic", ""])),
        "sd_lora" | "sd_hypernetwork" => any(json!(["None", ""])),
        // All noise is drawn as PyTorch draws it on a CPU, where "GPU" means the same.
        "randn_source" => any(json!(["CPU", "GPU"])),
        "emphasis" => any(json!(["Original"])),
        "enable_emphasis" | "enable_batch_seeds" => any(json!([true])),
        "comma_padding_backtrack" => any(json!([20])),
        "eta_ancestral" | "s_noise" | "initial_noise_multiplier" | "inpainting_mask_weight" => {
            any(json!([1]))
        }
        "eta_ddim"
        | "eta_noise_seed_delta"
        | "s_churn"
        | "s_min_uncond"
        | "s_tmin"
        | "skip_early_cond"
        | "img2img_extra_noise"
        | "token_merging_ratio"
        | "token_merging_ratio_img2img" => any(json!([0])),
        "img2img_color_correction"
        | "img2img_fix_steps"
        | "enable_quantization"
        | "face_restoration"
        | "tiling"
        | "always_discard_next_to_last_sigma"
        | "sgm_noise_multiplier"
        | "use_old_emphasis_implementation"
        | "use_old_karras_scheduler_sigmas"
        | "use_old_scheduling"
        | "no_dpmpp_sde_batch_determinism"
        | "dont_fix_second_order_samplers_schedule" => any(json!([false])),
        "img2img_background_color" => any(json!(["#ffffff"])),
        "ddim_discretize" => any(json!(["uniform"])),
        "sd_noise_schedule" => any(json!(["Default"])),
        "forge_additional_modules" => any(json!([[]])),
        _ => None,
    }
}

/// Whether both are the same value, however a number is written.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_may_be_set_again() {
        for (name, value) in defaults() {
            check(&name, &value).unwrap();
        }
    }

    #[test]
    fn options_that_change_pictures_are_refused_by_name() {
        for (name, value) in [
            ("sd_vae", json!("other.vae.pt")),
            ("eta_noise_seed_delta", json!(31337)),
            ("randn_source", json!("NV")),
            ("img2img_color_correction", json!(true)),
            (CLIP_SKIP, json!(0)),
            (CLIP_SKIP, json!(13)),
            (CLIP_SKIP, json!("x")),
            (CHECKPOINT, json!(1)),
            ("forge_additional_modules", json!(["ae.safetensors"])),
        ] {
            let refused = format!("{:?}", check(name, &value).unwrap_err());
            assert!(refused.contains(name), "{refused}");
        }
        for (name, value) in [
            (CLIP_SKIP, json!(2.0)),
            ("eta_noise_seed_delta", json!(0.0)),
            ("sd_vae", Value::Null),
            ("forge_additional_modules", json!([])),
            ("outdir_samples", json!("anywhere")),
            ("something else", json!([1, {"a": 2}])),
        ] {
            check(name, &value).unwrap();
        }
    }
}
