//! From this dialect to a request for a job.

use diffusion_engine::SchedulerKind;
use diffusion_jobs::Request;
use diffusion_jobs::request::{Dialect, Fill, Inpaint, Input, Kind, Mask, Resize, Syntax};

use super::body::picture;
use super::refused::{Refused, Result};
use super::request::Asked;
use super::unsupported;
use crate::batch::random_seed;
use crate::samplers;

/// The longest side of any image, in pixels.
const MAX_SIDE: u32 = 8192;
/// Sides are rounded down to a multiple of this, as that tool rounds them.
const MULTIPLE: i64 = 8;

/// What the options in force say of a call.
#[derive(Debug, Default)]
pub(super) struct InForce {
    /// The model's name.
    pub(super) model: Option<String>,
    /// As [`Request::clip_skip`].
    pub(super) clip_skip: Option<u32>,
}

/// The request for a job that is asked for.
///
/// # Errors
/// 400 for an unknown sampler; 404 without a picture to start from; 422 for what cannot be done.
pub(super) fn request(asked: &Asked, kind: Kind, options: &InForce) -> Result<Request> {
    let sampler = sampler(asked)?;
    unsupported::check(asked, kind, sampler)?;
    let steps = u32::try_from(asked.steps).ok().filter(|steps| *steps > 0);
    let steps = steps.ok_or_else(|| {
        Refused::field("steps", format!("{}: a whole number from 1 is needed", asked.steps))
    })?;
    let (seed, variation) = seeds(asked)?;
    let mut request = Request {
        negative_prompt: asked.negative_prompt.clone(),
        models: options.model.iter().cloned().collect(),
        steps: Some(steps),
        guidance: Some(asked.cfg_scale),
        scheduler: Some(sampler.name().into()),
        width: Some(side("width", asked.width)?),
        height: Some(side("height", asked.height)?),
        seed: Some(seed),
        count: count(asked)?,
        syntax: Syntax::A1111,
        clip_skip: options.clip_skip,
        variation,
        dialect: Dialect::A1111,
        label: asked.force_task_id.clone(),
        ..Request::new(kind, vec![asked.prompt.clone()])
    };
    if kind == Kind::ImageToImage {
        request.inputs = vec![Input::Data(asked.init_image()?)];
        request.strength = Some(strength(asked.denoising_strength, steps));
        request.resize = match asked.resize_mode {
            0 => Resize::Stretch,
            1 => Resize::Crop,
            2 => Resize::Pad,
            mode => return Err(Refused::field("resize_mode", format!("{mode} is not 0, 1 or 2"))),
        };
        request.mask = mask(asked)?;
    }
    Ok(request)
}

/// The sampler that is asked for, by either name, with its schedule.
fn sampler(asked: &Asked) -> Result<SchedulerKind> {
    let name = asked.sampler_name.as_deref().filter(|name| !name.is_empty());
    samplers::parse(name.unwrap_or(&asked.sampler_index), asked.scheduler.as_deref())
        .map_err(|unknown| Refused::bad_request(format!("Sampler not found: {unknown}")))
}

fn side(field: &str, pixels: i64) -> Result<u32> {
    let rounded = u32::try_from(pixels / MULTIPLE * MULTIPLE).ok();
    let rounded = rounded.filter(|side| (1..=MAX_SIDE).contains(side));
    rounded.ok_or_else(|| {
        Refused::field(field, {
            format!("{pixels} pixels are no side of an image: {MULTIPLE} to {MAX_SIDE} are")
        })
    })
}

fn count(asked: &Asked) -> Result<u32> {
    for (field, number) in [("batch_size", asked.batch_size), ("n_iter", asked.n_iter)] {
        if number < 1 {
            return Err(Refused::field(field, format!("{number}: at least 1 is needed")));
        }
    }
    let count = asked.batch_size.saturating_mul(asked.n_iter);
    u32::try_from(count).map_err(|_| {
        let (each, times) = (asked.batch_size, asked.n_iter);
        Refused::field("n_iter times batch_size", format!("{times} times {each} are too many"))
    })
}

/// Seed, and the noise that is mixed in.
fn seeds(asked: &Asked) -> Result<(u64, Option<(u64, f64)>)> {
    let one = |field, seed: i64| match seed {
        -1 => Ok(u64::from(random_seed())),
        seed => u64::try_from(seed)
            .map_err(|_| Refused::field(field, format!("{seed} is neither -1 nor above"))),
    };
    let seed = one("seed", asked.seed)?;
    let variation = match asked.subseed_strength {
        0.0 => None,
        strength => Some((one("subseed", asked.subseed)?, strength)),
    };
    Ok((seed, variation))
}

/// That tool runs the last step even of a strength that leaves none.
fn strength(asked: f64, steps: u32) -> f64 {
    let steps = f64::from(steps.max(1));
    if !(0.0..1.0).contains(&(asked * steps)) {
        return asked;
    }
    let least = 1.0 / steps;
    if steps * least < 1.0 { least.next_up() } else { least }
}

