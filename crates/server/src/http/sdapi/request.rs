//! What `txt2img` and `img2img` are asked with: every field of that tool, with its default.

use axum::body::Bytes;
use diffusion_jobs::request::Kind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::{Body, number, object, picture, read, some_number, truth, whole};
use super::pasted;
use super::refused::{Refused, Result};

/// What to make; every field may be left out, and unknown ones are ignored
///
/// Fields that would change the picture in ways that are not offered here are refused by name;
/// those that would not are ignored.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = SdGeneration, example = json!({
    "prompt": "cat dancing in (rain:1.2)",
    "negative_prompt": "blurry",
    "seed": 7,
    "steps": 20,
    "sampler_name": "DPM++ 2M",
    "scheduler": "Karras",
    "width": 128,
    "height": 128
}))]
pub(super) struct Asked {
    /// With weights, schedules and `BREAK`, as that tool reads them
    pub(super) prompt: String,
    pub(super) negative_prompt: String,
    pub(super) styles: Vec<String>,
    /// Of the first image; the following have the following ones. −1 draws one
    #[serde(deserialize_with = "whole")]
    pub(super) seed: i64,
    /// Seed of the noise that is mixed in. −1 draws one
    #[serde(deserialize_with = "whole")]
    pub(super) subseed: i64,
    /// Its part, 0 to 1; above 0 `seed` is that of all images, and `subseed` counts up instead
    #[serde(deserialize_with = "number")]
    pub(super) subseed_strength: f64,
    #[serde(deserialize_with = "whole")]
    pub(super) seed_resize_from_h: i64,
    #[serde(deserialize_with = "whole")]
    pub(super) seed_resize_from_w: i64,
    /// As `/sdapi/v1/samplers` lists them
    pub(super) sampler_name: Option<String>,
    /// As `/sdapi/v1/schedulers` lists them
    pub(super) scheduler: Option<String>,
    #[serde(deserialize_with = "whole")]
    pub(super) batch_size: i64,
    /// Batches: there are `batch_size` times as many images
    #[serde(deserialize_with = "whole")]
    pub(super) n_iter: i64,
    #[serde(deserialize_with = "whole")]
    pub(super) steps: i64,
    /// 1 is no guidance, and the least
    #[serde(deserialize_with = "number")]
    pub(super) cfg_scale: f64,
    /// Rounded down to a multiple of 8
    #[serde(deserialize_with = "whole")]
    pub(super) width: i64,
    /// Rounded down to a multiple of 8
    #[serde(deserialize_with = "whole")]
    pub(super) height: i64,
    #[serde(deserialize_with = "truth")]
    pub(super) restore_faces: bool,
    #[serde(deserialize_with = "truth")]
    pub(super) tiling: bool,
    #[serde(deserialize_with = "truth")]
    pub(super) do_not_save_samples: bool,
    #[serde(deserialize_with = "truth")]
    pub(super) do_not_save_grid: bool,
    #[serde(deserialize_with = "some_number")]
    pub(super) eta: Option<f64>,
    #[serde(deserialize_with = "number")]
    pub(super) denoising_strength: f64,
    #[serde(deserialize_with = "some_number")]
    pub(super) s_min_uncond: Option<f64>,
    #[serde(deserialize_with = "some_number")]
    pub(super) s_churn: Option<f64>,
    #[serde(deserialize_with = "some_number")]
    pub(super) s_tmax: Option<f64>,
    #[serde(deserialize_with = "some_number")]
    pub(super) s_tmin: Option<f64>,
    #[serde(deserialize_with = "some_number")]
    pub(super) s_noise: Option<f64>,
    /// Options for this call, as in `/sdapi/v1/options`
    #[schema(value_type = Object)]
    pub(super) override_settings: Map<String, Value>,
    /// Otherwise `override_settings` stay
    #[serde(deserialize_with = "truth")]
    pub(super) override_settings_restore_afterwards: bool,
    pub(super) refiner_checkpoint: Option<String>,
    #[serde(deserialize_with = "some_number")]
    pub(super) refiner_switch_at: Option<f64>,
    #[serde(deserialize_with = "truth")]
    pub(super) disable_extra_networks: bool,
    pub(super) firstpass_image: Option<String>,
    #[serde(deserialize_with = "truth")]
    pub(super) enable_hr: bool,
    #[serde(deserialize_with = "number")]
    pub(super) hr_scale: f64,
    pub(super) hr_upscaler: Option<String>,
    /// A list of pictures of which there may be one, in base64 or as data URLs
    pub(super) init_images: Vec<String>,
    /// 0 stretches, 1 crops, 2 fills
    #[serde(deserialize_with = "whole")]
    pub(super) resize_mode: i64,
    /// White is repainted; in base64 or as a data URL; an empty text is none
    pub(super) mask: Option<String>,
    pub(super) latent_mask: Option<String>,
    /// In pixels; in place of both others
    #[serde(deserialize_with = "some_number")]
    pub(super) mask_blur: Option<f64>,
    #[serde(deserialize_with = "number")]
    pub(super) mask_blur_x: f64,
    #[serde(deserialize_with = "number")]
    pub(super) mask_blur_y: f64,
    #[serde(deserialize_with = "truth")]
    pub(super) mask_round: bool,
    /// 0 the colours around, 1 what is there, 2 noise, 3 an empty latent
    #[serde(deserialize_with = "whole")]
    pub(super) inpainting_fill: i64,
    /// Whether the masked part alone is painted, at the full size
    #[serde(deserialize_with = "truth")]
    pub(super) inpaint_full_res: bool,
    /// Pixels around the part
    #[serde(deserialize_with = "whole")]
    pub(super) inpaint_full_res_padding: i64,
    /// 1 repaints what the mask leaves out
    #[serde(deserialize_with = "whole")]
    pub(super) inpainting_mask_invert: i64,
    #[serde(deserialize_with = "some_number")]
    pub(super) image_cfg_scale: Option<f64>,
    #[serde(deserialize_with = "some_number")]
    pub(super) initial_noise_multiplier: Option<f64>,
    /// Whether the answer repeats the pictures
    #[serde(deserialize_with = "truth")]
    pub(super) include_init_images: bool,
    /// Where there is no `sampler_name`
    pub(super) sampler_index: String,
    pub(super) script_name: Option<String>,
    #[schema(value_type = Vec<Object>)]
    pub(super) script_args: Vec<Value>,
    /// Whether the answer has the images
    #[serde(deserialize_with = "truth")]
    pub(super) send_images: bool,
    /// Ignored: images are kept for as long as this server is configured to keep them
    #[serde(deserialize_with = "truth")]
    pub(super) save_images: bool,
    #[schema(value_type = Object)]
    pub(super) alwayson_scripts: Map<String, Value>,
    /// What `/internal/progress` knows the call by
    pub(super) force_task_id: Option<String>,
    /// The parameters of another image: they stand in for fields that are not given
    pub(super) infotext: Option<String>,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            negative_prompt: String::new(),
            styles: Vec::new(),
            seed: -1,
            subseed: -1,
            subseed_strength: 0.0,
            seed_resize_from_h: -1,
            seed_resize_from_w: -1,
            sampler_name: None,
            scheduler: None,
            batch_size: 1,
            n_iter: 1,
            steps: 50,
            cfg_scale: 7.0,
            width: 512,
            height: 512,
            restore_faces: false,
            tiling: false,
            do_not_save_samples: false,
            do_not_save_grid: false,
            eta: None,
            denoising_strength: 0.75,
            s_min_uncond: None,
            s_churn: None,
            s_tmax: None,
            s_tmin: None,
            s_noise: None,
            override_settings: Map::new(),
            override_settings_restore_afterwards: true,
            refiner_checkpoint: None,
            refiner_switch_at: None,
            disable_extra_networks: false,
            firstpass_image: None,
            enable_hr: false,
            hr_scale: 2.0,
            hr_upscaler: None,
            init_images: Vec::new(),
            resize_mode: 0,
            mask: None,
            latent_mask: None,
            mask_blur: None,
            mask_blur_x: 4.0,
            mask_blur_y: 4.0,
            mask_round: true,
            inpainting_fill: 0,
            inpaint_full_res: true,
            inpaint_full_res_padding: 0,
            inpainting_mask_invert: 0,
            image_cfg_scale: None,
            initial_noise_multiplier: None,
            include_init_images: false,
            sampler_index: "Euler".into(),
            script_name: None,
            script_args: Vec::new(),
            send_images: true,
            save_images: false,
            alwayson_scripts: Map::new(),
            force_task_id: None,
            infotext: None,
        }
    }
}

