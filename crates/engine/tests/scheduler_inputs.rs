//! What schedulers make of configurations, names, steps and states that are wrong or random.

#![allow(clippy::unwrap_used)]

use diffusion_engine::config::Reader;
use diffusion_engine::noise::Generator;
use diffusion_engine::schedulers::{
    Scheduler, SchedulerConfig, SchedulerKind, State, begin_index, build,
};
use diffusion_engine::{Error, Result};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn build_json(
    config: Value,
    kind: Option<SchedulerKind>,
    steps: usize,
) -> Result<Box<dyn Scheduler>> {
    let Value::Object(values) = config else { panic!("a configuration is an object") };
    build(&SchedulerConfig::new(Reader::new("scheduler_config.json", values)), kind, steps)
}

#[test]
fn names_are_the_same_everywhere() {
    let names = "euler, euler-karras, euler-a, ddim, dpmpp-2m, dpmpp-2m-karras, \
                 dpmpp-2m-exponential, dpmpp-2m-sde, dpmpp-2m-sde-karras, \
                 dpmpp-2m-sde-exponential, pndm, lms, lms-karras, heun, heun-karras, unipc, lcm";
    assert_eq!(SchedulerKind::ALL.map(|kind| kind.to_string()).join(", "), names);
    for kind in SchedulerKind::ALL {
        assert_eq!(kind.name().parse::<SchedulerKind>().unwrap(), kind);
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        assert_eq!(serde_json::from_value::<SchedulerKind>(json!(kind.name())).unwrap(), kind);
    }
    let unknown = "ddpm".parse::<SchedulerKind>().unwrap_err().to_string();
    assert!(unknown.contains("\"ddpm\"") && unknown.contains(names), "{unknown}");
    let unknown = serde_json::from_value::<SchedulerKind>(json!("ddpm")).unwrap_err().to_string();
    assert!(unknown.contains(names), "{unknown}");
}

#[test]
fn image_to_image_begins_where_python_does() {
    assert_eq!(begin_index(50, 0.75, 1).unwrap(), 13);
    // 50 × 0.58 is just below 29 in floating point.
    assert_eq!(begin_index(50, 0.58, 1).unwrap(), 22);
    assert_eq!(begin_index(20, 0.3, 2).unwrap(), 28);
    assert_eq!(begin_index(20, 1.0, 2).unwrap(), 0);
    for (steps, strength) in [(20, 0.04), (20, 0.0), (0, 1.0)] {
        let error = begin_index(steps, strength, 1).unwrap_err().to_string();
        assert!(error.contains("no step"), "{error}");
    }
    for strength in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let error = begin_index(20, strength, 1).unwrap_err();
        assert!(matches!(error, Error::Plan { field: "strength", .. }), "{error}");
    }
}

#[test]
fn step_counts_are_checked() {
    for kind in SchedulerKind::ALL {
        for steps in [0, 1001, usize::MAX] {
            let error = build_json(json!({}), Some(kind), steps).unwrap_err();
            assert!(matches!(&error, Error::Plan { field: "steps", .. }), "{kind}: {error}");
            assert!(error.to_string().contains("1 to 1000"), "{kind}: {error}");
        }
    }
    let lcm = build_json(json!({}), Some(SchedulerKind::Lcm), 51).unwrap_err();
    assert!(lcm.to_string().contains("1 to 50"), "{lcm}");
    let pndm = build_json(json!({}), Some(SchedulerKind::Pndm), 3).unwrap_err();
    assert!(pndm.to_string().contains("at least 4"), "{pndm}");
    // With an offset, the first of 1000 leading steps is past the last timestep.
    let offset = json!({"_class_name": "DDIMScheduler"});
    let refused = build_json(offset, None, 1000);
    assert!(matches!(refused, Err(Error::Plan { field: "steps", .. })));
}

/// Every value that is not implemented is refused by the name of its key.
#[test]
fn what_is_not_implemented_is_named() {
    let dpm = "DPMSolverMultistepScheduler";
    let unipc = "UniPCMultistepScheduler";
    let cases = [
        ("EulerDiscreteScheduler", "beta_schedule", json!("sigmoid")),
        ("EulerDiscreteScheduler", "beta_schedule", json!("exp")),
        ("EulerDiscreteScheduler", "prediction_type", json!("flow_prediction")),
        ("EulerDiscreteScheduler", "timestep_spacing", json!("uniform")),
        ("EulerDiscreteScheduler", "interpolation_type", json!("cubic")),
        ("EulerDiscreteScheduler", "timestep_type", json!("karras")),
        ("EulerDiscreteScheduler", "final_sigmas_type", json!("half")),
        ("EulerDiscreteScheduler", "use_beta_sigmas", json!(true)),
        ("EulerAncestralDiscreteScheduler", "prediction_type", json!("sample")),
        ("PNDMScheduler", "prediction_type", json!("sample")),
        ("HeunDiscreteScheduler", "use_beta_sigmas", json!(true)),
        ("LMSDiscreteScheduler", "use_beta_sigmas", json!(true)),
        (dpm, "use_flow_sigmas", json!(true)),
        (dpm, "algorithm_type", json!("edm")),
        (dpm, "algorithm_type", json!("dpmsolver")),
        (dpm, "solver_type", json!("rk4")),
        (dpm, "variance_type", json!("learned_range")),
        (unipc, "use_flow_sigmas", json!(true)),
        (dpm, "solver_order", json!(4)),
        (unipc, "solver_order", json!(4)),
        (unipc, "solver_p", json!({"_class_name": "DDIMScheduler"})),
        (unipc, "use_dynamic_shifting", json!(true)),
        (unipc, "shift_terminal", json!(0.1)),
        (unipc, "solver_type", json!("rk4")),
        (unipc, "solver_type", json!("bh1")),
        (unipc, "predict_x0", json!(false)),
    ];
    for (class, key, value) in cases {
        let error = build_json(json!({"_class_name": class, key: value}), None, 5).unwrap_err();
        assert!(matches!(&error, Error::Unsupported { .. }), "{class} {key}: {error}");
        assert!(error.to_string().contains(key), "{class} {key}: {error}");
    }
    for class in [json!("DDPMScheduler"), json!(null), json!(3)] {
        let error = build_json(json!({"_class_name": class}), None, 5).unwrap_err().to_string();
        assert!(error.contains("_class_name") && error.contains("UniPCMultistep"), "{error}");
    }
}

