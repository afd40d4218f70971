//! Linear layers: of the transformers at each resolution, and of the text encoder.

use criterion::Criterion;
use diffusion_kernels::{Epilogue, Gated, Packed, Stored, Then, linear, linear_gated};

use crate::time;
use crate::values::{f16_bytes, values};

/// Rows, features in and out.
const SHAPES: [(usize, usize, usize); 6] = [
    (4096, 320, 320),
    (4096, 320, 2560),
    (1024, 640, 640),
    (1024, 640, 5120),
    (256, 1280, 10240),
    (77, 768, 3072),
];

pub(crate) fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("linear");
    for (rows, features, outputs) in SHAPES {
        let name = format!("{rows}x{features}->{outputs}");
        time(&mut group, &name, rows * features * outputs, kernel(rows, features, outputs));
    }
    for (rows, features, outputs) in [(4096, 320, 1280), (1024, 640, 2560)] {
        let name = format!("{rows}x{features}->{outputs}, GEGLU");
        let multiplications = 2 * rows * features * outputs;
        time(&mut group, &name, multiplications, gated(rows, features, outputs));
    }
    group.finish();
}

fn kernel(rows: usize, features: usize, outputs: usize) -> impl FnMut() {
    let x = values(rows * features);
    let weight = Packed::linear(Stored::F16, &f16_bytes(outputs * features), outputs, features);
    let bias = values(outputs);
    let mut out = vec![0.0; rows * outputs];
    move || {
        let epilogue = Epilogue { bias: Some(&bias), then: Then::Store };
        linear(&mut out, &x, &weight, 1, &epilogue);
    }
}

fn gated(rows: usize, features: usize, outputs: usize) -> impl FnMut() {
    let x = values(rows * features);
    let weight = f16_bytes(2 * outputs * features);
    let layer = Gated::new(Stored::F16, &weight, &values(2 * outputs), outputs, features);
    let mut out = vec![0.0; rows * outputs];
    move || linear_gated(&mut out, &x, &layer)
}