/// Fields that `txt2img` alone has.
const OF_TXT2IMG: [&str; 4] = ["enable_hr", "hr_scale", "hr_upscaler", "firstpass_image"];

/// Fields that `img2img` alone has.
const OF_IMG2IMG: [&str; 16] = [
    "init_images",
    "resize_mode",
    "mask",
    "latent_mask",
    "mask_blur",
    "mask_blur_x",
    "mask_blur_y",
    "mask_round",
    "inpainting_fill",
    "inpaint_full_res",
    "inpaint_full_res_padding",
    "inpainting_mask_invert",
    "image_cfg_scale",
    "initial_noise_multiplier",
    "include_init_images",
    "comments",
];

impl Asked {
    /// Reads a request. What its `infotext` says stands in for what it does not.
    ///
    /// # Errors
    /// 400 and 422, with the field that is wrong.
    pub(super) fn read(body: Body, kind: Kind) -> Result<Self> {
        let mut fields = object(body)?;
        let text = fields.get("infotext").and_then(Value::as_str).map(ToOwned::to_owned);
        if let Some(text) = text.filter(|text| !text.trim().is_empty()) {
            pasted::stand_in(&mut fields, &text);
        }
        // What belongs to the other route is unknown to this one.
        for other in Self::others(kind) {
            fields.remove(*other);
        }
        let mut asked: Self = read(fields)?;
        asked.mask.take_if(|mask| mask.is_empty());
        Ok(asked)
    }

