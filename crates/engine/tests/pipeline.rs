//! Whole images against diffusers, and the promises that rest on a sample being a value.

#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;
use std::sync::OnceLock;

use diffusion_engine::images::RgbImage;
use diffusion_engine::{
    Error, Initial, MemoryPlan, Model, Options, Plan, Precision, Runtime, Sample, SchedulerKind,
    Source, TextOptions, build_identity, generate,
};
use folder::Folder;
use safetensors::tensor::Dtype;
use serde::Deserialize;

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
    guidance: f64,
    prompt: String,
    negative_prompt: Option<String>,
    seed: u64,
    width: u32,
    height: u32,
    strength: Option<f64>,
    init: Option<String>,
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
                "own" => None,
                name => Some(name.parse().unwrap()),
            },
            seed: self.seed,
            strength: self.strength,
            text: TextOptions::default(),
            variation: None,
            inpaint: None,
        }
    }

    fn initial(&self, goldens: &Goldens) -> Option<Initial> {
        let name = self.init.as_ref()?;
        RgbImage::from_raw(self.width, self.height, goldens.bytes(name)).map(Initial::from)
    }
}

fn open(model: &str, options: Options) -> Model {
    let runtime = Runtime::new(options).unwrap();
    if model == "tiny-lcm" {
        let folder = Folder::copy_of("tiny-sd1").with_parts_of("tiny-lcm");
        return Model::open(&runtime, &Source::Folder(folder.path().to_owned())).unwrap();
    }
    Model::open(&runtime, &Source::Folder(goldens().join(model))).unwrap()
}

fn model(name: &str) -> &'static Model {
    static MODELS: [(&str, OnceLock<Model>); 3] = [
        ("tiny-sd1", OnceLock::new()),
        ("tiny-sd2", OnceLock::new()),
        ("tiny-lcm", OnceLock::new()),
    ];
    let (_, model) = MODELS.iter().find(|(known, _)| *known == name).unwrap();
    model.get_or_init(|| open(name, Options::default()))
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(goldens().join("images.json")).unwrap();
    serde_json::from_str::<Cases>(&text).unwrap().cases
}

fn plan(scheduler: SchedulerKind, guidance: f64, steps: usize, seed: u64) -> Plan {
    Plan {
        prompt: format!("a photo of {seed} cats"),
        negative_prompt: "blurry".into(),
        width: 64,
        height: 64,
        steps,
        guidance,
        scheduler: Some(scheduler),
        seed,
        strength: None,
        text: TextOptions::default(),
        variation: None,
        inpaint: None,
    }
}

fn run(model: &Model, mut sample: Sample) -> RgbImage {
    while !sample.is_done() {
        model.step(std::slice::from_mut(&mut sample)).unwrap();
    }
    model.finish(sample).unwrap()
}

#[test]
fn whole_images_equal_those_of_diffusers() {
    let goldens = Goldens::open("images");
    for case in cases() {
        let model = model(&case.model);
        let initial = case.initial(&goldens);
        let mut latent = Vec::new();
        let image = generate(model, &case.plan(), initial.as_ref(), |sample| {
            latent = sample.latent().to_vec();
            ControlFlow::Continue(())
        })
        .unwrap();
        let want = goldens.floats(&format!("{}.latents", case.name));
        assert_close(&format!("{} latents", case.name), &latent, &want, 1e-3);
        assert_images_close(
            &case.name,
            image.as_raw(),
            &goldens.bytes(&format!("{}.image", case.name)),
        );
    }
}

