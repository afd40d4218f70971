//! 3×3 convolutions of stride 1: the UNet's four resolutions, and the VAE's two largest.

use criterion::Criterion;
use diffusion_kernels::{ConvShape, ConvWeights, Epilogue, Stored, Then, conv2d, conv2d_stored};

use crate::time;
use crate::values::{f16_bytes, values};

/// Side of the image, channels in and out.
const SHAPES: [(usize, usize, usize); 8] = [
    (64, 320, 320),
    (32, 640, 640),
    (16, 1280, 1280),
    (8, 1280, 1280),
    // After a skip connection, the widest that there are.
    (64, 960, 320),
    (16, 2560, 1280),
    (512, 128, 128),
    (256, 256, 256),
];

pub(crate) fn all(criterion: &mut Criterion) {
    group(criterion, "conv3x3", kernel);
    group(criterion, "conv3x3, from stored weights", from_stored);
}

fn group<W: FnMut()>(criterion: &mut Criterion, name: &str, work: fn(usize, usize, usize) -> W) {
    let mut group = criterion.benchmark_group(name);
    for (side, channels, filters) in SHAPES {
        let name = format!("{side}x{side} {channels}->{filters}");
        let multiplications = side * side * 9 * channels * filters;
        time(&mut group, &name, multiplications, work(side, channels, filters));
    }
    group.finish();
}

/// A 3×3 convolution that keeps the size.
pub(crate) fn shape(side: usize, channels: usize, filters: usize) -> ConvShape {
    ConvShape {
        source: (side, side),
        input: (side, side),
        in_channels: channels,
        out_channels: filters,
        kernel: 3,
        stride: 1,
        padding: (1, 1),
    }
}

fn kernel(side: usize, channels: usize, filters: usize) -> impl FnMut() {
    let shape = shape(side, channels, filters);
    let x = values(side * side * channels);
    let weights = ConvWeights::pack(Stored::F16, &f16_bytes(filters * 9 * channels), &shape);
    let bias = values(filters);
    let mut out = vec![0.0; side * side * filters];
    move || {
        let epilogue = Epilogue { bias: Some(&bias), then: Then::Store };
        conv2d(&mut out, &x, &weights, &shape, &epilogue);
    }
}

fn from_stored(side: usize, channels: usize, filters: usize) -> impl FnMut() {
    let shape = shape(side, channels, filters);
    let x = values(side * side * channels);
    let weights = f16_bytes(filters * 9 * channels);
    let bias = values(filters);
    let mut out = vec![0.0; side * side * filters];
    move || {
        let epilogue = Epilogue { bias: Some(&bias), then: Then::Store };
        conv2d_stored(&mut out, &x, (Stored::F16, &weights), &shape, &epilogue);
    }
}