    fn others(kind: Kind) -> &'static [&'static str] {
        if kind == Kind::ImageToImage { &OF_TXT2IMG } else { &OF_IMG2IMG }
    }

    /// The picture to start from.
    ///
    /// # Errors
    /// 404 without one, as that tool has it; 422.
    pub(super) fn init_image(&self) -> Result<Bytes> {
        match &self.init_images[..] {
            [] => Err(Refused::not_found("Init image not found")),
            [image] => picture(image).map_err(|why| Refused::field("init_images[0]", why)),
            _ => Err(Refused::field("init_images", "one picture a call is possible")),
        }
    }

    /// The request as its answer repeats it: with every default, and without its pictures.
    pub(super) fn repeated(mut self, kind: Kind) -> Value {
        let keep = self.include_init_images;
        if !keep {
            self.mask = None;
        }
        let mut repeated = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(fields) = &mut repeated {
            for other in Self::others(kind) {
                fields.remove(*other);
            }
            fields.remove("include_init_images");
            if !keep && kind == Kind::ImageToImage {
                fields.insert("init_images".into(), Value::Null);
            }
        }
        repeated
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn asked(kind: Kind, body: &Value) -> Result<Asked> {
        Asked::read(Ok(body.to_string().into()), kind)
    }

    #[test]
    fn no_field_is_required_and_null_is_a_default() {
        let repeated = |body| asked(Kind::TextToImage, &body).unwrap().repeated(Kind::TextToImage);
        let plain = repeated(json!({}));
        for (name, value) in [
            ("prompt", json!("")),
            ("steps", json!(50)),
            ("cfg_scale", json!(7.0)),
            ("width", json!(512)),
            ("seed", json!(-1)),
            ("sampler_index", json!("Euler")),
            ("sampler_name", Value::Null),
            ("denoising_strength", json!(0.75)),
        ] {
            assert_eq!(plain[name], value, "{name}");
        }
        let nulls: Map<String, Value> =
            plain.as_object().unwrap().keys().map(|name| (name.clone(), Value::Null)).collect();
        assert_eq!(repeated(Value::Object(nulls)), plain);
        assert_eq!(repeated(plain.clone()), plain, "what was repeated can be sent again");
        assert!(plain.get("init_images").is_none());
    }

    #[test]
    fn pictures_are_repeated_where_that_is_asked() {
        let body = json!({"init_images": ["YWI="], "mask": "YWI="});
        let of =
            |body: &Value| asked(Kind::ImageToImage, body).unwrap().repeated(Kind::ImageToImage);
        assert_eq!((&of(&body)["init_images"], &of(&body)["mask"]), (&Value::Null, &Value::Null));
        let mut kept = body.clone();
        kept["include_init_images"] = json!(true);
        assert_eq!(of(&kept)["init_images"], body["init_images"]);
        assert_eq!(of(&kept)["mask"], body["mask"]);
        kept["mask"] = json!("");
        assert_eq!(of(&kept)["mask"], Value::Null, "an empty one is none");
    }

    #[test]
    fn one_picture_is_needed() {
        let of = |images: Value| {
            asked(Kind::ImageToImage, &json!({"init_images": images})).unwrap().init_image()
        };
        assert_eq!(of(json!(["YWI="])).unwrap(), "ab");
        for wrong in [json!([]), json!(null), json!(["!"]), json!(["YWI=", "YWI="])] {
            assert!(of(wrong.clone()).is_err(), "{wrong}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
            Just(json!([])),
            Just(json!({"a": [1]})),
        ]
    }

    proptest! {
        #[test]
        fn any_values_are_read_or_refused(
            field in 0_usize..64,
            (first, second) in (value(), value()),
            img2img in any::<bool>(),
        ) {
            let kind = if img2img { Kind::ImageToImage } else { Kind::TextToImage };
            let all = serde_json::to_value(Asked::default()).unwrap();
            let names: Vec<&String> = all.as_object().unwrap().keys().collect();
            let name = names[field % names.len()];
            if let Ok(asked) = asked(kind, &json!({name: first, "seed": second})) {
                let _ = asked.init_image();
                let repeated = asked.repeated(kind);
                prop_assert!(Asked::read(Ok(repeated.to_string().into()), kind).is_ok());
            }
        }
    }
}
