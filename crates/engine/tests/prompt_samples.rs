//! Samples whose prompts change, weigh and run on: steps are counted as the web UI counts them, and
//! what holds for plain samples holds for these.

#![allow(clippy::unwrap_used)]

use std::sync::OnceLock;

use diffusion_engine::images::RgbImage;
use diffusion_engine::{
    Error, Model, Options, Plan, PromptSyntax, Runtime, Sample, SchedulerKind, Source, TextOptions,
    Variation,
};

mod support;

use support::{goldens, relative_error};

fn open(name: &str, options: Options) -> Model {
    let runtime = Runtime::new(options).unwrap();
    Model::open(&runtime, &Source::Folder(goldens().join(name))).unwrap()
}

fn model(name: &str) -> &'static Model {
    static MODELS: [OnceLock<Model>; 2] = [OnceLock::new(), OnceLock::new()];
    MODELS[usize::from(name == "tiny-sd2")].get_or_init(|| open(name, Options::default()))
}

const A1111: TextOptions = TextOptions { syntax: PromptSyntax::A1111, clip_skip: None };

fn plan(prompt: &str) -> Plan {
    Plan {
        prompt: prompt.to_owned(),
        negative_prompt: "blurry".into(),
        width: 32,
        height: 32,
        steps: 6,
        guidance: 5.0,
        scheduler: Some(SchedulerKind::Euler),
        seed: 11,
        strength: None,
        text: A1111,
        variation: None,
        inpaint: None,
    }
}

fn picture() -> RgbImage {
    RgbImage::from_fn(32, 32, |x, y| [(8 * x) as u8, (8 * y) as u8, 99].into())
}

fn begin(model: &Model, plan: &Plan) -> Sample {
    model.begin(plan, plan.strength.map(|_| picture().into()).as_ref()).unwrap()
}

/// The latent before each evaluation and behind the last.
fn latents(model: &Model, plan: &Plan) -> Vec<Vec<f32>> {
    let mut sample = begin(model, plan);
    let mut latents = vec![sample.latent().to_vec()];
    while !sample.is_done() {
        model.step(std::slice::from_mut(&mut sample)).unwrap();
        latents.push(sample.latent().to_vec());
    }
    latents
}

fn image(model: &Model, plan: &Plan) -> RgbImage {
    let mut sample = begin(model, plan);
    while !sample.is_done() {
        model.step(std::slice::from_mut(&mut sample)).unwrap();
    }
    model.finish(sample).unwrap()
}

/// After how many evaluations the latents of two plans part.
fn alike(model: &Model, one: &Plan, other: &Plan) -> usize {
    let (one, other) = (latents(model, one), latents(model, other));
    one.iter().zip(&other).take_while(|(one, other)| one == other).count() - 1
}

#[test]
fn a_prompt_without_syntax_gives_the_bytes_of_the_plain_one() {
    for name in ["tiny-sd1", "tiny-sd2"] {
        let read = plan("a photo of a cat, it's 35mm");
        let plain = Plan { text: TextOptions::default(), ..read.clone() };
        assert!(image(model(name), &read) == image(model(name), &plain), "{name}");
    }
}

#[test]
fn a_scheduled_text_changes_after_its_step() {
    let model = model("tiny-sd1");
    let of = |prompt: &str, change: &dyn Fn(&mut Plan)| {
        let mut plan = plan(prompt);
        change(&mut plan);
        plan
    };
    let parts = |prompt: &str, change: &dyn Fn(&mut Plan)| {
        alike(model, &of(prompt, change), &of("a cat", change))
    };
    let as_is = |_: &mut Plan| ();
    // Evaluations 0, 1 and 2 see the first text.
    assert_eq!(parts("a [cat:dog:2]", &as_is), 3);
    assert_eq!(parts("a [cat:dog:0.5]", &as_is), 4);
    assert_eq!(parts("a [cat:dog:5]", &as_is), 6);
    assert_eq!(parts("a [cat:dog:0]", &as_is), 0);
    assert_eq!(parts("a [cat|dog]", &as_is), 2);
    // Two evaluations a step are counted as two, and parts are of both.
    let heun = |plan: &mut Plan| plan.scheduler = Some(SchedulerKind::Heun);
    assert_eq!(parts("a [cat:dog:2]", &heun), 3);
    assert_eq!(parts("a [cat:dog:0.5]", &heun), 7);
    // Image-to-image counts from its own beginning, and parts are of the whole schedule.
    let from_picture = |plan: &mut Plan| plan.strength = Some(0.5);
    assert_eq!(parts("a [cat:dog:1]", &from_picture), 2);
    assert_eq!(parts("a [cat:dog:0.5]", &from_picture), 3);

    let negative = |plan: &mut Plan| plan.negative_prompt = "[blurry:dark:1]".into();
    assert_eq!(alike(model, &of("a cat", &negative), &plan("a cat")), 2);
    let behind = image(model, &plan("a [cat:dog:0]"));
    assert!(behind == image(model, &plan("a dog")), "what comes later is read as it stands");
}

/// Plans that have nothing in common but their size.
fn varied() -> Vec<Plan> {
    let long = "a castle on a hill, ".repeat(12);
    let mut plans = vec![
        plan("a cat"),
        Plan { negative_prompt: long.clone(), ..plan("a (cat:1.4) BREAK [dog]") },
        plan(&long),
        Plan { scheduler: Some(SchedulerKind::Heun), ..plan("[a (cat:1.3)|a dog|a fox]") },
        Plan { strength: Some(0.6), ..plan("[a cat BREAK b:a fox:1]") },
        Plan { guidance: 1.0, steps: 3, ..plan("[:(rain:0.6):0.4]") },
        Plan { text: TextOptions::default(), ..plan("a [cat:dog:2]") },
    ];
    plans[2].text.clip_skip = Some(2);
    plans[6].variation = Some(Variation { seed: 3, strength: 0.3 });
    plans
}

