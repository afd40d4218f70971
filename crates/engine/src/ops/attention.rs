//! Attention.

use diffusion_kernels as kernels;
use diffusion_kernels::{AttentionShape, int8};

use super::{Precision, Tensor};

/// Keys and values of one conditioning for one cross-attention layer: `[1, tokens, channels]`.
#[derive(Debug)]
pub struct KeyValue {
    /// Keys.
    pub key: Tensor,
    /// Values.
    pub value: Tensor,
}

/// Every token of a batch row attends to every token of the same row. In 8-bit integers only scores
/// are computed.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, precision: Precision) -> Tensor {
    attend(q, heads, false, precision, |i| Source { key: k, value: v, row: i })
}

/// Every token attends to itself and to those before it.
pub fn causal_attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize) -> Tensor {
    attend(q, heads, true, Precision::F32, |i| Source { key: k, value: v, row: i })
}

/// Every token of batch row `i` attends to the tokens of `conditioning[i]`.
pub fn cross_attention(q: &Tensor, conditioning: &[&KeyValue], heads: usize) -> Tensor {
    assert_eq!(conditioning.len(), q.shape().batch, "one conditioning for each batch row");
    attend(q, heads, false, Precision::F32, |i| {
        let KeyValue { key, value } = conditioning[i];
        Source { key, value, row: 0 }
    })
}

/// The batch row that holds keys and values.
struct Source<'a> {
    key: &'a Tensor,
    value: &'a Tensor,
    row: usize,
}

fn attend<'a>(
    q: &Tensor,
    heads: usize,
    causal: bool,
    precision: Precision,
    source: impl Fn(usize) -> Source<'a>,
) -> Tensor {
    let mut out = Tensor::empty(q.shape(), q.meter());
    for i in 0..q.shape().batch {
        let Source { key, value, row } = source(i);
        let shape = AttentionShape {
            queries: q.shape().tokens(),
            keys: key.shape().tokens(),
            heads,
            head_dim: q.shape().channels / heads,
            causal,
        };
        let _scratch = q.meter().take(match precision {
            Precision::F32 => kernels::attention_scratch(&shape),
            Precision::Int8 => int8::attention_scratch(&shape),
        });
        if q.is_planned() {
            continue;
        }
        let (out, q, k, v) = (out.row_mut(i), q.row(i), key.row(row), value.row(row));
        match precision {
            Precision::F32 => kernels::attention(out, q, k, v, &shape),
            Precision::Int8 => int8::attention(out, q, k, v, &shape),
        }
    }
    out
}
