//! Whole files with the wrong tensors in them.

use diffusion_engine::Error;
use safetensors::tensor::Dtype;

use crate::broken::Broken;
use crate::folder::Weight;

/// One tensor of each component: of its first layer, of its last, and one in between.
const TENSORS: [(&str, &[&str]); 3] = [
    (
        "unet",
        &[
            "conv_in.weight",
            "mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight",
            "time_embedding.linear_2.bias",
            "conv_norm_out.weight",
        ],
    ),
    (
        "vae",
        &[
            "quant_conv.weight",
            "encoder.mid_block.attentions.0.group_norm.bias",
            "decoder.conv_out.bias",
        ],
    ),
    (
        "text_encoder",
        &[
            "embeddings.token_embedding.weight",
            "encoder.layers.1.mlp.fc1.weight",
            "final_layer_norm.bias",
        ],
    ),
];

/// Breaks each of [`TENSORS`] in turn; every error must name it and say `words`.
fn each_broken(change: impl Fn(&mut Weight) -> bool, words: &[&str]) {
    let model = Broken::new();
    for (part, names) in TENSORS {
        let good = model.0.weights(part);
        for name in names {
            model.0.change(part, |mut weights| {
                let key = weights.keys().find(|key| key.ends_with(name)).unwrap().clone();
                if !change(weights.get_mut(&key).unwrap()) {
                    weights.remove(&key);
                }
                weights
            });
            let error = model.refused(part, &[name]);
            for word in words {
                assert!(error.to_string().contains(word), "{error} does not say {word}");
            }
            assert!(matches!(error, Error::Tensor { .. }), "{error:?}");
            model.0.change(part, |_| good.clone());
        }
    }
    model.open().unwrap();
}

#[test]
fn a_missing_tensor_is_named() {
    each_broken(|_| false, &["is missing"]);
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both_shapes() {
    each_broken(
        |weight| {
            weight.shape.push(2);
            weight.bytes.extend(weight.bytes.clone());
            true
        },
        &["has shape [", "2], the configuration asks for ["],
    );
    each_broken(
        |weight| {
            weight.shape.insert(0, 0);
            weight.bytes.clear();
            true
        },
        &["has shape [0, "],
    );
}

#[test]
fn transposed_weights_are_refused() {
    let model = Broken::new();
    model.0.change("text_encoder", |mut weights| {
        let fc1 = weights.iter_mut().find(|(name, _)| name.ends_with("layers.0.mlp.fc1.weight"));
        fc1.unwrap().1.shape.reverse();
        weights
    });
    model.refused("text_encoder", &["fc1.weight", "[32, 64]", "[64, 32]"]);
}

#[test]
fn types_that_are_not_computed_with_are_named() {
    for (dtype, name, bits) in [
        (Dtype::I64, "I64", 64),
        (Dtype::F64, "F64", 64),
        (Dtype::I32, "I32", 32),
        (Dtype::U8, "U8", 8),
        (Dtype::BOOL, "BOOL", 8),
        (Dtype::F8_E4M3, "F8_E4M3", 8),
        (Dtype::F8_E5M2, "F8_E5M2", 8),
    ] {
        each_broken(
            |weight| {
                let values = weight.shape.iter().product::<usize>();
                *weight = Weight {
                    dtype,
                    shape: weight.shape.clone(),
                    bytes: vec![0; values * bits / 8],
                };
                true
            },
            &[name, "F16"],
        );
    }
}

#[test]
fn tensors_that_nobody_asks_for_are_ignored_whatever_they_are() {
    let model = Broken::new();
    let odd = |dtype, shape: &[usize], bytes| Weight { dtype, shape: shape.to_vec(), bytes };
    model.0.change("unet", |mut weights| {
        weights.insert("odd.ints".into(), odd(Dtype::I64, &[1], vec![0; 8]));
        weights.insert("odd.none".into(), odd(Dtype::F32, &[0, usize::MAX], vec![]));
        weights.insert("odd.scalar".into(), odd(Dtype::F8_E4M3, &[], vec![0]));
        weights.insert(String::new(), odd(Dtype::U8, &[1], vec![7]));
        weights
    });
    model.open().unwrap();
}

/// Which of the two would be taken must not be left to chance.
#[test]
fn a_tensor_under_an_old_and_a_new_name_at_once_is_refused() {
    let model = Broken::new();
    model.0.change("vae", |mut weights| {
        let (old, new) = ("query.bias", "to_q.bias");
        let key = weights.keys().find(|key| key.ends_with(old) || key.ends_with(new)).unwrap();
        let (key, weight) = (key.clone(), weights[key].clone());
        let stem = key.trim_end_matches(old).trim_end_matches(new);
        weights.insert(format!("{stem}{old}"), weight.clone());
        weights.insert(format!("{stem}{new}"), weight);
        weights
    });
    model.refused("vae", &["to_q.bias", "two names"]);
}