#[test]
fn texts_of_any_length_share_a_batch_with_the_bytes_that_they_have_alone() {
    for name in ["tiny-sd1", "tiny-sd2"] {
        let model = model(name);
        let alone: Vec<RgbImage> = varied().iter().map(|plan| image(model, plan)).collect();
        let mut running: Vec<(usize, Sample)> =
            varied().iter().map(|plan| begin(model, plan)).enumerate().collect();
        while !running.is_empty() {
            let (indices, mut samples): (Vec<usize>, Vec<Sample>) = running.drain(..).unzip();
            model.step(&mut samples).unwrap();
            for (i, sample) in indices.into_iter().zip(samples) {
                if sample.is_done() {
                    assert!(model.finish(sample).unwrap() == alone[i], "{name} {i}");
                } else {
                    running.push((i, sample));
                }
            }
        }
    }
}

#[test]
fn a_sample_written_out_at_any_step_continues_with_its_texts() {
    let model = model("tiny-sd2");
    for plan in varied() {
        let undisturbed = image(model, &plan);
        let mut sample = begin(model, &plan);
        while !sample.is_done() {
            sample = Sample::restore(model, &sample.save().unwrap()).unwrap();
            model.step(std::slice::from_mut(&mut sample)).unwrap();
        }
        assert!(model.finish(sample).unwrap() == undisturbed, "{plan:?}");
    }
}

#[test]
fn the_memory_plan_counts_every_text_and_chunk() {
    // Packed when used, as the plan without weights has it.
    let open = || open("tiny-sd1", Options { keep_packed: 0, ..Options::default() });
    for plan in varied() {
        let model = open();
        let planned = model.memory(&plan, 1);
        image(&model, &plan);
        assert_eq!(model.runtime().meter().peak(), planned.activations(), "{plan:?}");
        assert_eq!(model.runtime().meter().live(), 0);
    }
    let model = open();
    let short = model.memory(&plan("a cat"), 1).step;
    let texts = plan("[a|b|c|d|e|f]");
    assert!(model.memory(&texts, 1).step > short);
    assert!(model.memory(&plan(&"a castle ".repeat(100)), 1).step > short);
    // Without a vocabulary, texts are counted and not how long they are.
    let unknown = |plan| model.info().memory(model.runtime(), plan, 1).unwrap().step;
    assert_eq!(unknown(&texts), model.memory(&texts, 1).step);
    assert_eq!(unknown(&plan("a cat")), short);
}

#[test]
fn clip_skip_counts_the_layers_that_there_are() {
    let model = model("tiny-sd1");
    let skipping = |skip| {
        let mut plan = plan("a cat");
        plan.text.clip_skip = skip;
        plan
    };
    let own = image(model, &skipping(None));
    assert!(image(model, &skipping(Some(1))) == own);
    let second = image(model, &skipping(Some(2)));
    assert!(second != own && image(model, &skipping(Some(3))) != second);
    let plain = Plan {
        text: TextOptions { clip_skip: Some(2), ..TextOptions::default() },
        ..plan("a cat")
    };
    assert!(image(model, &plain) == second);
    for beyond in [0, 4, u32::MAX] {
        let error = model.info().check(&skipping(Some(beyond))).unwrap_err();
        assert!(matches!(error, Error::Plan { field: "clip_skip", .. }), "{error}");
        assert!(error.to_string().contains("3 layers"), "{error}");
    }
}

#[test]
fn what_prompts_ask_for_and_cannot_have_is_refused_by_name() {
    let model = model("tiny-sd1");
    for (prompt, what) in [
        ("a cat AND a dog", "AND"),
        ("a cat <lora:dog:0.8>", "<lora:…>"),
        ("a cat :1.3", "\":1.3\""),
        ("(a cat:1.2.3)", "1.2.3"),
        (&"(".repeat(65), "64 open brackets"),
    ] {
        let error = model.info().check(&plan(prompt)).unwrap_err();
        assert!(matches!(error, Error::Plan { field: "prompt", .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
        model.begin(&Plan { text: TextOptions::default(), ..plan(prompt) }, None).unwrap();
    }
    let negative = Plan { negative_prompt: "(a:b:1..2)".into(), ..plan("a cat") };
    let error = model.info().check(&negative).unwrap_err();
    assert!(matches!(error, Error::Plan { field: "negative_prompt", .. }), "{error}");
    model.check(&Plan { guidance: 1.0, ..negative }).unwrap();
    let long = plan(&"x ".repeat(3000));
    model.info().check(&long).unwrap();
    let error = model.check(&long).unwrap_err();
    assert!(matches!(error, Error::Plan { field: "prompt", .. }), "{error}");
}

#[test]
fn a_variation_begins_between_the_noises_of_two_seeds() {
    let model = model("tiny-sd1");
    for strength in [None, Some(0.7)] {
        let varied = |part| Plan {
            variation: Some(Variation { seed: 5, strength: part }),
            strength,
            ..plan("a cat")
        };
        let latent = |plan: &Plan| begin(model, plan).latent().to_vec();
        let own = latent(&Plan { variation: None, ..varied(0.0) });
        assert_eq!(latent(&varied(0.0)), own);
        let half = latent(&varied(0.5));
        assert!(relative_error(&half, &own) > 0.05);
        if strength.is_none() {
            let other = latent(&Plan { seed: 5, variation: None, ..varied(0.0) });
            assert!(relative_error(&latent(&varied(1.0)), &other) < 1e-5);
        }
    }
}
