//! What a request may ask for that is not done here, and that would change the picture.

use diffusion_engine::SchedulerKind;
use diffusion_jobs::request::Kind;
use serde_json::Value;

use super::refused::{Refused, Result};
use super::request::Asked;

/// Refuses what cannot be done, all of it at once. Fields at their defaults ask for nothing.
///
/// # Errors
/// 422 that names each field.
pub(super) fn check(asked: &Asked, kind: Kind, sampler: SchedulerKind) -> Result<()> {
    let mut found = general(asked);
    found.extend(noise(asked, sampler));
    if kind == Kind::ImageToImage {
        found.extend(of_img2img(asked));
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(Refused::invalid(found.join("; "))),
    }
}

fn general(asked: &Asked) -> Vec<String> {
    let mut found = Vec::new();
    let mut no = |is_asked: bool, text: &str| found.extend(is_asked.then(|| text.to_owned()));
    no(asked.enable_hr, "enable_hr: there is no second pass at a higher resolution");
    no(is_named(asked.refiner_checkpoint.as_deref()), "refiner_checkpoint: there is no refiner");
    no(asked.restore_faces, "restore_faces: faces are not restored");
    no(asked.tiling, "tiling: no images are made that tile");
    no(asked.firstpass_image.is_some(), "firstpass_image: there is no second pass");
    no(
        asked.seed_resize_from_h > 0 && asked.seed_resize_from_w > 0,
        "seed_resize_from_h, seed_resize_from_w: noise is not resized",
    );
    if let Some(script) = asked.script_name.as_deref().filter(|name| is_named(Some(name))) {
        found.push(format!("script_name: Script '{script}' not found"));
    }
    for (name, contents) in &asked.alwayson_scripts {
        if !asks_nothing(asked, name, contents.get("args").unwrap_or(contents)) {
            found.push(format!("alwayson_scripts: always on script {name} not found"));
        }
    }
    for style in asked.styles.iter().filter(|style| is_named(Some(style))) {
        found.push(format!("styles: there is no style {style:?}"));
    }
    if asked.cfg_scale < 1.0 {
        let scale = asked.cfg_scale;
        found.push(format!("cfg_scale: {scale} is less than 1, at which there is no guidance"));
    }
    found
}

/// What samplers take beside their steps. Only what would change this sampler's picture counts.
fn noise(asked: &Asked, sampler: SchedulerKind) -> Vec<String> {
    let mut found = Vec::new();
    let mut only = |field: &str, value: Option<f64>, allowed: f64| {
        if let Some(value) = value.filter(|value| *value != allowed) {
            found.push(format!("{field}: {value} is not possible for this sampler, {allowed} is"));
        }
    };
    if sampler.is_ancestral() {
        only("eta", asked.eta, 1.0);
        only("s_noise", asked.s_noise, 1.0);
    }
    match sampler {
        SchedulerKind::Ddim => only("eta", asked.eta, 0.0),
        SchedulerKind::Euler
        | SchedulerKind::EulerKarras
        | SchedulerKind::Heun
        | SchedulerKind::HeunKarras => only("s_churn", asked.s_churn, 0.0),
        _ => {}
    }
    only("s_min_uncond", asked.s_min_uncond, 0.0);
    found
}

fn of_img2img(asked: &Asked) -> Vec<String> {
    let mut found = Vec::new();
    let mut no = |is_asked: bool, text: &str| found.extend(is_asked.then(|| text.to_owned()));
    no(asked.resize_mode == 3, "resize_mode: 3, resizing the latent, is not done");
    no(
        asked.initial_noise_multiplier.is_some_and(|multiplier| multiplier != 1.0),
        "initial_noise_multiplier: only 1 is possible",
    );
    if asked.mask.is_some() {
        no(asked.latent_mask.is_some(), "latent_mask: only mask is possible");
        no(!asked.mask_round, "mask_round: only true is possible");
        let (x, y) = (asked.mask_blur_x, asked.mask_blur_y);
        no(asked.mask_blur.is_none() && x != y, "mask_blur_x, mask_blur_y: both must be the same");
    } else {
        no(asked.latent_mask.is_some(), "latent_mask: send a mask");
    }
    found
}

/// Whether a name is one: some clients send `None` where they mean nothing.
fn is_named(name: Option<&str>) -> bool {
    name.is_some_and(|name| !name.is_empty() && !name.eq_ignore_ascii_case("none"))
}

/// Whether the arguments of a script ask for nothing that the fields do not. What its arguments mean
/// is known of those that come with the web UI and of those that clients send along switched off.
fn asks_nothing(asked: &Asked, script: &str, arguments: &Value) -> bool {
    let Value::Array(all) = arguments else { return is_inert(arguments) };
    let number = |at: usize, field: f64| {
        all.get(at).is_none_or(|value| value.is_null() || value.as_f64() == Some(field))
    };
    let text = |at: usize, field: Option<&str>| match all.get(at) {
        Some(Value::String(name)) => field.is_some_and(|field| field.eq_ignore_ascii_case(name)),
        value => value.is_none_or(Value::is_null),
    };
    let is_off = |at: usize| all.get(at).and_then(Value::as_bool) == Some(false);
    let known = match &*script.to_ascii_lowercase() {
        "sampler" => {
            let sampler = asked.sampler_name.as_deref().filter(|name| !name.is_empty());
            let schedule = asked.scheduler.as_deref().unwrap_or("Automatic");
            number(0, asked.steps as f64)
                && text(1, Some(sampler.unwrap_or(&asked.sampler_index)))
                && text(2, Some(schedule))
        }
        "seed" => {
            let others = [
                number(2, asked.subseed as f64),
                number(3, asked.subseed_strength),
                number(4, asked.seed_resize_from_w as f64),
                number(5, asked.seed_resize_from_h as f64),
            ];
            number(0, asked.seed as f64) && (is_off(1) || others == [true; 4])
        }
        "refiner" => is_off(0) || !is_named(all.get(1).and_then(Value::as_str)),
        "adetailer" => is_off(0),
        "controlnet" => all.iter().all(|unit| is_inert(unit) || is_switched_off(unit)),
        _ => false,
    };
    known || all.iter().all(is_inert)
}

