//! AVX2 with FMA: 16 registers of 8 values.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::{Simd, Task};

pub(crate) struct Avx2;

/// Whether the processor has them.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Computes `task` with these instructions.
///
/// # Safety
/// The processor has them.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run(task: impl Task) {
    // SAFETY: the caller's promise.
    unsafe { task.run::<Avx2>() }
}

/// What a value is added to, to be rounded: at 1.5 · 2^23 two neighbours are one apart. 127 is the
/// bias of exponents.
const ROUND: f32 = 12_582_912.0 + 127.0;

#[allow(clippy::undocumented_unsafe_blocks)] // Each is a few instructions, under the trait's promise.
impl Simd for Avx2 {
    type V = __m256;
    /// Beside [`ROUND`]: the low bits hold the integer and an exponent's bias.
    type Integers = __m256;
    type Half = Self;
    const LANES: usize = 8;
    const ROWS: usize = 6;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::V {
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: Self::V) {
        unsafe { _mm256_storeu_ps(to, value) }
    }

    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn round(a: Self::V) -> Self::V {
        unsafe { _mm256_add_ps(a, _mm256_set1_ps(ROUND)) }
    }

    #[inline(always)]
    unsafe fn value(n: Self::V) -> Self::V {
        unsafe { _mm256_sub_ps(n, _mm256_set1_ps(ROUND)) }
    }

    #[inline(always)]
    unsafe fn scale(a: Self::V, n: Self::V) -> Self::V {
        unsafe {
            let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(n));
            _mm256_mul_ps(a, _mm256_castsi256_ps(exponent))
        }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        unsafe {
            let mut rows = [_mm256_setzero_ps(); 8];
            for (i, row) in rows.iter_mut().enumerate() {
                *row = Self::load(from.add(i * from_stride));
            }
            // Pairs of values, then fours, then halves change places.
            let mut pairs = rows;
            for i in 0..4 {
                pairs[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
                pairs[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
            }
            let mut fours = pairs;
            for i in [0, 4] {
                for j in [0, 1] {
                    let (a, b) = (pairs[i + j], pairs[i + j + 2]);
                    fours[i + 2 * j] = _mm256_shuffle_ps::<0b01_00_01_00>(a, b);
                    fours[i + 2 * j + 1] = _mm256_shuffle_ps::<0b11_10_11_10>(a, b);
                }
            }
            for i in 0..4 {
                let (a, b) = (fours[i], fours[i + 4]);
                Self::store(to.add(i * to_stride), _mm256_permute2f128_ps::<0x20>(a, b));
                Self::store(to.add((i + 4) * to_stride), _mm256_permute2f128_ps::<0x31>(a, b));
            }
        }
    }
}
