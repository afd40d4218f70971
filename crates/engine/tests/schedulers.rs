//! Every scheduler against whole trajectories of diffusers (`xtask/goldens/schedulers.py`).

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use diffusion_engine::Result;
use diffusion_engine::config::Reader;
use diffusion_engine::noise::Generator;
use diffusion_engine::schedulers::{
    Scheduler, SchedulerConfig, SchedulerKind, State, begin_index, build,
};
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Largest difference at any step, relative to the step's largest value.
const TOLERANCE: f32 = 1e-5;

/// The same where latents begin at σ = 4096: of a latent of a few units, single precision leaves
/// four digits then, in PyTorch too.
const ZERO_SNR_TOLERANCE: f32 = 1e-4;

const GOLDENS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/schedulers");

#[derive(Debug, Deserialize)]
struct Case {
    config: Map<String, Value>,
    kind: Option<SchedulerKind>,
    class: String,
    steps: usize,
    strength: Option<f64>,
    begin: usize,
    seed: u64,
    init_noise_sigma: f32,
    /// Filled from the tensors: timesteps, and latents before and after every evaluation.
    #[serde(skip)]
    timesteps: Vec<f32>,
    #[serde(skip)]
    latents: Vec<Vec<f32>>,
}

impl Case {
    fn tolerance(&self) -> f32 {
        if self.init_noise_sigma > 4000.0 { ZERO_SNR_TOLERANCE } else { TOLERANCE }
    }

    fn build(&self) -> Result<Box<dyn Scheduler>> {
        let config =
            SchedulerConfig::new(Reader::new("scheduler_config.json", self.config.clone()));
        build(&config, self.kind, self.steps)
    }