/// Whether a unit of a script says that it is off.
fn is_switched_off(unit: &Value) -> bool {
    let switch = unit.get("enabled").or_else(|| unit.get("enable"));
    switch == Some(&Value::Bool(false))
}

/// Whether a value asks for nothing, whatever it is for.
fn is_inert(value: &Value) -> bool {
    match value {
        Value::Array(all) => all.is_empty(),
        Value::Object(unit) => unit.is_empty(),
        Value::Bool(on) => !on,
        value => value.is_null(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(body: Value, kind: Kind, sampler: SchedulerKind) -> String {
        let asked = Asked::read(Ok(body.to_string().into()), kind).unwrap();
        check(&asked, kind, sampler).err().map(|error| format!("{error:?}")).unwrap_or_default()
    }

    #[test]
    fn what_changes_the_picture_is_named() {
        for (body, field) in [
            (json!({"enable_hr": true}), "enable_hr"),
            (json!({"refiner_checkpoint": "sdxl-refiner"}), "refiner_checkpoint"),
            (json!({"restore_faces": true}), "restore_faces"),
            (json!({"tiling": true}), "tiling"),
            (json!({"styles": ["Anime"]}), "Anime"),
            (json!({"script_name": "X/Y/Z plot"}), "X/Y/Z plot"),
            (json!({"alwayson_scripts": {"ControlNet": {"args": [{"image": "x"}]}}}), "ControlNet"),
            (json!({"alwayson_scripts": {"ADetailer": {"args": [true, {}]}}}), "ADetailer"),
            (json!({"alwayson_scripts": {"other": {"args": [false, {"a": 1}]}}}), "other"),
            (json!({"alwayson_scripts": {"other": {"args": [0.5]}}}), "other"),
            (json!({"steps": 4, "alwayson_scripts": {"Sampler": {"args": [9]}}}), "Sampler"),
            (json!({"alwayson_scripts": {"Seed": {"args": [-1, true, 3, 0.5]}}}), "Seed"),
            (json!({"alwayson_scripts": {"Refiner": {"args": [true, "a", 0.8]}}}), "Refiner"),
            (json!({"seed_resize_from_h": 64, "seed_resize_from_w": 64}), "seed_resize_from_h"),
            (json!({"cfg_scale": 0.5}), "cfg_scale"),
            (json!({"cfg_scale": -7}), "cfg_scale"),
            (json!({"s_churn": 0.5}), "s_churn"),
            (json!({"s_min_uncond": 1}), "s_min_uncond"),
        ] {
            let error = found(body, Kind::TextToImage, SchedulerKind::Euler);
            assert!(error.contains(field), "{field}: {error}");
        }
        let both = found(
            json!({"tiling": true, "restore_faces": true}),
            Kind::TextToImage,
            SchedulerKind::Euler,
        );
        assert!(both.contains("tiling") && both.contains("restore_faces"), "{both}");
        for (body, field) in [
            (json!({"resize_mode": 3}), "resize_mode"),
            (json!({"initial_noise_multiplier": 0.5}), "initial_noise_multiplier"),
            (json!({"latent_mask": "x"}), "latent_mask"),
            (json!({"mask": "x", "mask_blur_x": 2}), "mask_blur_x"),
            (json!({"mask": "x", "mask_round": false}), "mask_round"),
        ] {
            let error = found(body, Kind::ImageToImage, SchedulerKind::Euler);
            assert!(error.contains(field), "{field}: {error}");
        }
    }

    #[test]
    fn what_clients_send_along_trips_nothing() {
        let client = json!({
            "hr_scale": 2, "hr_upscaler": "Latent", "hr_prompt": "", "firstphase_width": 0,
            "denoising_strength": 0.7, "styles": ["", "None"], "seed_resize_from_h": 0,
            "seed_resize_from_w": 0, "eta": 1.0, "s_churn": 0, "s_tmax": 0, "s_tmin": 0,
            "s_noise": 1, "script_name": null, "script_args": [], "refiner_checkpoint": "None",
            "alwayson_scripts": {
                "ControlNet": {"args": [{"enabled": false, "model": "None"}]},
                "ADetailer": {"args": [false, true, {}]}, "other": {"args": [false, null, []]},
                "Sampler": {"args": [50, "Euler", "Automatic"]}, "Seed": {"args": [-1, false, 3]},
                "Refiner": {"args": [false, "", 0.8]}
            },
            "cfg_scale": 1
        });
        for sampler in [SchedulerKind::EulerAncestral, SchedulerKind::DpmPp2mKarras] {
            assert_eq!(found(client.clone(), Kind::TextToImage, sampler), "");
        }
        // That tool's DDIM has no noise of its own.
        assert!(found(client, Kind::TextToImage, SchedulerKind::Ddim).contains("eta"));
        let unmasked = json!({"mask_round": false, "mask_blur_x": 2, "latent_mask": null});
        assert_eq!(found(unmasked, Kind::ImageToImage, SchedulerKind::Euler), "");
    }
}