#[test]
fn degenerate_configurations_are_errors() {
    let cases = [
        json!({"trained_betas": []}),
        json!({"trained_betas": [], "num_train_timesteps": 0}),
        json!({"trained_betas": [0.1, "NaN"], "num_train_timesteps": 2}),
        json!({"trained_betas": [0.1, 0.2]}),
        json!({"num_train_timesteps": 0}),
        json!({"num_train_timesteps": -1}),
        json!({"num_train_timesteps": 1.5}),
        json!({"num_train_timesteps": u64::MAX}),
        json!({"num_train_timesteps": 1_000_000_000}),
        json!({"beta_start": "NaN"}),
        json!({"beta_start": -0.1, "beta_schedule": "scaled_linear"}),
        json!({"beta_end": "Infinity"}),
        json!({"beta_end": 1e300}),
        json!({"beta_end": 2}),
        json!({"steps_offset": "one", "beta_start": null}),
    ];
    for config in cases {
        for kind in SchedulerKind::ALL {
            let error = build_json(config.clone(), Some(kind), 1).unwrap_err();
            assert!(matches!(error, Error::Malformed { .. }), "{kind} {config}: {error}");
        }
    }
    // Configured bounds of sigma hide what is wrong with the betas, or overflow.
    let bounded = |beta_start: f64, min: f64, max: f64| {
        json!({"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": true,
            "timestep_spacing": "leading", "beta_start": beta_start, "sigma_min": min,
            "sigma_max": max})
    };
    assert!(build_json(bounded(0.0, 0.1, 10.0), None, 5).is_ok());
    for config in [bounded(0.0, 1e-30, 10.0), bounded(0.001, 0.1, 1e30)] {
        let result = build_json(config, None, 5);
        assert!(matches!(result, Err(Error::Malformed { .. })), "{result:?}");
    }
    // Noise cannot be predicted where there is no signal.
    let blind = json!({"rescale_betas_zero_snr": true, "timestep_spacing": "trailing"});
    let error = build_json(blind, Some(SchedulerKind::Ddim), 5).unwrap_err().to_string();
    assert!(error.contains("prediction_type") && error.contains("v_prediction"), "{error}");
}

#[test]
fn a_finished_or_foreign_sample_cannot_step() {
    for kind in SchedulerKind::ALL {
        let scheduler = build_json(json!({}), Some(kind), 4).unwrap();
        let (mut latent, mut noise) = (vec![0.5; 3], Generator::new(0));
        let mut finished = State::begin(scheduler.timesteps().len());
        let mut foreign = State { held: Some(vec![0.0; 2]), ..State::default() };
        for state in [&mut finished, &mut foreign] {
            let before = state.clone();
            let error = scheduler.step(state, &[0.0; 3], &mut latent, &mut noise).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{kind}: {error}");
            assert_eq!((&*state, &latent[..]), (&before, &[0.5; 3][..]));
        }
        let short = scheduler.step(&mut State::default(), &[0.0; 2], &mut latent, &mut noise);
        assert!(matches!(short, Err(Error::Invalid(_))), "{kind}");
    }
}

