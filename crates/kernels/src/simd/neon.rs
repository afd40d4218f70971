//! NEON: 32 registers of 4 values, which every 64-bit Arm processor has.

#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::{Simd, Task};

pub(crate) struct Neon;

/// Computes `task` with these instructions.
///
/// # Safety
/// The processor has them.
#[target_feature(enable = "neon")]
pub(super) unsafe fn run(task: impl Task) {
    // SAFETY: the caller's promise.
    unsafe { task.run::<Neon>() }
}

#[allow(clippy::undocumented_unsafe_blocks)] // Each is one instruction, under the trait's promise.
impl Simd for Neon {
    type V = float32x4_t;
    type Integers = float32x4_t;
    type Half = Self;
    const LANES: usize = 4;
    const ROWS: usize = 12;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::V {
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: Self::V) {
        unsafe { vst1q_f32(to, value) }
    }

    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }

    #[inline(always)]
    unsafe fn round(a: Self::V) -> Self::V {
        unsafe { vrndnq_f32(a) }
    }

    #[inline(always)]
    unsafe fn value(n: Self::V) -> Self::V {
        n
    }

    #[inline(always)]
    unsafe fn scale(a: Self::V, n: Self::V) -> Self::V {
        unsafe {
            let n = vcvtq_s32_f32(n);
            let exponent = vshlq_n_s32::<23>(vaddq_s32(n, vdupq_n_s32(127)));
            vmulq_f32(a, vreinterpretq_f32_s32(exponent))
        }
    }
}
