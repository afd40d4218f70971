//! Activations to bytes.

use rayon::prelude::*;

use crate::dispatch::dispatch;
use crate::math;
use crate::parallel::{CHUNK, rows_per_chunk};

/// How a row of activations became bytes: `x ≈ scale · (byte − zero)`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[repr(C)]
pub(super) struct Quantum {
    pub(super) scale: f32,
    pub(super) zero: i32,
}

// SAFETY: two numbers of four bytes, of which zeros are valid ones.
#[allow(unsafe_code)]
unsafe impl bytemuck::Zeroable for Quantum {}

// SAFETY: no bytes between them, and all bits are valid.
#[allow(unsafe_code)]
unsafe impl bytemuck::Pod for Quantum {}

impl Quantum {
    /// How these values become bytes.
    pub(super) fn of(values: &[f32]) -> Self {
        Span::of(values).quantum()
    }
}

/// What some values span.
#[derive(Debug, Clone, Copy)]
struct Span {
    low: f32,
    high: f32,
    /// None is infinite or not a number.
    finite: bool,
}

impl Span {
    fn of(values: &[f32]) -> Self {
        let mut span = Self { low: 0.0, high: 0.0, finite: true };
        measure(&mut span, values);
        span
    }

    fn with(self, other: Self) -> Self {
        Self {
            low: if other.low < self.low { other.low } else { self.low },
            high: if other.high > self.high { other.high } else { self.high },
            finite: self.finite && other.finite,
        }
    }

    /// 256 steps from the lowest value (or 0) to the highest (or 0): 0 is exactly a byte, which
    /// padding relies on. Where a value is not finite, the scale is not a number, so that it shows
    /// in every result, as it would in `f32`.
    fn quantum(self) -> Quantum {
        let scale = (self.high - self.low) / 255.0;
        if !self.finite || !scale.is_finite() {
            Quantum { scale: f32::NAN, zero: 0 }
        } else if scale < SMALLEST {
            Quantum { scale: 0.0, zero: 0 }
        } else {
            Quantum { scale, zero: (-self.low / scale).round().clamp(0.0, 255.0) as i32 }
        }
    }
}

/// Scales whose reciprocal could overflow count as 0.
pub(super) const SMALLEST: f32 = 1e-30;

/// Quantises each row of `x[rows, width]` by itself into a row of `out[rows, stride]`, whose rest
/// is filled with zeros.
pub(super) fn rows(out: &mut [u8], quanta: &mut [Quantum], x: &[f32], width: usize, stride: usize) {
    let chunk = rows_per_chunk(width);
    out.par_chunks_mut(chunk * stride)
        .zip(quanta.par_chunks_mut(chunk))
        .zip(x.par_chunks(chunk * width))
        .for_each(|((out, quanta), x)| {
            let rows = out.chunks_exact_mut(stride).zip(quanta).zip(x.chunks_exact(width));
            rows.for_each(|((out, quantum), x)| *quantum = row(out, x));
        });
}

/// Quantises one row on this thread.
pub(super) fn row(out: &mut [u8], x: &[f32]) -> Quantum {
    let quantum = Quantum::of(x);
    let (values, rest) = out.split_at_mut(x.len());
    quantise(values, x, quantum);
    rest.fill(0);
    quantum
}

/// Quantises `x` as a whole.
pub(super) fn whole(out: &mut [u8], x: &[f32]) -> Quantum {
    let spans = x.par_chunks(CHUNK).map(Span::of);
    let empty = || Span { low: 0.0, high: 0.0, finite: true };
    // The least, the greatest and `and`: the order does not matter.
    let quantum = spans.reduce(empty, Span::with).quantum();
    out.par_chunks_mut(CHUNK)
        .zip(x.par_chunks(CHUNK))
        .for_each(|(out, x)| quantise(out, x, quantum));
    quantum
}

dispatch! {
    fn measure(span: &mut Span, values: &[f32]) {
        span.low = math::fold(values, 0.0, |a, b| if b < a { b } else { a });
        span.high = math::fold(values, 0.0, |a, b| if b > a { b } else { a });
        let largest = values.iter().fold(0, |a, b| (b.to_bits() & 0x7fff_ffff).max(a));
        span.finite = largest < f32::INFINITY.to_bits();
    }
}

/// The nearest integer, of small numbers, in the low bits.
#[inline(always)]
pub(super) fn nearest(value: f32) -> u32 {
    // Adding 1.5 · 2^23 leaves no room for digits behind the point.
    (value + 12_582_912.0).to_bits()
}

dispatch! {
    pub(super) fn quantise(out: &mut [u8], x: &[f32], quantum: Quantum) {
        let Quantum { scale, zero } = quantum;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let zero = zero as f32;
        for (o, v) in out.iter_mut().zip(x) {
            let v = v * inverse + zero;
            let v = if v > 0.0 { v } else { 0.0 };
            let v = if v < 255.0 { v } else { 255.0 };
            *o = nearest(v) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::values;

    #[test]
    fn int8_bytes_stand_for_their_values() {
        for n in [1, 15, 64, 333] {
            for shift in [-2.0, 0.0, 0.3, 5.0] {
                let x: Vec<f32> = values(n, 3).iter().map(|v| 4.0 * v + shift).collect();
                let mut bytes = vec![9; n + 3];
                let Quantum { scale, zero } = row(&mut bytes, &x);
                assert_eq!(bytes[n..], [0; 3]);
                for (b, x) in bytes.iter().zip(&x) {
                    let back = scale * (i32::from(*b) - zero) as f32;
                    assert!((back - x).abs() <= 0.5001 * scale, "{back} for {x}");
                }
                let mut same = vec![0; n];
                assert_eq!(whole(&mut same, &x), Quantum { scale, zero });
                assert_eq!(same, bytes[..n]);
            }
        }
    }

    #[test]
    fn int8_rows_of_zeros_and_of_no_numbers_are_told_apart() {
        let mut bytes = [7; 2];
        assert_eq!(row(&mut bytes, &[0.0, -0.0]), Quantum { scale: 0.0, zero: 0 });
        assert_eq!(bytes, [0, 0]);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(row(&mut bytes, &[1.0, bad]).scale.is_nan());
        }
    }
}
