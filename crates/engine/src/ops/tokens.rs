//! Sequences of tokens: scaled, summed, joined.

use super::{Shape, Tensor};

/// Multiplies every token of a single sequence by its weight.
pub fn scale_tokens(x: &mut Tensor, weights: &[f32]) {
    let Shape { batch, channels, .. } = x.shape();
    assert_eq!((batch, x.shape().tokens()), (1, weights.len()), "a weight for each token");
    if !x.is_planned() {
        for (token, weight) in x.values_mut().chunks_exact_mut(channels).zip(weights) {
            token.iter_mut().for_each(|value| *value *= weight);
        }
    }
}

/// The sum of all values; 0 where there are none.
pub fn sum(x: &Tensor) -> f64 {
    x.values().iter().map(|value| f64::from(*value)).sum()
}

/// The tokens of single sequences, one after the other.
pub fn concat_tokens(mut parts: Vec<Tensor>) -> Tensor {
    assert!(!parts.is_empty(), "a sequence at least");
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let tokens = parts.iter().map(|part| part.shape().tokens()).sum();
    let mut out =
        Tensor::empty(Shape { height: tokens, width: 1, ..parts[0].shape() }, parts[0].meter());
    if !out.is_planned() {
        let mut rest = out.values_mut();
        for part in &parts {
            let (next, behind) = rest.split_at_mut(part.values().len());
            next.copy_from_slice(part.values());
            rest = behind;
        }
    }
    out
}