/// A key with values that it may have; other values are mixed in.
const KEYS: &[(&str, &[&str])] = &[
    ("num_train_timesteps", &["1000", "1", "2", "12", "40"]),
    ("beta_start", &["0.00085", "0", "0.5", "-1", "1e300", "\"NaN\""]),
    ("beta_end", &["0.012", "0", "0.999999", "1"]),
    ("beta_schedule", &["\"linear\"", "\"scaled_linear\"", "\"squaredcos_cap_v2\"", "\"exp\""]),
    ("trained_betas", &["null", "[]", "[0.1]", "[0.1, 0.99]", "[0, 0.999999, 0.5]"]),
    ("prediction_type", &["\"epsilon\"", "\"v_prediction\"", "\"sample\""]),
    ("timestep_spacing", &["\"leading\"", "\"linspace\"", "\"trailing\""]),
    ("timestep_type", &["\"discrete\"", "\"continuous\""]),
    ("interpolation_type", &["\"linear\"", "\"log_linear\""]),
    ("final_sigmas_type", &["\"zero\"", "\"sigma_min\""]),
    ("algorithm_type", &["\"dpmsolver++\"", "\"sde-dpmsolver++\"", "\"dpmsolver\""]),
    ("solver_type", &["\"midpoint\"", "\"heun\"", "\"bh1\"", "\"bh2\""]),
    ("solver_order", &["1", "2", "3", "4"]),
    ("disable_corrector", &["[]", "[0]", "[-1, 2.5]"]),
    ("sigma_min", &["null", "0.05", "0", "-1"]),
    ("sigma_max", &["null", "10", "1e-30", "\"Infinity\""]),
    ("steps_offset", &["0", "1", "999999999"]),
    ("original_inference_steps", &["50", "1", "0"]),
    ("timestep_scaling", &["10", "0", "1e300"]),
    ("lambda_min_clipped", &["\"-Infinity\"", "-5.1", "100", "\"NaN\""]),
    ("clip_sample_range", &["1", "-1", "\"NaN\""]),
    ("dynamic_thresholding_ratio", &["0.995", "0", "1", "2", "-1"]),
    ("sample_max_value", &["1", "0", "-3"]),
    ("variance_type", &["null", "\"fixed_small\""]),
    ("_use_default_values", &["[\"beta_end\", 3]", "7"]),
    ("use_karras_sigmas", FLAG),
    ("use_exponential_sigmas", FLAG),
    ("use_lu_lambdas", FLAG),
    ("rescale_betas_zero_snr", FLAG),
    ("set_alpha_to_one", FLAG),
    ("skip_prk_steps", FLAG),
    ("clip_sample", FLAG),
    ("thresholding", FLAG),
    ("predict_x0", FLAG),
    ("lower_order_final", FLAG),
    ("euler_at_final", FLAG),
];
const FLAG: &[&str] = &["true", "false", "null"];
const CLASSES: [&str; 10] = [
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "DDIMScheduler",
    "DPMSolverMultistepScheduler",
    "PNDMScheduler",
    "LMSDiscreteScheduler",
    "HeunDiscreteScheduler",
    "UniPCMultistepScheduler",
    "LCMScheduler",
    "DEISMultistepScheduler",
];

/// Any JSON value that a key might be given by mistake.
fn junk() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z+-]{0,6}".prop_map(Value::from),
        prop::collection::vec(any::<f32>(), 0..4).prop_map(Value::from),
        Just(json!({"a": null})),
    ]
}

fn pair() -> impl Strategy<Value = (String, Value)> {
    prop::sample::select(KEYS).prop_flat_map(|(key, values)| {
        let value = prop::sample::select(values).prop_map(|text| text.parse().unwrap());
        (Just(key.to_owned()), prop_oneof![30 => value, 1 => junk()])
    })
}

fn state(len: usize) -> impl Strategy<Value = State> {
    let values = prop::collection::vec(any::<f32>(), len);
    (
        prop_oneof![0..9_usize, any::<usize>()],
        prop_oneof![0..20_usize, any::<usize>()],
        prop::collection::vec(values.clone(), 0..6),
        prop::option::of(values),
    )
        .prop_map(|(step, done, history, held)| State { step, done, history, held })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..Default::default() })]

    /// No configuration panics, neither being built nor being stepped with, from any state.
    #[test]
    fn nothing_panics(
        pairs in prop::collection::vec(pair(), 0..9),
        class in prop::sample::select(&CLASSES[..]),
        kind in prop::option::of(prop::sample::select(&SchedulerKind::ALL[..])),
        steps in prop_oneof![20 => 1..9_usize, 1 => 0..1100_usize],
        state in state(5),
    ) {
        let mut values: Map<String, Value> = pairs.into_iter().collect();
        values.insert("_class_name".into(), class.into());
        let config = SchedulerConfig::new(Reader::new("scheduler_config.json", values));
        if let Ok(scheduler) = build(&config, kind, steps) {
            prop_assert!(!scheduler.timesteps().is_empty());
            prop_assert!(scheduler.timesteps().iter().all(|t| t.is_finite()));
            prop_assert!(scheduler.init_noise_sigma().is_finite());
            for mut state in [State::default(), state] {
                let (mut latent, mut noise) = (vec![0.1, -2.0, 1.0, 0.0, 5.0], Generator::new(1));
                for _ in 0..6 {
                    scheduler.scale_model_input(state.step, &mut latent);
                    latent = scheduler.add_noise(state.step, &latent, &[0.5; 5]);
                    let _ = scheduler.step(&mut state, &[0.3; 5], &mut latent, &mut noise);
                }
            }
        }
    }

    /// No text panics.
    #[test]
    fn no_text_panics(text in r#"[{}"\\:, a-zé0-9NaInfity-]{0,40}"#) {
        let _ = Reader::parse("scheduler_config.json", text.as_bytes());
    }
}
