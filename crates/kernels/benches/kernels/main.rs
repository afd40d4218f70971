//! The kernels at the shapes of Stable Diffusion 1.5, one batch row at a time.
//!
//! `cargo bench -p diffusion-kernels` runs all of them, with a name after `--` those that contain
//! it. Throughput counts multiply-adds as elements (3×3 convolutions those of the direct method,
//! whatever the kernel really does), and values where there is next to nothing to multiply.
//! `RAYON_NUM_THREADS` sets the threads.

mod attention;
mod conv;
mod linear;
mod packing;
mod pointwise;
mod values;

use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};

criterion_group! {
    name = kernels;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = conv::all, linear::all, attention::all, pointwise::all, packing::all
}
criterion_main!(kernels);

type Group<'a> = BenchmarkGroup<'a, criterion::measurement::WallTime>;

/// Times `work`, of that many `elements`.
fn time(group: &mut Group<'_>, name: &str, elements: usize, mut work: impl FnMut()) {
    group.throughput(Throughput::Elements(elements as u64));
    group.bench_function(name, |bencher| bencher.iter(&mut work));
}
