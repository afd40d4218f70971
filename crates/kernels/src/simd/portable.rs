//! Plain arithmetic, for any processor and for Miri.

#![allow(unsafe_code)]

use super::Simd;

pub(crate) struct Portable;

type V = [f32; 4];

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    // One by one: Miri takes several times as long over `array::from_fn`.
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

impl Simd for Portable {
    type V = V;
    type Integers = V;
    type Half = Self;
    const LANES: usize = 4;
    const ROWS: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> V {
        [value; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> V {
        // SAFETY: the caller's promise of four values.
        unsafe { from.cast::<V>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: V) {
        // SAFETY: the caller's promise of room for four values.
        unsafe { to.cast::<V>().write_unaligned(value) }
    }

    #[inline(always)]
    unsafe fn add(a: V, b: V) -> V {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(a: V, b: V) -> V {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(a: V, b: V) -> V {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn mul_add(a: V, b: V, c: V) -> V {
        // Rounded twice: a fused one without an instruction for it is a slow call.
        zip(zip(a, b, |a, b| a * b), c, |product, c| product + c)
    }

    #[inline(always)]
    unsafe fn max(a: V, b: V) -> V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    unsafe fn round(a: V) -> V {
        a.map(f32::round_ties_even)
    }

    #[inline(always)]
    unsafe fn value(n: V) -> V {
        n
    }

    #[inline(always)]
    unsafe fn scale(a: V, n: V) -> V {
        std::array::from_fn(|i| {
            let exponent = (n[i] as i32 + 127) as u32;
            a[i] * f32::from_bits(exponent << 23)
        })
    }
}
