//! The options that clients read and set, and what each may be here.
//!
//! An option that changes pictures or what answers hold may be set to what this server does and to
//! nothing else. One that is known to change none is kept as it is given. Any other is refused: it
//! might.

use serde_json::{Map, Value, json};

use super::refused::{Refused, Result};
use crate::encode::Format;

/// The model of the calls that name none: a title, a name, a hash or a file's name.
pub(super) const CHECKPOINT: &str = "sd_model_checkpoint";
/// Which of the text encoder's layers conditions, counted from its last, 1.
pub(super) const CLIP_SKIP: &str = "CLIP_stop_at_last_layers";
/// Follows the model, and is never set.
pub(super) const CHECKPOINT_HASH: &str = "sd_checkpoint_hash";

/// The format of the files in answers.
pub(super) const FORMAT: &str = "samples_format";
/// Whether they say how they were made.
pub(super) const TEXTS: &str = "enable_pnginfo";
/// The quality of those with loss, to 100.
pub(super) const QUALITY: &str = "jpeg_quality";
/// That quality where none is set.
pub(super) const DEFAULT_QUALITY: u8 = 80;

/// The most layers that a text encoder may be cut short by.
const MOST_LAYERS: i64 = 12;

/// What is told of an option that was never set.
pub(super) fn defaults() -> Map<String, Value> {
    let defaults = [
        ("samples_save", json!(true)),
        (FORMAT, json!("png")),
        ("samples_filename_pattern", json!("")),
        ("save_images_add_number", json!(true)),
        ("save_images_replace_action", json!("Replace")),
        ("grid_save", json!(false)),
        ("grid_format", json!("png")),
        ("grid_only_if_multiple", json!(true)),
        ("return_grid", json!(false)),
        ("return_mask", json!(false)),
        ("return_mask_composite", json!(false)),
        (TEXTS, json!(true)),
        (QUALITY, json!(DEFAULT_QUALITY)),
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
    if value.is_null() {
        return Ok(());
    }
    let needed = match name {
        CHECKPOINT if !value.is_string() => "the title of a model is needed".into(),
        CLIP_SKIP if layers(value).is_none() => {
            format!("a whole number from 1 to {MOST_LAYERS} is needed")
        }
        FORMAT if format(value).is_none() => "png, jpg, jpeg or webp is needed".into(),
        QUALITY if quality(value).is_none() => "a whole number from 1 to 100 is needed".into(),
        TEXTS if !value.is_boolean() => "true or false is needed".into(),
        CHECKPOINT | CLIP_SKIP | FORMAT | QUALITY | TEXTS => return Ok(()),
        name => match may_be(name) {
            Some(allowed) if allowed.iter().any(|one| same(one, value)) => return Ok(()),
            Some(allowed) => {
                let allowed: Vec<String> = allowed.iter().map(Value::to_string).collect();
                format!("it changes the answer, and can only be {} here", allowed.join(" or "))
            }
            None if changes_nothing(name) => return Ok(()),
            None => "this option is not known here, and may change pictures: leave it out".into(),
        },
    };
    Err(Refused::field(name, format!("{value}: {needed}")))
}

/// Which format is asked for, if this is one.
pub(super) fn format(value: &Value) -> Option<Format> {
    value.as_str().and_then(Format::named)
}

/// Which quality is asked for, if this is one.
pub(super) fn quality(value: &Value) -> Option<u8> {
    let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
    (1.0..=100.0).contains(&number).then_some(number as u8)
}

/// Which layer is asked for, if this is one.
pub(super) fn layers(value: &Value) -> Option<u32> {
    let number = value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0).then_some(number as i64)
    })?;
    u32::try_from(number).ok().filter(|_| (1..=MOST_LAYERS).contains(&number))
}

/// What an option that changes pictures, or what answers hold, may be: what it is by default where
/// such tools have it.
fn may_be(name: &str) -> Option<Vec<Value>> {
    let any = |values: Value| values.as_array().cloned();
    match name {
        "sd_vae" => any(json!(["Automatic", "None", "", "auto"])),
        "sd_unet" => any(json!(["None", "Automatic", ""])),
        "sd_lora" | "sd_hypernetwork" | "upscaler_for_img2img" => any(json!(["None", ""])),
        // All noise is drawn as PyTorch draws it on a CPU, where "GPU" means the same.
        "randn_source" => any(json!(["CPU", "GPU"])),
        "emphasis" => any(json!(["Original"])),
        "enable_emphasis"
        | "enable_batch_seeds"
        | "overlay_inpaint"
        | "uni_pc_lower_order_final"
        | "add_model_hash_to_info"
        | "add_model_name_to_info"
        | "add_version_to_infotext" => any(json!([true])),
        "comma_padding_backtrack" => any(json!([20])),
        "uni_pc_order" => any(json!([3])),
        "uni_pc_variant" => any(json!(["bh1"])),
        "uni_pc_skip_type" => any(json!(["time_uniform"])),
        "beta_dist_alpha" | "beta_dist_beta" => any(json!([0.6])),
        "sdxl_refiner_low_aesthetic_score" => any(json!([2.5])),
        "sdxl_refiner_high_aesthetic_score" => any(json!([6])),
        "sd_vae_encode_method" | "sd_vae_decode_method" => any(json!(["Full"])),
        "eta_ancestral" | "s_noise" | "initial_noise_multiplier" | "inpainting_mask_weight" => {
            any(json!([1]))
        }
        "eta_ddim"
        | "eta_noise_seed_delta"
        | "s_churn"
        | "s_min_uncond"
        | "s_tmin"
        | "s_tmax"
        | "sigma_min"
        | "sigma_max"
        | "rho"
        | "skip_early_cond"
        | "img2img_extra_noise"
        | "sdxl_crop_top"
        | "sdxl_crop_left"
        | "token_merging_ratio"
        | "token_merging_ratio_img2img"
        | "token_merging_ratio_hr" => any(json!([0])),
        "s_min_uncond_all"
        | "pad_cond_uncond"
        | "pad_cond_uncond_v0"
        | "hypertile_enable_unet"
        | "hypertile_enable_unet_secondpass"
        | "hypertile_enable_vae"
        | "cache_fp16_weight"
        | "use_downcasted_alpha_bar"
        | "refiner_switch_by_sample_steps"
        | "sdxl_clip_l_skip"
        | "webp_lossless"
        | "return_mask"
        | "return_mask_composite"
        | "img2img_color_correction"
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
        "fp8_storage" => any(json!(["Disable"])),
        "k_sched_type" | "forge_unet_storage_dtype" => any(json!(["Automatic"])),
        "img2img_background_color" => any(json!(["#ffffff"])),
        "ddim_discretize" => any(json!(["uniform"])),
        "sd_noise_schedule" => any(json!(["Default"])),
        "forge_additional_modules" => any(json!([[]])),
        _ => None,
    }
}

