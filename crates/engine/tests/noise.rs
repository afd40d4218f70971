//! The generator against values drawn by PyTorch (`xtask/goldens/schedulers.py`).

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use diffusion_engine::noise::Generator;
use safetensors::SafeTensors;

const TOLERANCE: f32 = 1e-6;

/// Name, seed, sizes drawn in turn, and the values of all draws.
fn draws() -> Vec<(String, u64, Vec<usize>, Vec<f32>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens/noise.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let described = &header.metadata().as_ref().unwrap()["draws"];
    let described: BTreeMap<String, (String, Vec<usize>)> =
        serde_json::from_str(described).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let values = |name: &str| -> Vec<f32> {
        let data = tensors.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let mut draws: Vec<_> = described
        .into_iter()
        .map(|(name, (seed, sizes))| {
            let values = values(&name);
            (name, seed.parse().unwrap(), sizes, values)
        })
        .collect();
    let (_, seed, sizes, _) = draws.iter().find(|draw| draw.0 == "large").unwrap().clone();
    draws.push(("large.last".into(), seed, sizes, values("large.last")));
    draws
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn equals_torch_randn() {
    let draws = draws();
    assert!(draws.len() > 15);
    let mut largest = 0.0_f32;
    for (name, seed, sizes, expected) in draws {
        let mut generator = Generator::new(seed);
        let drawn: Vec<f32> = sizes.iter().flat_map(|n| generator.randn(*n)).collect();
        let drawn = match name.as_str() {
            "large" => &drawn[..expected.len()],
            "large.last" => &drawn[drawn.len() - expected.len()..],
            _ => &drawn[..],
        };
        assert_eq!(drawn.len(), expected.len(), "{name}");
        let difference = worst(drawn, &expected);
        assert!(difference <= TOLERANCE, "{name}: off by {difference}");
        largest = largest.max(difference);
    }
    println!("largest difference {largest:.2e}");
}

#[test]
fn continues_after_being_written_and_read() {
    let sizes = [3, 16, 2, 5, 40, 1, 700, 3];
    let mut whole = Generator::new(7);
    let expected: Vec<Vec<f32>> = sizes.iter().map(|n| whole.randn(*n)).collect();
    let mut resumed = Generator::new(7);
    for (n, expected) in sizes.iter().zip(expected) {
        let text = serde_json::to_string(&resumed).unwrap();
        resumed = serde_json::from_str(&text).unwrap();
        assert_eq!(resumed.randn(*n), expected);
    }
    assert_eq!(resumed, whole);
}

#[test]
fn refuses_a_broken_state() {
    let state = serde_json::to_value(Generator::new(1)).unwrap();
    let mut short = state.clone();
    short["words"].as_array_mut().unwrap().pop();
    let mut past = state;
    past["next"] = 625.into();
    for broken in [short, past] {
        assert!(serde_json::from_value::<Generator>(broken).is_err());
    }
}

#[test]
fn high_bits_of_the_seed_do_not_count() {
    assert_eq!(Generator::new(1 << 32 | 5), Generator::new(5));
}

#[test]
fn drawing_nothing_changes_nothing() {
    let mut generator = Generator::new(3);
    assert!(generator.randn(0).is_empty());
    assert_eq!(generator, Generator::new(3));
}
