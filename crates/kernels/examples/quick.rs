use diffusion_kernels::*;
use std::time::Instant;
fn vals(n: usize) -> Vec<f32> { (0..n).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.5).collect() }
fn bytes(v: &[f32]) -> Vec<u8> { v.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect() }
fn time(name: &str, gflop: f64, mut f: impl FnMut()) {
    f();
    let mut best = f64::MAX;
    for _ in 0..3 { let t = Instant::now(); f(); best = best.min(t.elapsed().as_secs_f64()); }
    println!("{name:<36} {:8.2} ms  {:7.1} GFLOP/s", best * 1e3, gflop / best);
}
fn main() {
    let which = std::env::args().nth(1).unwrap_or_default();
    println!("{}", instruction_set());
    if "conv".contains(&which) {
    for (side, ci, co, batch, k, stride) in [(64, 320, 320, 2, 3, 1), (64, 960, 320, 2, 3, 1), (32, 640, 640, 2, 3, 1), (16, 1280, 1280, 2, 3, 1), (8, 1280, 1280, 2, 3, 1), (64, 320, 320, 2, 3, 2), (64,320,320,2,1,1),(32,64,64,1,3,1), (256, 256, 256, 1, 3, 1), (512, 128, 128, 1, 3, 1), (512,128,3,1,3,1)] {
        let p = k / 2;
        let shape = ConvShape { source: (side, side), input: (side, side), in_channels: ci, out_channels: co, kernel: k, stride, padding: (p, p) };
        let (h, w) = shape.output();
        let x = vals(batch * side * side * ci);
        let mut out = vec![0.0; batch * h * w * co];
        let b = bytes(&vals(co * ci * k * k));
        let g = 2e-9 * (batch * h * w * co * ci * k * k) as f64;
        let t = Instant::now();
        let weights = ConvWeights::pack(Stored::F16, &b, &shape);
        let pack = t.elapsed().as_secs_f64();
        let t = Instant::now(); drop(ConvWeights::pack(Stored::F16, &b, &shape)); let pack = pack.min(t.elapsed().as_secs_f64());
        time(&format!("conv{k} {side}² {ci}→{co} ×{batch} s{stride} {}", if shape.by_winograd() {"w"} else {"d"}), g, || conv2d(&mut out, &x, &weights, &shape, &Epilogue::default()));
        println!("      pack {:.2} ms", pack * 1e3);
    }}
    if "linear".contains(&which) {
    for (m, k, n) in [(8192, 320, 2560), (8192, 320, 320), (8192,1280,320), (2048, 640, 5120), (512, 1280, 10240), (512, 5120, 1280), (128, 1280, 1280), (77, 768, 768), (1, 1280, 1280)] {
        let x = vals(m * k); let mut out = vec![0.0; m * n];
        let b = bytes(&vals(n * k));
        let t = Instant::now(); let w = Packed::linear(Stored::F16, &b, n, k); let pack = t.elapsed().as_secs_f64();
        time(&format!("linear {m}×{k}→{n}"), 2e-9 * (m * k * n) as f64, || linear(&mut out, &x, &w, 1, &Epilogue::default()));
        println!("      pack {:.2} ms", pack * 1e3);
    }}
    if "attention".contains(&which) {
    for (q, k, heads, d) in [(4096, 4096, 8, 40), (1024, 1024, 8, 80), (4096, 77, 8, 40), (256, 256, 8, 160), (4096, 4096, 1, 512)] {
        let shape = AttentionShape { queries: q, keys: k, heads, head_dim: d, causal: false };
        let (a, b, c) = (vals(q * heads * d), vals(k * heads * d), vals(k * heads * d));
        let mut out = vec![0.0; q * heads * d];
        time(&format!("attention {q}×{k} {heads}×{d}"), 4e-9 * (q * k * heads * d) as f64, || attention(&mut out, &a, &b, &c, &shape));
    }}
}
