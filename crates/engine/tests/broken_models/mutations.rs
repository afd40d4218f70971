//! Files with random bytes changed: they open or do not, but nothing panics.

use diffusion_engine::ModelInfo;
use diffusion_engine::weights::Weights;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use safetensors::tensor::{Dtype, TensorView};

use crate::broken::{
    Broken, GENERATION, INDEX, SCHEDULER, TEXT, UNET, UNET_WEIGHTS, VAE, check_line,
};

/// What happens to a file: bytes set anywhere, then perhaps some cut out.
#[derive(Debug, Clone)]
struct Mutation {
    set: Vec<(prop::sample::Index, u8)>,
    cut: Option<(prop::sample::Index, usize)>,
}

fn mutation() -> impl Strategy<Value = Mutation> {
    // Bytes that mean something in JSON are as likely as all others together.
    let byte =
        prop_oneof![any::<u8>(), proptest::sample::select(b"\"{}[]:,-+.eE019 \\un".to_vec())];
    let set = vec((any::<prop::sample::Index>(), byte), 1..6);
    let cut = proptest::option::of((any::<prop::sample::Index>(), 1_usize..40));
    (set, cut).prop_map(|(set, cut)| Mutation { set, cut })
}

impl Mutation {
    /// Changes `bytes`, of which the first `within` are the target of all changes.
    fn apply(&self, bytes: &mut Vec<u8>, within: usize) {
        for (index, byte) in &self.set {
            bytes[index.index(within)] = *byte;
        }
        if let Some((index, count)) = &self.cut {
            let from = index.index(within);
            let to = (from + count).min(bytes.len());
            bytes.drain(from..to);
        }
    }
}

/// A file of three small tensors; gives it with the length of its header.
fn small_file() -> (Vec<u8>, usize) {
    let bytes: Vec<u8> = (0..48).collect();
    let view = |dtype, shape: &[usize], size| {
        TensorView::new(dtype, shape.to_vec(), &bytes[..size]).unwrap()
    };
    let tensors = [
        ("a", view(Dtype::F32, &[2, 3], 24)),
        ("b", view(Dtype::F16, &[4], 8)),
        ("c", view(Dtype::I64, &[2], 16)),
    ];
    let file = safetensors::serialize(tensors, None).unwrap();
    let header = 8 + u64::from_le_bytes(*file.first_chunk().unwrap()) as usize;
    (file, header)
}

/// Reads all that can be read.
fn read(model: &Broken) {
    match Weights::open(&model.source(), "unet") {
        Ok(weights) => {
            weights.values();
            for (name, shape) in [("a", &[2, 3][..]), ("b", &[4]), ("c", &[2])] {
                match weights.get(name, shape) {
                    Ok(param) => assert_eq!(param.to_f32().len(), shape.iter().product::<usize>()),
                    Err(error) => check_line(&error),
                }
            }
        }
        Err(error) => {
            check_line(&error);
            let path = model.path(UNET_WEIGHTS).display().to_string();
            assert!(error.to_string().starts_with(&path), "{error}");
        }
    }
}

fn cases(cases: u32) -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(7);
    ProptestConfig { cases, failure_persistence: None, rng_seed, ..ProptestConfig::default() }
}

#[test]
fn a_header_with_a_bit_flipped_opens_or_does_not() {
    let model = Broken::new();
    let (file, header) = small_file();
    // All bits of the header's length, then two of every byte.
    let length = 0..64;
    let json = (8..header).flat_map(|byte| [8 * byte + byte % 7, 8 * byte + 7]);
    for bit in length.chain(json) {
        let mut bytes = file.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        model.write(UNET_WEIGHTS, bytes);
        read(&model);
    }
}

#[test]
fn weights_with_random_bytes_open_or_do_not() {
    let model = Broken::new();
    let (file, header) = small_file();
    proptest!(cases(256), |(mutation in mutation(), anywhere: bool)| {
        let mut bytes = file.clone();
        let within = if anywhere { bytes.len() } else { header };
        mutation.apply(&mut bytes, within);
        model.write(UNET_WEIGHTS, bytes);
        read(&model);
    });
}

#[test]
fn a_whole_model_with_a_mutated_header_opens_or_does_not() {
    let model = Broken::new();
    let good = model.read(UNET_WEIGHTS);
    let header = 8 + u64::from_le_bytes(*good.first_chunk().unwrap()) as usize;
    proptest!(cases(64), |(mutation in mutation())| {
        let mut bytes = good.clone();
        mutation.apply(&mut bytes, header);
        model.write(UNET_WEIGHTS, bytes);
        let _ = model.open();
    });
}

#[test]
fn configurations_with_random_bytes_are_read_or_are_not() {
    let model = Broken::new();
    for file in [INDEX, UNET, VAE, TEXT, SCHEDULER, GENERATION] {
        let good = model.read(file);
        proptest!(cases(64), |(mutation in mutation())| {
            let mut bytes = good.clone();
            let length = bytes.len();
            mutation.apply(&mut bytes, length);
            model.write(file, bytes);
            if let Err(error) = ModelInfo::read(&model.source()) {
                check_line(&error);
            }
        });
        model.write(file, good);
    }
}

#[test]
fn tokenizers_with_random_bytes_open_or_do_not() {
    let (parts, whole) = (Broken::new(), Broken::with_tokenizer_json());
    for (model, file) in [
        (&parts, "tokenizer/vocab.json"),
        (&parts, "tokenizer/merges.txt"),
        (&parts, "tokenizer/tokenizer_config.json"),
        (&parts, "tokenizer/special_tokens_map.json"),
        (&whole, "tokenizer/tokenizer.json"),
    ] {
        let good = model.read(file);
        proptest!(cases(32), |(mutation in mutation())| {
            let mut bytes = good.clone();
            let length = bytes.len();
            mutation.apply(&mut bytes, length);
            model.write(file, bytes);
            let _ = model.open();
        });
        model.write(file, good);
    }
}
