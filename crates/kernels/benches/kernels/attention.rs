//! Attention: of pixels to pixels, of pixels to a text of 77 tokens, and the VAE's one head.

use criterion::Criterion;
use diffusion_kernels::{AttentionShape, attention};

use crate::time;
use crate::values::values;

/// Queries, keys, heads and channels of a head.
const SHAPES: [(usize, usize, usize, usize); 6] = [
    (4096, 4096, 8, 40),
    (1024, 1024, 8, 80),
    (256, 256, 8, 160),
    (4096, 77, 8, 40),
    (1024, 77, 8, 80),
    (4096, 4096, 1, 512),
];

pub(crate) fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("attention");
    for (queries, keys, heads, head_dim) in SHAPES {
        let shape = AttentionShape { queries, keys, heads, head_dim, causal: false };
        let name = format!("{queries} to {keys}, {heads}x{head_dim}");
        time(&mut group, &name, 2 * queries * keys * heads * head_dim, kernel(shape));
    }
    group.finish();
}

fn kernel(shape: AttentionShape) -> impl FnMut() {
    let channels = shape.heads * shape.head_dim;
    let q = values(shape.queries * channels);
    let k = values(shape.keys * channels);
    let v = values(shape.keys * channels);
    let mut out = vec![0.0; q.len()];
    move || attention(&mut out, &q, &k, &v, &shape)
}