#[test]
fn a_batch_gives_each_sample_the_bytes_that_it_has_alone() {
    use SchedulerKind::*;
    let model = model("tiny-sd2");
    let mut plans: Vec<Plan> = [
        Euler,
        EulerAncestral,
        Ddim,
        DpmPp2m,
        DpmPp2mKarras,
        DpmPp2mSde,
        Pndm,
        Lms,
        Heun,
        UniPc,
        Lcm,
    ]
    .into_iter()
    .enumerate()
    .map(|(i, kind)| plan(kind, if i % 3 == 0 { 1.0 } else { 3.0 + i as f64 }, 3 + i % 4, i as u64))
    .collect();
    plans[2].negative_prompt = String::new();
    let goldens = Goldens::open("images");
    let initial = RgbImage::from_raw(64, 64, goldens.bytes("init.64x64")).unwrap().into();
    plans[4].strength = Some(0.6);
    let initial = |plan: &Plan| plan.strength.map(|_| &initial);

    let alone: Vec<RgbImage> =
        plans.iter().map(|plan| run(model, model.begin(plan, initial(plan)).unwrap())).collect();

    // One joins at every step, and each leaves when it is done.
    let mut waiting: Vec<usize> = (0..plans.len()).rev().collect();
    let mut running: Vec<(usize, Sample)> = Vec::new();
    let mut done = 0;
    while done < plans.len() {
        if let Some(i) = waiting.pop() {
            running.push((i, model.begin(&plans[i], initial(&plans[i])).unwrap()));
        }
        let (indices, mut samples): (Vec<usize>, Vec<Sample>) = running.drain(..).unzip();
        model.step(&mut samples).unwrap();
        for (i, sample) in indices.into_iter().zip(samples) {
            if sample.is_done() {
                assert!(model.finish(sample).unwrap() == alone[i], "{:?} differs", plans[i]);
                done += 1;
            } else {
                running.push((i, sample));
            }
        }
    }
}

#[test]
fn a_distilled_model_takes_each_sample_of_a_batch_at_its_own_guidance() {
    let model = model("tiny-lcm");
    let plans = [1.0, 3.5, 8.0]
        .map(|guidance| Plan { scheduler: None, ..plan(SchedulerKind::Lcm, guidance, 3, 5) });
    let begin = |plan| model.begin(plan, None).unwrap();
    let alone: Vec<RgbImage> = plans.iter().map(|plan| run(model, begin(plan))).collect();
    assert!(alone[0] != alone[1] && alone[1] != alone[2], "the scale is heard");
    let mut samples: Vec<Sample> = plans.iter().map(begin).collect();
    while !samples[0].is_done() {
        model.step(&mut samples).unwrap();
    }
    for (sample, alone) in samples.into_iter().zip(alone) {
        assert!(model.finish(sample).unwrap() == alone);
    }
}

#[test]
fn a_sample_written_out_at_any_step_continues_with_the_same_bytes() {
    use SchedulerKind::*;
    let model = model("tiny-sd1");
    for kind in [EulerAncestral, DpmPp2mSde, Pndm, Lms, Heun, UniPc, Lcm] {
        let plan = plan(kind, 4.0, 5, 9);
        let undisturbed = run(model, model.begin(&plan, None).unwrap());
        let mut sample = model.begin(&plan, None).unwrap();
        while !sample.is_done() {
            sample = Sample::restore(model, &sample.save().unwrap()).unwrap();
            model.step(std::slice::from_mut(&mut sample)).unwrap();
        }
        sample = Sample::restore(model, &sample.save().unwrap()).unwrap();
        assert!(model.finish(sample).unwrap() == undisturbed, "{kind}");
    }
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let plan = plan(SchedulerKind::Euler, 7.5, 3, 1);
    let images: Vec<RgbImage> = [1, 2, 5]
        .into_iter()
        .map(|threads| {
            let options =
                Options { threads: std::num::NonZeroUsize::new(threads), ..Options::default() };
            let model = open("tiny-sd1", options);
            run(&model, model.begin(&plan, None).unwrap())
        })
        .collect();
    assert!(images[0] == images[1] && images[1] == images[2]);
}

#[test]
fn weights_packed_once_or_at_each_use_give_the_same_bytes() {
    let plan = plan(SchedulerKind::Euler, 7.5, 3, 1);
    let images: Vec<RgbImage> = [0, 1 << 30]
        .into_iter()
        .map(|keep_packed| {
            let model = open("tiny-sd1", Options { keep_packed, ..Options::default() });
            run(&model, model.begin(&plan, None).unwrap())
        })
        .collect();
    assert!(images[0] == images[1]);
}

#[test]
fn the_memory_plan_is_what_a_run_takes() {
    let initial = RgbImage::new(96, 64).into();
    for (name, keep_packed, strength, guidance) in [
        ("tiny-sd1", 0, Some(0.5), 7.5),
        ("tiny-sd1", 1 << 30, None, 1.0),
        ("tiny-lcm", 0, None, 7.5),
    ] {
        let model = open(name, Options { keep_packed, ..Options::default() });
        let runtime = model.runtime();
        let plan = Plan { width: 96, strength, ..plan(SchedulerKind::Euler, guidance, 4, 1) };
        let planned = model.memory(&plan, 1);
        run(&model, model.begin(&plan, strength.map(|_| &initial)).unwrap());
        assert_eq!(runtime.meter().peak(), planned.activations());
        assert_eq!(runtime.meter().live(), 0, "activations are all freed");
    }
}

