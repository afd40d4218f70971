//! Inpainting by masked latents against diffusers, and as part of a sample that is a value.

#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::OnceLock;

use diffusion_engine::images::{GrayImage, RgbImage};
use diffusion_engine::{
    Error, Initial, MaskedStart, Model, Options, Plan, Runtime, Sample, SchedulerKind, Source,
    TextOptions, generate,
};
use folder::Folder;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

#[path = "support/folder.rs"]
#[allow(dead_code)]
mod folder;
mod support;

use support::{Goldens, assert_close, assert_images_close, goldens};

#[derive(Deserialize)]
struct Cases {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    model: String,
    scheduler: String,
    steps: usize,
    strength: f64,
    guidance: f64,
    prompt: String,
    negative_prompt: Option<String>,
    seed: u64,
    width: u32,
    height: u32,
    init: String,
    mask: String,
}

impl Case {
    fn plan(&self) -> Plan {
        Plan {
            prompt: self.prompt.clone(),
            negative_prompt: self.negative_prompt.clone().unwrap_or_default(),
            width: self.width,
            height: self.height,
            steps: self.steps,
            guidance: self.guidance,
            scheduler: match self.scheduler.as_str() {
                "own" | "pndm-prk" => None,
                name => Some(name.parse().unwrap()),
            },
            seed: self.seed,
            strength: Some(self.strength),
            text: TextOptions::default(),
            variation: None,
            inpaint: Some(MaskedStart::Image),
        }
    }

    fn model(&self) -> Model {
        let folder = if self.model == "tiny-lcm" {
            Folder::copy_of("tiny-sd1").with_parts_of("tiny-lcm")
        } else {
            Folder::copy_of(&self.model)
        };
        if self.scheduler == "pndm-prk" {
            let path = folder.path().join("scheduler/scheduler_config.json");
            let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            config["_class_name"] = json!("PNDMScheduler");
            config["skip_prk_steps"] = json!(false);
            std::fs::write(path, config.to_string()).unwrap();
        }
        open(folder.path())
    }
}

fn open(folder: &Path) -> Model {
    let runtime = Runtime::new(Options::default()).unwrap();
    Model::open(&runtime, &Source::Folder(folder.to_owned())).unwrap()
}

fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| open(&goldens().join("tiny-sd1")))
}

/// A picture and a mask of the goldens, of which the reference sees the pixels at the upper left of
/// the latent's points alone.
fn initial(goldens: &Goldens, size: &str, scale: u32) -> Initial {
    let (width, height) = size.split_once('x').unwrap();
    let (width, height) = (width.parse().unwrap(), height.parse().unwrap());
    let image = RgbImage::from_raw(width, height, goldens.bytes(&format!("init.{size}"))).unwrap();
    let mask = GrayImage::from_raw(width, height, goldens.bytes(&format!("mask.{size}"))).unwrap();
    let seen = |x: u32, y: u32| *mask.get_pixel(x / scale * scale, y / scale * scale);
    Initial { image, mask: Some(GrayImage::from_fn(width, height, seen)) }
}

fn square() -> Initial {
    initial(&Goldens::open("inpaint"), "64x64", 8)
}

fn plan(scheduler: SchedulerKind, start: MaskedStart) -> Plan {
    Plan {
        prompt: "a photo of a cat".into(),
        negative_prompt: "blurry".into(),
        width: 64,
        height: 64,
        steps: 6,
        guidance: 5.0,
        scheduler: Some(scheduler),
        seed: 11,
        strength: Some(0.7),
        text: TextOptions::default(),
        variation: None,
        inpaint: Some(start),
    }
}

fn run(mut sample: Sample) -> RgbImage {
    while !sample.is_done() {
        model().step(std::slice::from_mut(&mut sample)).unwrap();
    }
    model().finish(sample).unwrap()
}

