//! Attention.

use proptest::prelude::*;

use super::{Exact, UNIT, cases, on, within_bounds};
use crate::AttentionShape;
use crate::attention::attend;
use crate::simd::Level;
use crate::testing::values;

fn definition(q: &[f32], k: &[f32], v: &[f32], s: &AttentionShape) -> Vec<Exact> {
    let channels = s.heads * s.head_dim;
    let root = (s.head_dim as f64).sqrt();
    let mut out = vec![Exact::default(); q.len()];
    for (head, i) in (0..s.heads).flat_map(|head| (0..s.queries).map(move |i| (head, i))) {
        let part = |x: &[f32], row: usize| -> Vec<f32> {
            x[row * channels + head * s.head_dim..][..s.head_dim].to_vec()
        };
        let query = part(q, i);
        let seen = if s.causal { s.keys.min(i + 1) } else { s.keys };
        let scores: Vec<Exact> = (0..seen)
            .map(|j| Exact::dot(query.iter().copied().zip(part(k, j))))
            .map(|e| Exact { value: e.value / root, bound: e.bound / root })
            .collect();
        let largest = scores.iter().fold(f64::NEG_INFINITY, |a, s| a.max(s.value));
        let weights: Vec<f64> = scores.iter().map(|s| (s.value - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        // Scores off by `e` change a weight by a part `e` of it, and the difference to the
        // largest one is rounded too; the sums add `seen` roundings, the exponentials a few.
        let off = scores.iter().fold(0.0_f64, |a, s| {
            a.max(s.bound + 4.0 * UNIT * s.value.abs() + 2.0 * UNIT * (s.value - largest).abs())
        });
        let relative = 3.0 * off + (2.0 * seen as f64 + 30.0) * UNIT;
        for d in 0..s.head_dim {
            let values = (0..seen).map(|j| f64::from(v[j * channels + head * s.head_dim + d]));
            let (sum, magnitude) = weights
                .iter()
                .zip(values)
                .fold((0.0, 0.0), |(sum, all), (w, v)| (sum + w * v, all + w * v.abs()));
            out[i * channels + head * s.head_dim + d] = Exact {
                value: sum / total,
                bound: relative * (magnitude / total + (sum / total).abs()) + 1e-35,
            };
        }
    }
    out
}

#[test]
fn attention_is_the_definition() {
    let shapes = (
        1_usize..=200,
        1_usize..=560,
        1_usize..=3,
        prop_oneof![4 => 1_usize..=48, 1 => 1_usize..=300],
    );
    proptest!(cases(24), |(shape in shapes, causal: bool, larger in 0.5_f32..12.0)| {
        let (queries, keys, heads, head_dim) = shape;
        let shape = AttentionShape { queries, keys, heads, head_dim, causal };
        let fill = |n: usize, seed, by: f32| -> Vec<f32> {
            values(n * heads * head_dim, seed).iter().map(|v| by * v).collect()
        };
        let (q, k, v) = (fill(queries, 1, larger), fill(keys, 2, larger), fill(keys, 3, 2.0));
        let want = definition(&q, &k, &v, &shape);
        for level in Level::available() {
            let run = || {
                let mut out = vec![f32::NAN; q.len()];
                attend(level, level, &mut out, &q, &k, &v, &shape);
                out
            };
            let got = on(3, run);
            within_bounds(&got, &want, &(level, shape));
            prop_assert_eq!(on(1, run), got, "{:?} {:?}", level, shape);
        }
    });
}