/// How the names of whole families of options begin that change no picture here: where files lie,
/// what a page looks like, and how what is refused would be done.
const FAMILIES: [&str; 47] = [
    "CLIP_interrogate_",
    "DAT_",
    "ESRGAN_",
    "SCUNET_",
    "SWIN_",
    "api_",
    "auto_launch_",
    "canvas_",
    "control_net_",
    "dat_",
    "dataset_",
    "deepbooru_",
    "directories_",
    "export_",
    "extra_networks_",
    "extra_options_",
    "forge_inference_",
    "gallery_",
    "gradio_",
    "grid_",
    "hidden_",
    "hires_fix_",
    "hypertile_",
    "img2img_editor_",
    "img2img_inpaint_",
    "img2img_settings_",
    "img2img_sketch_",
    "infotext_",
    "interrogate_",
    "js_",
    "keyedit_",
    "ldsr_",
    "lightbox_",
    "live_preview",
    "lora_",
    "notification_",
    "outdir_",
    "postprocessing_",
    "profiling_",
    "quicksettings",
    "realesrgan_",
    "save_",
    "show_",
    "textual_inversion_",
    "training_",
    "txt2img_settings_",
    "ui_",
];

/// Other options that change no picture here.
const IDLE: [&str; 68] = [
    "add_user_name_to_info",
    "add_vae_hash_to_info",
    "add_vae_name_to_info",
    "auto_backcompat",
    "auto_vae_precision",
    "auto_vae_precision_bfloat16",
    "batch_cond_uncond",
    "clean_temp_dir_at_start",
    "code_former_weight",
    "compact_prompt_box",
    "cross_attention_optimization",
    "custom_hypernet_layer_structure",
    "dimensions_and_batch_together",
    "disable_all_extensions",
    "disable_mmap_load_safetensors",
    "disable_token_counters",
    "disable_weights_auto_swap",
    "disabled_extensions",
    "do_not_show_images",
    "dump_stacks_on_signal",
    "enable_console_prompts",
    "enable_reloading_ui_scripts",
    "enable_upscale_progressbar",
    "face_restoration_model",
    "face_restoration_unload",
    "font",
    "hide_ldm_prints",
    "hide_samplers",
    "img2img_batch_show_results_limit",
    "img2img_batch_use_original_name",
    "img_downscale_threshold",
    "img_max_size_mp",
    "include_styles_into_token_counters",
    "interrupt_after_current",
    "list_hidden_files",
    "localization",
    "memmon_poll_rate",
    "multiple_tqdm",
    "n_rows",
    "open_dir_button_choice",
    "persistent_cond_cache",
    "pin_memory",
    "prevent_screen_sleep_during_generation",
    "print_hypernet_extra",
    "restore_config_state_file",
    "return_grid",
    "samplers_in_dropdown",
    "samples_filename_pattern",
    "samples_log_stdout",
    "samples_save",
    "sd_checkpoint_cache",
    "sd_checkpoint_dropdown_use_short",
    "sd_checkpoints_keep_in_cpu",
    "sd_checkpoints_limit",
    "sd_vae_checkpoint_cache",
    "sd_vae_explanation",
    "sd_vae_overrides_per_model_preferences",
    "send_seed",
    "send_size",
    "set_scale_by_when_changing_upscaler",
    "target_side_length",
    "temp_dir",
    "unload_models_when_training",
    "upcast_attn",
    "upscaling_max_images_in_cache",
    "use_original_name_batch",
    "use_save_to_dirs_for_ui",
    "use_upscaler_name_as_suffix",
];

fn changes_nothing(name: &str) -> bool {
    IDLE.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
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
            ("sigma_max", json!(20)),
            ("rho", json!(5)),
            ("uni_pc_order", json!(2)),
            ("s_min_uncond_all", json!(true)),
            ("hypertile_enable_unet", json!(true)),
            ("fp8_storage", json!("Enable")),
            ("k_sched_type", json!("karras")),
            ("sgm_noise_multiplier", json!(true)),
            ("webp_lossless", json!(true)),
            ("samples_format", json!("gif")),
            ("enable_pnginfo", json!("no")),
            ("jpeg_quality", json!(0)),
            ("something else", json!([1, {"a": 2}])),
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
            ("fp8_storage", json!("Disable")),
            ("uni_pc_order", json!(3.0)),
            ("sigma_max", json!(0)),
            ("samples_format", json!("JPG")),
            ("enable_pnginfo", json!(false)),
            ("jpeg_quality", json!(95)),
            ("hypertile_swap_size_unet", json!(3)),
            ("something else", Value::Null),
        ] {
            check(name, &value).unwrap();
        }
    }
}