#[test]
fn the_size_of_a_model_is_known_before_it_is_loaded() {
    for (name, keep_packed) in [("tiny-sd1", 0), ("tiny-sd2", 1 << 30)] {
        let options = Options { keep_packed, ..Options::default() };
        let bytes = Model::weight_bytes_of(&options, &Source::Folder(goldens().join(name)));
        let model = open(name, options);
        model.prefetch();
        assert_eq!(bytes.unwrap(), model.weight_bytes());
    }
    Model::weight_bytes_of(&Options::default(), &Source::Folder("nowhere".into())).unwrap_err();
}

#[test]
fn the_mean_latent_is_what_draws_are_spread_around() {
    let model = model("tiny-sd1");
    let initial = RgbImage::from_fn(64, 64, |x, y| [(4 * x) as u8, (4 * y) as u8, 99].into());
    let mean = model.mean_latent(&initial).unwrap();
    // A schedule of one step begins at its last, where all that is left is the image.
    let draws: Vec<Vec<f32>> = (0..64)
        .map(|seed| {
            let plan = Plan { strength: Some(0.02), ..plan(SchedulerKind::Euler, 1.0, 50, seed) };
            model.begin(&plan, Some(&initial.clone().into())).unwrap().latent().to_vec()
        })
        .collect();
    let average = |i: usize| draws.iter().map(|draw| draw[i]).sum::<f32>() / draws.len() as f32;
    let average: Vec<f32> = (0..mean.len()).map(average).collect();
    let spread = |values: &[f32], center: &[f32]| {
        values.iter().zip(center).map(|(v, c)| (v - c).powi(2)).sum::<f32>()
    };
    let (off, single) = (spread(&average, &mean), spread(&draws[0], &mean));
    assert!(off < single / 16.0, "{off} off on average, {single} in one draw");
    model.mean_latent(&RgbImage::new(60, 64)).unwrap_err();
    model.mean_latent(&RgbImage::new(0, 64)).unwrap_err();
}

#[test]
fn the_image_so_far_is_what_it_becomes() {
    let model = model("tiny-sd1");
    for kind in SchedulerKind::ALL {
        let mut sample = model.begin(&plan(kind, 1.0, 6, 3), None).unwrap();
        let variance = |latent: &[f32]| {
            latent.iter().map(|value| value * value).sum::<f32>() / latent.len() as f32
        };
        let first = variance(&sample.clean_latent());
        assert!((0.5..2.0).contains(&first), "{kind}: {first}");
        let mut shown = Vec::new();
        while !sample.is_done() {
            model.step(std::slice::from_mut(&mut sample)).unwrap();
            shown.push(sample.clean_latent());
        }
        // What is shown draws nearer to the end.
        let end = sample.latent();
        let off = |latent: &[f32]| {
            let differences: Vec<f32> = latent.iter().zip(end).map(|(a, b)| a - b).collect();
            variance(&differences)
        };
        assert_eq!(shown.last().unwrap(), end, "{kind}");
        assert!(off(&shown[shown.len() - 2]) < off(&shown[0]) + 1e-6, "{kind}");
    }
}

#[test]
fn memory_is_planned_alike_without_the_weights() {
    let folder = Folder::copy_of("tiny-sd1");
    for part in ["text_encoder", "unet", "vae"] {
        folder.cast(part, Dtype::F16);
    }
    for precision in [Precision::F32, Precision::Int8] {
        let options = Options { keep_packed: 0, precision, ..Options::default() };
        let runtime = Runtime::new(options).unwrap();
        let model = Model::open(&runtime, &Source::Folder(folder.path().to_owned())).unwrap();
        for strength in [None, Some(0.5)] {
            let plan = Plan { strength, ..plan(SchedulerKind::Euler, 7.5, 4, 1) };
            let with = model.memory(&plan, 2);
            let without = model.info().memory(&runtime, &plan, 2).unwrap();
            // Files have headers beside their values.
            assert!((without.weights..without.weights + (256 << 10)).contains(&with.weights));
            assert_eq!(MemoryPlan { weights: 0, ..without }, MemoryPlan { weights: 0, ..with });
        }
    }
}