#[test]
fn whole_images_equal_those_of_diffusers() {
    let goldens = Goldens::open("inpaint");
    let text = std::fs::read_to_string(support::goldens().join("inpaint.json")).unwrap();
    for case in serde_json::from_str::<Cases>(&text).unwrap().cases {
        assert_eq!(case.init.replace("init", "mask"), case.mask);
        let model = case.model();
        let scale = model.info().vae.scale() as u32;
        let initial = initial(&goldens, case.init.strip_prefix("init.").unwrap(), scale);
        let mut latent = Vec::new();
        let image = generate(&model, &case.plan(), Some(&initial), |sample| {
            latent = sample.latent().to_vec();
            ControlFlow::Continue(())
        })
        .unwrap();
        let want = goldens.floats(&format!("{}.latents", case.name));
        assert_close(&format!("{} latents", case.name), &latent, &want, 1e-3);
        let want = goldens.bytes(&format!("{}.image", case.name));
        assert_images_close(&case.name, image.as_raw(), &want);
    }
}

#[test]
fn a_batch_with_and_without_masks_gives_each_sample_the_bytes_that_it_has_alone() {
    use MaskedStart::{Image, Noise, Nothing};
    use SchedulerKind::{Ddim, DpmPp2mSde, EulerAncestral, Heun, Pndm};
    let initial = square();
    let whole = Initial::from(initial.image.clone());
    let mut plans = [
        plan(EulerAncestral, Image),
        plan(Heun, Noise),
        plan(Pndm, Nothing),
        plan(DpmPp2mSde, Image),
        plan(Ddim, Image),
        plan(Ddim, Image),
    ];
    plans[4].inpaint = None;
    (plans[5].inpaint, plans[5].strength) = (None, None);
    let begin = |plan: &Plan| {
        let initial = match (plan.inpaint, plan.strength) {
            (Some(_), _) => Some(&initial),
            (None, strength) => strength.map(|_| &whole),
        };
        model().begin(plan, initial).unwrap()
    };
    let alone: Vec<RgbImage> = plans.iter().map(|plan| run(begin(plan))).collect();
    let mut running: Vec<(usize, Sample)> = plans.iter().map(begin).enumerate().collect();
    while !running.is_empty() {
        let (indices, mut samples): (Vec<usize>, Vec<Sample>) = running.drain(..).unzip();
        model().step(&mut samples).unwrap();
        for (i, sample) in indices.into_iter().zip(samples) {
            if sample.is_done() {
                assert!(model().finish(sample).unwrap() == alone[i], "{:?} differs", plans[i]);
            } else {
                running.push((i, sample));
            }
        }
    }
}

#[test]
fn a_sample_written_out_at_any_step_continues_with_the_same_bytes() {
    use SchedulerKind::{DpmPp2m, EulerAncestral, Heun, Lcm, Pndm, UniPc};
    let initial = square();
    for kind in [DpmPp2m, EulerAncestral, Heun, Lcm, Pndm, UniPc] {
        let plan = plan(kind, MaskedStart::Noise);
        let undisturbed = run(model().begin(&plan, Some(&initial)).unwrap());
        let mut sample = model().begin(&plan, Some(&initial)).unwrap();
        while !sample.is_done() {
            sample = Sample::restore(model(), &sample.save().unwrap()).unwrap();
            model().step(std::slice::from_mut(&mut sample)).unwrap();
        }
        sample = Sample::restore(model(), &sample.save().unwrap()).unwrap();
        assert!(model().finish(sample).unwrap() == undisturbed, "{kind}");
    }
}

/// A latent in what the mask keeps and in what it leaves to be repainted.
fn split(latent: &[f32], initial: &Initial) -> (Vec<f32>, Vec<f32>) {
    let mask = initial.mask.as_ref().unwrap();
    let repainted =
        |i: usize| mask.get_pixel((i as u32 % 8) * 8, (i as u32 / 8 % 8) * 8).0[0] >= 128;
    let (repainted, kept): (Vec<_>, Vec<_>) =
        latent.iter().enumerate().partition(|(i, _)| repainted(*i));
    let values = |part: Vec<(usize, &f32)>| part.into_iter().map(|(_, value)| *value).collect();
    (values(kept), values(repainted))
}