fn mask(asked: &Asked) -> Result<Option<Mask>> {
    let Some(mask) = &asked.mask else { return Ok(None) };
    let data = picture(mask).map_err(|why| Refused::field("mask", why))?;
    let fill = match asked.inpainting_fill {
        0 => Fill::Surround,
        1 => Fill::Original,
        2 => Fill::LatentNoise,
        3 => Fill::LatentNothing,
        fill => {
            return Err(Refused::field("inpainting_fill", format!("{fill} is not from 0 to 3")));
        }
    };
    let padding = u32::try_from(asked.inpaint_full_res_padding).map_err(|_| {
        let padding = asked.inpaint_full_res_padding;
        Refused::field("inpaint_full_res_padding", format!("{padding} is no number of pixels"))
    })?;
    let inpaint = Inpaint {
        invert: asked.inpainting_mask_invert != 0,
        blur: asked.mask_blur.unwrap_or(asked.mask_blur_x),
        fill,
        only_masked: asked.inpaint_full_res.then_some(padding),
    };
    Ok(Some(Mask { picture: Input::Data(data), inpaint }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn of(kind: Kind, body: &Value) -> Result<Request> {
        let asked = Asked::read(Ok(body.to_string().into()), kind)?;
        request(&asked, kind, &InForce::default())
    }

    fn txt2img(body: Value) -> Request {
        of(Kind::TextToImage, &body).unwrap()
    }

    fn img2img(mut body: Value) -> Request {
        body["init_images"] = json!(["YWI="]);
        of(Kind::ImageToImage, &body).unwrap()
    }

    #[test]
    fn defaults_are_that_tools() {
        let request = txt2img(json!({}));
        assert_eq!(request.prompts, [""]);
        assert_eq!((request.steps, request.guidance), (Some(50), Some(7.0)));
        assert_eq!((request.width, request.height), (Some(512), Some(512)));
        assert_eq!(request.scheduler.as_deref(), Some("euler"));
        assert_eq!((request.count, request.variation), (1, None));
        assert_eq!((request.syntax, request.dialect), (Syntax::A1111, Dialect::A1111));
        assert!(request.seed.is_some(), "the answer tells it");
        request.check().unwrap();

        let request = img2img(json!({}));
        assert_eq!((request.strength, request.resize), (Some(0.75), Resize::Stretch));
        assert_eq!(request.mask, None);
        request.check().unwrap();
    }

    #[test]
    fn values_are_taken_over() {
        let request = txt2img(json!({
            "seed": 9, "subseed": 4, "subseed_strength": 0.5, "batch_size": 2, "n_iter": 3,
            "width": 519, "height": 100, "sampler_name": "DPM++ 2M", "scheduler": "Karras",
            "force_task_id": "task(1)"
        }));
        assert_eq!((request.seed, request.variation), (Some(9), Some((4, 0.5))));
        assert_eq!((request.width, request.height, request.count), (Some(512), Some(96), 6));
        assert_eq!(request.scheduler.as_deref(), Some("dpmpp-2m-karras"));
        assert_eq!(request.label.as_deref(), Some("task(1)"));
        let request = txt2img(json!({"sampler_index": "Euler a", "sampler_name": ""}));
        assert_eq!(request.scheduler.as_deref(), Some("euler-a"));
    }

    #[test]
    fn masks_are_taken_over() {
        let inpaint = |body| {
            let mut with = json!({"mask": "YWI="});
            with.as_object_mut().unwrap().extend(Value::as_object(&body).unwrap().clone());
            img2img(with).mask.unwrap().inpaint
        };
        let default =
            Inpaint { invert: false, blur: 4.0, fill: Fill::Surround, only_masked: Some(0) };
        assert_eq!(inpaint(json!({})), default);
        let asked = json!({
            "mask_blur": 0, "inpainting_fill": 2, "inpaint_full_res": 0,
            "inpaint_full_res_padding": 32, "inpainting_mask_invert": 1
        });
        let all = Inpaint { invert: true, blur: 0.0, fill: Fill::LatentNoise, only_masked: None };
        assert_eq!(inpaint(asked), all);
        assert_eq!(inpaint(json!({"inpaint_full_res_padding": 32})).only_masked, Some(32));
        assert_eq!(img2img(json!({"resize_mode": 2})).resize, Resize::Pad);
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (body, field) in [
            (json!({"sampler_name": "none such"}), "Sampler not found"),
            (json!({"seed": -2}), "seed: -2"),
            (json!({"steps": -1}), "steps: -1"),
            (json!({"width": 999_999_999}), "width: 999999999"),
            (json!({"width": 7}), "width"),
            (json!({"height": -8}), "height"),
            (json!({"width": 1e12}), "width"),
            (json!({"batch_size": 0}), "batch_size"),
            (json!({"n_iter": -1}), "n_iter"),
            (json!({"resize_mode": 4}), "resize_mode"),
            (json!({"mask": "YWI=", "inpainting_fill": 4}), "inpainting_fill"),
            (json!({"mask": "YWI=", "inpaint_full_res_padding": -1}), "inpaint_full_res_padding"),
            (json!({"mask": "!"}), "mask"),
        ] {
            let mut body = body;
            body["init_images"] = json!(["YWI="]);
            let error = format!("{:?}", of(Kind::ImageToImage, &body).unwrap_err());
            assert!(error.contains(field), "{field}: {error}");
        }
    }

    proptest! {
        #[test]
        fn the_last_step_is_always_run(asked in 0.0..=1.0, steps in 1_u32..=1000) {
            let strength = strength(asked, steps);
            let run = (f64::from(steps) * strength) as u32;
            prop_assert!(run >= 1 && strength <= 1.0);
            prop_assert!(strength == asked || run == 1);
        }
    }
}
