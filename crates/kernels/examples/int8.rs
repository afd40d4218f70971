//! Layers of Stable Diffusion 1.5 in 8-bit integers and in `f32`, in turn: times, their ratio, and
//! how far the results are apart.

use std::time::Instant;

use diffusion_kernels as kernels;
use kernels::{ConvShape, ConvWeights, Epilogue, Packed, Stored, int8};

/// About normally distributed values; others for each `seed`.
fn values(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..n).map(|_| (0..12).map(|_| uniform()).sum()).collect()
}

fn halves(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect()
}

/// Milliseconds of the fastest of a few turns of each.
fn fastest(mut turns: [&mut dyn FnMut(); 2]) -> [f64; 2] {
    let mut best = [f64::MAX; 2];
    for _ in 0..6 {
        for (turn, best) in turns.iter_mut().zip(&mut best) {
            let start = Instant::now();
            turn();
            *best = best.min(1e3 * start.elapsed().as_secs_f64());
        }
    }
    best
}

/// The root of the mean square of the differences, over that of the wanted values, in percent.
fn error(got: &[f32], want: &[f32]) -> f64 {
    let squares = |values: &mut dyn Iterator<Item = f32>| -> f64 {
        values.map(|v| f64::from(v).powi(2)).sum()
    };
    let differences = squares(&mut got.iter().zip(want).map(|(g, w)| g - w));
    100.0 * (differences / squares(&mut want.iter().copied())).sqrt()
}

fn report(name: &str, run: [f64; 2], pack: [f64; 2], error: f64) {
    let [f32_run, int8_run] = run;
    println!(
        "{name:<28} f32 {f32_run:8.2} ms  int8 {int8_run:8.2} ms  {:5.2}×   packing {:7.2} / {:7.2} ms   error {error:4.2} %",
        f32_run / int8_run,
        pack[0],
        pack[1],
    );
}

fn main() {
    for (rows, inputs, outputs) in [
        (8192, 320, 320),
        (8192, 320, 2560),
        (8192, 1280, 320),
        (2048, 640, 5120),
        (512, 1280, 1280),
        (512, 5120, 1280),
        (128, 1280, 1280),
        (77, 768, 768),
    ] {
        let (x, weight) = (values(rows * inputs, 1), halves(&values(inputs * outputs, 2)));
        let mut out = vec![0.0; rows * outputs];
        let pack = || Packed::linear(Stored::F16, &weight, outputs, inputs);
        let quantise = || int8::Packed::linear(Stored::F16, &weight, outputs, inputs);
        let packing = fastest([&mut || drop(pack()), &mut || drop(quantise())]);
        let (packed, quantised) = (pack(), quantise());
        let mut other = out.clone();
        let none = Epilogue::default();
        let run = fastest([&mut || kernels::linear(&mut out, &x, &packed, 1, &none), &mut || {
            int8::linear(&mut other, &x, &quantised, 1, &none)
        }]);
        report(&format!("linear {rows}×{inputs}→{outputs}"), run, packing, error(&other, &out));
    }
    for (side, inputs, outputs, kernel, stride) in [
        (64, 320, 320, 3, 1),
        (64, 960, 320, 3, 1),
        (32, 640, 640, 3, 1),
        (16, 1280, 1280, 3, 1),
        (8, 1280, 1280, 3, 1),
        (64, 320, 320, 3, 2),
        (256, 256, 256, 3, 1),
        (32, 32, 32, 3, 1),
        (32, 64, 64, 3, 1),
    ] {
        let pad = kernel / 2;
        let shape = ConvShape {
            source: (side, side),
            input: (side, side),
            in_channels: inputs,
            out_channels: outputs,
            kernel,
            stride,
            padding: (pad, pad),
        };
        let batch = if side > 64 { 1 } else { 2 };
        let x = values(batch * side * side * inputs, 1);
        let weight = halves(&values(inputs * outputs * kernel * kernel, 2));
        let (height, width) = shape.output();
        let mut out = vec![0.0; batch * height * width * outputs];
        let pack = || ConvWeights::pack(Stored::F16, &weight, &shape);
        let quantise = || int8::ConvWeights::pack(Stored::F16, &weight, &shape);
        let packing = fastest([&mut || drop(pack()), &mut || drop(quantise())]);
        let (packed, quantised) = (pack(), quantise());
        let mut other = out.clone();
        let none = Epilogue::default();
        let run =
            fastest([&mut || kernels::conv2d(&mut out, &x, &packed, &shape, &none), &mut || {
                int8::conv2d(&mut other, &x, &quantised, &shape, &none)
            }]);
        let form = if shape.by_winograd() { " (Winograd)" } else { "" };
        report(
            &format!("conv{kernel}/{stride} {side}² {inputs}→{outputs}{form}"),
            run,
            packing,
            error(&other, &out),
        );
    }
}