/// The parts of the last latent. What is shown of those before it has the kept part of the last.
fn parts(plan: &Plan, initial: &Initial) -> (Vec<f32>, Vec<f32>) {
    let mut sample = model().begin(plan, Some(initial)).unwrap();
    let mut shown = Vec::new();
    while !sample.is_done() {
        model().step(std::slice::from_mut(&mut sample)).unwrap();
        shown.push(split(&sample.clean_latent(), initial).0);
    }
    let last = split(sample.latent(), initial);
    assert!(shown.iter().all(|kept| *kept == last.0));
    last
}

#[test]
fn what_is_kept_depends_on_the_picture_alone_and_the_rest_on_what_it_begins_with() {
    let initial = square();
    let plans = [MaskedStart::Image, MaskedStart::Noise, MaskedStart::Nothing]
        .map(|start| plan(SchedulerKind::Euler, start));
    let [image, noise, nothing] = plans.each_ref().map(|plan| parts(plan, &initial));
    assert!(image.0 == noise.0 && noise.0 == nothing.0);
    assert!(image.1 != noise.1 && noise.1 != nothing.1 && image.1 != nothing.1);
    let other = Plan { prompt: "a dog".into(), ..plans[0].clone() };
    let other = parts(&other, &initial);
    assert!(other.0 == image.0 && other.1 != image.1);
}

#[test]
fn noise_is_added_to_noise_and_to_nothing() {
    let initial = square();
    let begin = |start, strength| {
        let plan = Plan { strength: Some(strength), ..plan(SchedulerKind::Ddim, start) };
        model().begin(&plan, Some(&initial)).unwrap().latent().to_vec()
    };
    for strength in [0.5, 1.0] {
        let noise = begin(MaskedStart::Noise, strength);
        let nothing = begin(MaskedStart::Nothing, strength);
        let factors: Vec<f32> =
            noise.iter().zip(&nothing).filter(|(a, b)| a != b).map(|(a, b)| a / b).collect();
        // Signal and noise are of one draw: √α + √(1−α) to √(1−α), the same everywhere.
        assert!(factors.len() >= 4 && factors[0] > 1.0, "{factors:?}");
        assert!(factors.iter().all(|factor| (factor / factors[0] - 1.0).abs() < 1e-3));
    }
}

#[test]
fn a_mask_goes_with_a_plan_that_inpaints() {
    let masked = square();
    let whole = Initial::from(masked.image.clone());
    let inpaint = plan(SchedulerKind::Euler, MaskedStart::Image);
    let image = Plan { inpaint: None, ..inpaint.clone() };
    let keep_all = Initial { mask: Some(GrayImage::new(64, 64)), ..masked.clone() };
    let small = Initial { mask: Some(GrayImage::new(56, 64)), ..masked.clone() };
    for (plan, initial, words) in [
        (&inpaint, Some(&whole), "without a mask"),
        (&inpaint, None, "without an initial image"),
        (&image, Some(&masked), "does not inpaint"),
        (&inpaint, Some(&small), "a mask of 56×64"),
        (&inpaint, Some(&keep_all), "nothing to repaint"),
    ] {
        let error = model().begin(plan, initial).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
    let without = Plan { strength: None, ..inpaint };
    let error = model().begin(&without, None).unwrap_err();
    assert!(matches!(error, Error::Plan { field: "inpaint", .. }), "{error}");
}

#[test]
fn a_mask_takes_no_memory_beyond_the_plan() {
    let model = open(&goldens().join("tiny-sd1"));
    let plan = plan(SchedulerKind::Euler, MaskedStart::Image);
    let planned = model.memory(&plan, 1);
    generate(&model, &plan, Some(&square()), |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(model.runtime().meter().peak(), planned.activations());
}

/// A sample with a mask, written out.
fn saved() -> &'static [u8] {
    static SAVED: OnceLock<Vec<u8>> = OnceLock::new();
    SAVED.get_or_init(|| {
        let plan = Plan { guidance: 1.0, ..plan(SchedulerKind::Euler, MaskedStart::Image) };
        model().begin(&plan, Some(&square())).unwrap().save().unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is read back can step, or is refused.
    #[test]
    fn broken_bytes_never_panic(
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = saved().to_vec();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(mut sample) = Sample::restore(model(), &bytes)
            && !sample.is_done()
        {
            model().step(std::slice::from_mut(&mut sample)).unwrap();
        }
    }
}