#[test]
fn a_plan_that_does_not_fit_is_refused_with_the_numbers() {
    let options = Options { memory_limit: Some(24 << 20), ..Options::default() };
    let model = open("tiny-sd1", options);
    let large = Plan { width: 1024, height: 1024, ..plan(SchedulerKind::Euler, 7.5, 3, 1) };
    let error = model.begin(&large, None).unwrap_err();
    assert!(matches!(error, Error::Memory { limit, needed } if needed > limit), "{error}");
    model.begin(&plan(SchedulerKind::Euler, 7.5, 3, 1), None).unwrap();
}

#[test]
fn work_stops_at_the_step_at_which_it_is_cancelled() {
    let mut seen = 0;
    let result =
        generate(model("tiny-sd1"), &plan(SchedulerKind::Euler, 7.5, 9, 1), None, |sample| {
            assert_eq!(sample.progress(), (seen, 9));
            seen += 1;
            if seen == 4 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    assert!(matches!(result, Err(Error::Cancelled)));
    assert_eq!(seen, 4);
}

#[test]
fn samples_that_cannot_step_together_are_left_alone() {
    let model = model("tiny-sd1");
    let small = plan(SchedulerKind::Euler, 7.5, 2, 1);
    let wide = Plan { width: 96, ..small.clone() };
    let mut samples = [model.begin(&small, None).unwrap(), model.begin(&wide, None).unwrap()];
    let before: Vec<_> = samples.iter().map(|s| s.latent().to_vec()).collect();
    assert!(model.step(&mut samples).is_err());
    for (sample, before) in samples.iter().zip(before) {
        assert_eq!(sample.latent(), before);
        assert_eq!(sample.progress().0, 0);
    }
}

#[test]
fn a_prompt_that_is_cut_gives_a_warning() {
    let model = model("tiny-sd1");
    let long = Plan { prompt: "castle ".repeat(200), ..plan(SchedulerKind::Euler, 1.0, 1, 1) };
    let sample = model.begin(&long, None).unwrap();
    assert_eq!(sample.warnings().len(), 1);
    assert!(sample.warnings()[0].contains("castle"), "{:?}", sample.warnings());
    let short = model.begin(&plan(SchedulerKind::Euler, 1.0, 1, 1), None).unwrap();
    assert!(short.warnings().is_empty());
}

#[test]
fn stored_samples_that_are_broken_or_foreign_are_refused() {
    let model = model("tiny-sd1");
    let sample = model.begin(&plan(SchedulerKind::Euler, 1.0, 2, 1), None).unwrap();
    let bytes = sample.save().unwrap();
    for end in [0, 1, 20, bytes.len() / 2, bytes.len() - 1] {
        assert!(Sample::restore(model, &bytes[..end]).is_err(), "{end} bytes");
    }
    // Any part of the build's identity that is another makes it another build.
    let identity = build_identity();
    let start = bytes.windows(identity.len()).position(|part| part == identity.as_bytes()).unwrap();
    for part in identity.split(' ') {
        let mut foreign = bytes.clone();
        foreign[start + identity.find(part).unwrap()] ^= 1;
        let error = Sample::restore(model, &foreign).unwrap_err().to_string();
        assert!(error.contains("made by") && error.contains(&identity), "{error}");
    }
}

#[test]
fn a_sample_does_not_continue_on_another_model_of_the_same_shape() {
    let model = model("tiny-sd1");
    let saved = model.begin(&plan(SchedulerKind::Euler, 1.0, 2, 1), None).unwrap().save().unwrap();
    let folder = Folder::copy_of("tiny-sd1");
    folder.change("unet", |mut weights| {
        weights.get_mut("conv_out.bias").unwrap().bytes[0] ^= 1;
        weights
    });
    let runtime = Runtime::new(Options::default()).unwrap();
    let other = Model::open(&runtime, &Source::Folder(folder.path().to_owned())).unwrap();
    let error = Sample::restore(&other, &saved).unwrap_err();
    assert!(error.to_string().contains("another model"), "{error}");
}
