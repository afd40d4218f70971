//! Norms, which the memory's speed bounds. Throughput counts values.

use criterion::Criterion;
use diffusion_kernels::{group_norm, layer_norm};

use crate::time;
use crate::values::values;

/// Pixels or tokens, and channels, of the UNet's upper three resolutions.
const UNET: [(usize, usize); 3] = [(64 * 64, 320), (32 * 32, 640), (16 * 16, 1280)];
/// The VAE's largest image.
const VAE: (usize, usize) = (512 * 512, 128);

pub(crate) fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("group norm + SiLU");
    for (pixels, channels) in UNET.into_iter().chain([VAE]) {
        time(&mut group, &name(pixels, channels), pixels * channels, norm_silu(pixels, channels));
    }
    group.finish();

    let mut group = criterion.benchmark_group("layer norm");
    for (tokens, channels) in UNET {
        time(&mut group, &name(tokens, channels), tokens * channels, norm(tokens, channels));
    }
    group.finish();
}

fn name(rows: usize, channels: usize) -> String {
    format!("{rows}x{channels}")
}

fn norm_silu(pixels: usize, channels: usize) -> impl FnMut() {
    let x = values(pixels * channels);
    let (weight, bias) = (values(channels), values(channels));
    let mut out = vec![0.0; x.len()];
    move || group_norm(&mut out, &x, &weight, &bias, 32, 1e-5, true)
}

fn norm(tokens: usize, channels: usize) -> impl FnMut() {
    let x = values(tokens * channels);
    let (weight, bias) = (values(channels), values(channels));
    let mut out = vec![0.0; x.len()];
    move || layer_norm(&mut out, &x, &weight, &bias, 1e-5)
}
