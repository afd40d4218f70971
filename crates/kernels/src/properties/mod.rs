//! Kernels over random shapes: every instruction set of the machine against the definition in
//! `f64`, and bytes that follow neither the threads nor the batch.
//!
//! Tolerances are the bounds that the arithmetic obeys: a chain of `n` additions of products is
//! off by at most `n` times the unit roundoff times the sum of the products' magnitudes (Higham,
//! "Accuracy and stability of numerical algorithms", 2002, chapter 3).
//!
//! Interpreted by Miri these would take hours; there the unit tests run at smaller shapes.

mod attention;
mod conv;
mod linear;
mod norm;
mod widen;

use std::fmt::Debug;
use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rayon::ThreadPool;

use crate::{Activation, Stored};

/// The unit roundoff of `f32`.
const UNIT: f64 = 1.0 / (1 << 24) as f64;

/// The same `cases` in every run.
fn cases(cases: u32) -> ProptestConfig {
    let rng_seed = RngSeed::Fixed(11);
    ProptestConfig { cases, failure_persistence: None, rng_seed, ..ProptestConfig::default() }
}

/// The exact value, and how far from it a kernel may be.
#[derive(Debug, Clone, Copy, Default)]
struct Exact {
    value: f64,
    bound: f64,
}

impl Exact {
    /// The sum of products in any order.
    fn dot(products: impl Iterator<Item = (f32, f32)>) -> Self {
        let (mut value, mut magnitude, mut count) = (0.0, 0.0, 0.0);
        for (a, b) in products {
            let product = f64::from(a) * f64::from(b);
            value += product;
            magnitude += product.abs();
            count += 1.0;
        }
        Self { value, bound: (count + 1.0) * UNIT * magnitude }
    }

    fn plus(self, other: f32) -> Self {
        let value = self.value + f64::from(other);
        Self { value, bound: self.bound + UNIT * (value.abs() + self.bound) }
    }

    /// `activation` of it; its slope is 1.13 at most, and our own exponential and error function
    /// are off by a few parts in ten millions.
    fn activated(self, activation: Activation) -> Self {
        let x = self.value;
        let value = match activation {
            Activation::Silu => x / (1.0 + (-x).exp()),
            Activation::Gelu => 0.5 * x * (1.0 + erf(x / 2.0_f64.sqrt())),
            Activation::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        };
        Self { value, bound: 1.13 * self.bound + 5e-7 * x.abs() }
    }

    fn times(self, other: Self) -> Self {
        let value = self.value * other.value;
        let bound = self.bound * other.value.abs()
            + other.bound * self.value.abs()
            + self.bound * other.bound;
        Self { value, bound: bound + UNIT * value.abs() }
    }
}

/// The error function by its series, for the few units that tests need.
fn erf(x: f64) -> f64 {
    if x.abs() > 4.0 {
        return x.signum();
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-17 {
        n += 1.0;
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

#[track_caller]
fn within_bounds(got: &[f32], want: &[Exact], what: &dyn Debug) {
    assert_eq!(got.len(), want.len(), "{what:?}");
    for (i, (&got, want)) in got.iter().zip(want).enumerate() {
        let off = (f64::from(got) - want.value).abs();
        assert!(off <= want.bound + 1e-37, "{what:?}: {got} for {want:?} at {i}");
    }
}

/// Runs `work` on one thread or on three.
fn on<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    static ONE: OnceLock<ThreadPool> = OnceLock::new();
    static THREE: OnceLock<ThreadPool> = OnceLock::new();
    let pool = if threads == 1 { &ONE } else { &THREE };
    let build = || rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.get_or_init(build).install(work)
}

fn stored() -> impl Strategy<Value = Stored> {
    prop_oneof![Just(Stored::F32), Just(Stored::F16), Just(Stored::Bf16)]
}

/// Weights as a file has them, and the values that they stand for.
fn weights(stored: Stored, values: &[f32]) -> (Vec<u8>, Vec<f32>) {
    use half::{bf16, f16};
    match stored {
        Stored::F32 => (values.iter().flat_map(|v| v.to_le_bytes()).collect(), values.to_vec()),
        Stored::F16 => {
            let halves: Vec<f16> = values.iter().map(|&v| f16::from_f32(v)).collect();
            let bytes = halves.iter().flat_map(|v| v.to_le_bytes()).collect();
            (bytes, halves.iter().map(|v| v.to_f32()).collect())
        }
        Stored::Bf16 => {
            let halves: Vec<bf16> = values.iter().map(|&v| bf16::from_f32(v)).collect();
            let bytes = halves.iter().flat_map(|v| v.to_le_bytes()).collect();
            (bytes, halves.iter().map(|v| v.to_f32()).collect())
        }
    }
}