    /// The state, latent and generator that the case begins with.
    fn begin(&self, scheduler: &dyn Scheduler) -> (State, Vec<f32>, Generator) {
        let mut generator = Generator::new(self.seed);
        let mut latent = generator.randn(self.latents[0].len());
        let mut begin = 0;
        if let Some(strength) = self.strength {
            begin = begin_index(self.steps, strength, scheduler.order()).unwrap();
            let clean: Vec<f32> =
                (0..latent.len()).map(|i| ((37 * i % 23) as f32 - 11.0) / 8.0).collect();
            latent = scheduler.add_noise(begin, &clean, &latent);
        } else {
            latent.iter_mut().for_each(|x| *x *= scheduler.init_noise_sigma());
        }
        (State::begin(begin), latent, generator)
    }
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(format!("{GOLDENS}.json")).unwrap();
    // Read as configurations are: Python writes -Infinity.
    let text = text.replace("-Infinity", "\"-Infinity\"");
    let mut cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    let bytes = std::fs::read(format!("{GOLDENS}.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |data: &[u8]| -> Vec<f32> {
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    for (i, case) in cases.iter_mut().enumerate() {
        case.timesteps = floats(tensors.tensor(&format!("{i}.timesteps")).unwrap().data());
        let latents = tensors.tensor(&format!("{i}.latents")).unwrap();
        let width = latents.shape()[1];
        case.latents = floats(latents.data()).chunks_exact(width).map(<[f32]>::to_vec).collect();
    }
    cases
}

/// The smooth stand-in for a UNet of the script.
fn fake_unet(latent: &[f32], timestep: f32) -> Vec<f32> {
    let output = |(i, x): (usize, &f32)| {
        let bias = ((7 * i % 11) as f32 - 5.0) / 8.0;
        (x * 0.75 + bias * (timestep / 1000.0)) / (x * x * 0.0625 + 1.0)
    };
    latent.iter().enumerate().map(output).collect()
}

/// One evaluation, as the pipeline does it.
fn advance(
    scheduler: &dyn Scheduler,
    state: &mut State,
    latent: &mut [f32],
    noise: &mut Generator,
) -> Result<()> {
    let mut input = latent.to_vec();
    scheduler.scale_model_input(state.step, &mut input);
    let timestep = scheduler.timesteps().get(state.step).copied().unwrap_or_default();
    scheduler.step(state, &fake_unet(&input, timestep), latent, noise)
}

fn relative_difference(a: &[f32], b: &[f32]) -> f32 {
    let largest = b.iter().fold(f32::MIN_POSITIVE, |max, b| max.max(b.abs()));
    let worst = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    worst.fold(0.0, |max: f32, d| if d.is_nan() { f32::NAN } else { max.max(d) }) / largest
}

#[test]
fn trajectories_equal_those_of_diffusers() {
    let mut largest: BTreeMap<String, f32> = BTreeMap::new();
    let mut failures = Vec::new();
    for (i, case) in cases().iter().enumerate() {
        let described = format!(
            "case {i}: {} {:?} {} steps, strength {:?}, {}",
            case.class,
            case.kind,
            case.steps,
            case.strength,
            Value::Object(case.config.clone())
        );
        match compare(case) {
            Ok(difference) => {
                let entry = largest.entry(case.class.clone()).or_default();
                *entry = entry.max(difference);
            }
            Err(message) => failures.push(format!("{described}\n    {message}")),
        }
    }
    for (class, difference) in &largest {
        println!("{class:32} {difference:.1e}");
    }
    assert_eq!(largest.len(), 9, "every class is covered");
    assert!(failures.is_empty(), "{} fail:\n{}", failures.len(), failures.join("\n"));
}

/// The largest relative difference of a case, or what is wrong.
fn compare(case: &Case) -> std::result::Result<f32, String> {
    let scheduler = case.build().map_err(|error| error.to_string())?;
    let close = |name: &str, a: &[f32], b: &[f32]| match relative_difference(a, b) {
        _ if a.len() != b.len() => Err(format!("{name}: {} values, not {}", a.len(), b.len())),
        difference if difference <= case.tolerance() => Ok(difference),
        difference => Err(format!("{name}: off by {difference:.1e}")),
    };
    close("timesteps", scheduler.timesteps(), &case.timesteps)?;
    close("init_noise_sigma", &[scheduler.init_noise_sigma()], &[case.init_noise_sigma])?;
    let (mut state, mut latent, mut noise) = case.begin(&*scheduler);
    if state.step != case.begin {
        return Err(format!("begins at {}, not {}", state.step, case.begin));
    }
    let mut largest = close("first latent", &latent, &case.latents[0])?;
    for (i, expected) in case.latents.iter().enumerate().skip(1) {
        advance(&*scheduler, &mut state, &mut latent, &mut noise)
            .map_err(|error| error.to_string())?;
        largest = largest.max(close(&format!("evaluation {i}"), &latent, expected)?);
    }
    if state.step != scheduler.timesteps().len() {
        return Err(format!("ends at {} of {}", state.step, scheduler.timesteps().len()));
    }
    Ok(largest)
}

/// Written and read before every evaluation, a sample goes on bit for bit as without.
#[test]
fn samples_continue_after_being_written_and_read() {
    let mut kinds = Vec::new();
    for case in cases().iter().filter(|case| case.steps == 20 || case.class == "PNDMScheduler") {
        let scheduler = case.build().unwrap();
        let (mut state, mut latent, mut noise) = case.begin(&*scheduler);
        let mut expected = (state.clone(), latent.clone(), noise.clone());
        for _ in case.latents.iter().skip(1) {
            let (a, b, c) = &mut expected;
            advance(&*scheduler, a, b, c).unwrap();

            let text = serde_json::to_string(&(&state, &latent, &noise)).unwrap();
            (state, latent, noise) = serde_json::from_str(&text).unwrap();
            let rebuilt = case.build().unwrap();
            advance(&*rebuilt, &mut state, &mut latent, &mut noise).unwrap();
        }
        assert_eq!((state, latent, noise), expected, "{case:?}");
        kinds.extend(case.kind);
    }
    assert!(SchedulerKind::ALL.iter().all(|kind| kinds.contains(kind)));
}

/// Whatever a scheduler counts in, the clean latent is found again when the UNet tells its noise.
#[test]
fn clean_latents_are_predicted() {
    let (clean, noise) = ([0.5, -1.0, 2.0, 0.0], [1.0, 0.3, -0.7, 0.1]);
    for kind in SchedulerKind::ALL {
        let config = SchedulerConfig::new(Reader::new("scheduler_config.json", Map::new()));
        let scheduler = build(&config, Some(kind), 8).unwrap();
        for step in 0..scheduler.timesteps().len() {
            let latent = scheduler.add_noise(step, &clean, &noise);
            let found = scheduler.clean(step, &latent, &noise);
            for (found, clean) in found.iter().zip(clean) {
                assert!((found - clean).abs() < 1e-3, "{kind} at {step}: {found} for {clean}");
            }
        }
    }
}
