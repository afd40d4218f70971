//! What computing in 8-bit integers costs in fidelity, and what it must not change.

#![allow(clippy::unwrap_used)]

mod support;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use diffusion_engine::images::{Limits, RgbImage, decode_file, resize};
use diffusion_engine::{
    Model, Options, Plan, Precision, Runtime, Sample, SchedulerKind, Source, TextOptions, generate,
};
use support::goldens;

fn open(folder: PathBuf, options: Options) -> Model {
    let runtime = Runtime::new(options).unwrap();
    Model::open(&runtime, &Source::Folder(folder)).unwrap()
}

/// Options of 8-bit integers.
fn int8() -> Options {
    Options { precision: Precision::Int8, ..Options::default() }
}

fn plan(prompt: &str, side: u32, seed: u64) -> Plan {
    Plan {
        prompt: prompt.into(),
        negative_prompt: String::new(),
        width: side,
        height: side,
        steps: 20,
        guidance: 7.5,
        scheduler: Some(SchedulerKind::Euler),
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

/// Peak signal-to-noise ratio in decibels, over all values of both images.
fn psnr(a: &RgbImage, b: &RgbImage) -> f64 {
    let differences = a.as_raw().iter().zip(b.as_raw());
    let squares: f64 =
        differences.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>();
    10.0 * (255.0_f64.powi(2) * a.as_raw().len() as f64 / squares).log10()
}

/// With the model's own scheduler and with Euler, from noise and from pictures. Differences grow from
/// step to step, with the model's own (of a higher order) several times as much.
#[test]
fn images_of_the_demo_model_stay_close() {
    let pocket = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/pocket");
    let folder = pocket.join("weights/pocket-paper-sd1");
    let [exact, int8] = [Options::default(), int8()].map(|options| open(folder.clone(), options));
    let (side, _) = exact.info().native_size();
    let mut pictures: Vec<PathBuf> = std::fs::read_dir(pocket.join("samples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    pictures.sort();
    let prompts = [
        "generate image of cyberpunk battleship",
        "cat dancing in rain",
        "dogs sitting on sofa",
        "beautiful landscape with sea and mountains",
    ];
    let mut all = Vec::new();
    for (seed, prompt) in prompts.into_iter().enumerate() {
        for (strength, scheduler) in [(None, None), (Some(0.8), Some(SchedulerKind::Euler))] {
            let plan = Plan { strength, scheduler, ..plan(prompt, side, seed as u64) };
            let initial = strength.map(|_| {
                let picture = decode_file(&pictures[4 * seed], &Limits::default()).unwrap();
                resize(&picture, side, side).unwrap().into()
            });
            let [want, got] = [&exact, &int8].map(|model| {
                generate(model, &plan, initial.as_ref(), |_| ControlFlow::Continue(())).unwrap()
            });
            let psnr = psnr(&want, &got);
            println!("{prompt}, strength {strength:?}: {psnr:.1} dB");
            all.push(psnr);
        }
    }
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    println!("on average {mean:.1} dB");
    assert!(mean.is_finite() && mean >= 34.0, "{mean} dB on average");
    // Near a fork of its trajectory, where the layout is decided, an image goes another way.
    let forked = all.iter().filter(|&&psnr| psnr < 30.0).count();
    assert!(forked <= 1 && all.iter().all(|&psnr| psnr >= 20.0), "{all:?}");
}

#[test]
fn bytes_follow_neither_batch_nor_threads() {
    let folder = goldens().join("tiny-sd1");
    let plans = [plan("a cat", 64, 1), Plan { guidance: 1.0, ..plan("two dogs", 64, 2) }];
    let mut seen: Vec<Vec<RgbImage>> = Vec::new();
    for threads in [1, 3] {
        let model = open(folder.clone(), Options { threads: NonZeroUsize::new(threads), ..int8() });
        let alone =
            plans.iter().map(|plan| run(&model, model.begin(plan, None).unwrap())).collect();
        let mut samples: Vec<Sample> =
            plans.iter().map(|plan| model.begin(plan, None).unwrap()).collect();
        while !samples[0].is_done() {
            model.step(&mut samples).unwrap();
        }
        let together = samples.into_iter().map(|sample| model.finish(sample).unwrap()).collect();
        seen.extend([alone, together]);
    }
    assert!(seen.iter().all(|images| *images == seen[0]));
}

#[test]
fn the_memory_plan_is_what_a_run_takes() {
    for keep_packed in [0, 1 << 30] {
        let model = open(goldens().join("tiny-sd1"), Options { keep_packed, ..int8() });
        let plan = Plan { width: 96, ..plan("a cat", 64, 1) };
        run(&model, model.begin(&plan, None).unwrap());
        assert_eq!(model.runtime().meter().peak(), model.memory(&plan, 1).activations());
    }
}

#[test]
fn a_sample_does_not_continue_at_another_precision() {
    let [exact, int8] =
        [Options::default(), int8()].map(|options| open(goldens().join("tiny-sd1"), options));
    let saved = int8.begin(&plan("a cat", 64, 1), None).unwrap().save().unwrap();
    assert!(Sample::restore(&int8, &saved).is_ok());
    let error = Sample::restore(&exact, &saved).unwrap_err().to_string();
    assert!(error.contains("another precision"), "{error}");
}

#[test]
fn precisions_read_as_they_are_written() {
    for precision in [Precision::F32, Precision::Int8] {
        assert_eq!(precision.to_string().parse::<Precision>().unwrap(), precision);
    }
    let error = "int4".parse::<Precision>().unwrap_err().to_string();
    assert!(error.contains("int4") && error.contains("int8"), "{error}");
}
