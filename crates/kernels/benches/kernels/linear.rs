//! Linear layers: of the transformers at each resolution, and of the text encoder.

use criterion::Criterion;
use diffusion_kernels::linear;

use crate::time;
use crate::values::values;

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
    group.finish();
}

fn kernel(rows: usize, features: usize, outputs: usize) -> impl FnMut() {
    let x = values(rows * features);
    let weight = values(outputs * features);
    let bias = values(outputs);
    let mut out = vec![0.0; rows * outputs];
    move || linear(&mut out, &x, &weight, Some(&bias), features, outputs)
}
