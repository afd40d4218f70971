//! Products of bytes on each instruction set: to every 32-bit sum four products of a byte of the left
//! operand and a signed one of the right are added at a time, wrapping.

#![allow(unsafe_code)]

use std::sync::OnceLock;

use crate::gemm::{Arithmetic, Product, Tile};

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// AVX-512 VNNI.
    #[cfg(target_arch = "x86_64")]
    Vnni512,
    /// AVX-VNNI: the same instruction over registers of half the size.
    #[cfg(target_arch = "x86_64")]
    Vnni256,
    /// AVX2, which adds pairs of products with saturation to 16 bits first.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Plain arithmetic.
    Portable,
}

impl Level {
    /// Every instruction set of this processor, the best one first.
    pub(crate) fn available() -> Vec<Self> {
        let mut levels = Vec::new();
        // Miri interprets none of the vector instructions.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
                levels.push(Self::Vnni512);
            }
            if is_x86_feature_detected!("avx2") {
                if is_x86_feature_detected!("avxvnni") {
                    levels.push(Self::Vnni256);
                }
                levels.push(Self::Avx2);
            }
        }
        levels.push(Self::Portable);
        levels
    }

    /// The best one.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// What the instructions take from every byte of the left operand before they multiply.
    pub(super) fn offset(self) -> i32 {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => 128,
            _ => 0,
        }
    }
}

impl Arithmetic for Level {
    type Left = [u8; 4];
    type Right = [i8; 4];
    type Sum = i32;
    const GROUP: usize = 4;

    fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni512 => Vnni512::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Vnni256 => Vnni256::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::LANES,
            Self::Portable => Portable::LANES,
        }
    }

    fn rows(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni512 => Vnni512::ROWS,
            #[cfg(target_arch = "x86_64")]
            Self::Vnni256 => Vnni256::ROWS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::ROWS,
            Self::Portable => Portable::ROWS,
        }
    }

    fn compute(self, product: impl Product<Self>) {
        // SAFETY: a level only comes from `available`, which asked the processor.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Vnni512 => vnni512(product),
                #[cfg(target_arch = "x86_64")]
                Self::Vnni256 => vnni256(product),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => avx2(product),
                Self::Portable => product.run::<Portable>(),
            }
        }
    }
}

/// # Safety
/// The processor has the instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn vnni512(product: impl Product<Level>) {
    // SAFETY: the caller's promise.
    unsafe { product.run::<Vnni512>() }
}

/// # Safety
/// The processor has the instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,avxvnni")]
unsafe fn vnni256(product: impl Product<Level>) {
    // SAFETY: the caller's promise.
    unsafe { product.run::<Vnni256>() }
}

/// # Safety
/// The processor has the instructions.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn avx2(product: impl Product<Level>) {
    // SAFETY: the caller's promise.
    unsafe { product.run::<Avx2>() }
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Vnni256, Vnni512};

#[cfg(target_arch = "x86_64")]
#[allow(clippy::undocumented_unsafe_blocks)] // Each is one instruction, under the trait's promise.
mod x86 {
    use std::arch::x86_64::*;

    use super::{Level, Tile};

    pub(in super::super) struct Vnni512;

    impl Tile<Level> for Vnni512 {
        type Sums = __m512i;
        type Right = __m512i;
        type Left = __m512i;
        const LANES: usize = 16;
        const ROWS: usize = 14;
        type Half = Self;

        #[inline(always)]
        unsafe fn zero() -> __m512i {
            unsafe { _mm512_setzero_si512() }
        }

        #[inline(always)]
        unsafe fn load(from: *const i32) -> __m512i {
            unsafe { _mm512_loadu_si512(from.cast()) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut i32, sums: __m512i) {
            unsafe { _mm512_storeu_si512(to.cast(), sums) }
        }

        #[inline(always)]
        unsafe fn right(from: *const [i8; 4]) -> __m512i {
            unsafe { _mm512_loadu_si512(from.cast()) }
        }

        #[inline(always)]
        unsafe fn left(number: [u8; 4]) -> __m512i {
            unsafe { _mm512_set1_epi32(i32::from_ne_bytes(number)) }
        }

        #[inline(always)]
        unsafe fn add(sums: __m512i, left: __m512i, right: __m512i) -> __m512i {
            unsafe { _mm512_dpbusd_epi32(sums, left, right) }
        }
    }

    pub(in super::super) struct Vnni256;

    impl Tile<Level> for Vnni256 {
        type Sums = __m256i;
        type Right = __m256i;
        type Left = __m256i;
        const LANES: usize = 8;
        const ROWS: usize = 6;
        type Half = Self;

        #[inline(always)]
        unsafe fn zero() -> __m256i {
            unsafe { _mm256_setzero_si256() }
        }

        #[inline(always)]
        unsafe fn load(from: *const i32) -> __m256i {
            unsafe { _mm256_loadu_si256(from.cast()) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut i32, sums: __m256i) {
            unsafe { _mm256_storeu_si256(to.cast(), sums) }
        }

        #[inline(always)]
        unsafe fn right(from: *const [i8; 4]) -> __m256i {
            unsafe { _mm256_loadu_si256(from.cast()) }
        }

        #[inline(always)]
        unsafe fn left(number: [u8; 4]) -> __m256i {
            unsafe { _mm256_set1_epi32(i32::from_ne_bytes(number)) }
        }

        #[inline(always)]
        unsafe fn add(sums: __m256i, left: __m256i, right: __m256i) -> __m256i {
            unsafe { _mm256_dpbusd_avx_epi32(sums, left, right) }
        }
    }

    /// Multiplies magnitudes of activations less 128 (at most 128) with weights of their sign (at
    /// most 127): two such products fit 16 bits, so that nothing saturates.
    pub(in super::super) struct Avx2;

    impl Tile<Level> for Avx2 {
        type Sums = __m256i;
        type Right = __m256i;
        /// Activations less 128, and their magnitudes.
        type Left = (__m256i, __m256i);
        const LANES: usize = 8;
        const ROWS: usize = 4;
        type Half = Self;

        #[inline(always)]
        unsafe fn zero() -> __m256i {
            unsafe { _mm256_setzero_si256() }
        }

        #[inline(always)]
        unsafe fn load(from: *const i32) -> __m256i {
            unsafe { _mm256_loadu_si256(from.cast()) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut i32, sums: __m256i) {
            unsafe { _mm256_storeu_si256(to.cast(), sums) }
        }

        #[inline(always)]
        unsafe fn right(from: *const [i8; 4]) -> __m256i {
            unsafe { _mm256_loadu_si256(from.cast()) }
        }

        #[inline(always)]
        unsafe fn left(number: [u8; 4]) -> (__m256i, __m256i) {
            unsafe {
                let signed = _mm256_set1_epi32(i32::from_ne_bytes(number) ^ 0x8080_8080_u32 as i32);
                (signed, _mm256_abs_epi8(signed))
            }
        }

        #[inline(always)]
        unsafe fn add(sums: __m256i, left: (__m256i, __m256i), right: __m256i) -> __m256i {
            unsafe {
                let right = _mm256_sign_epi8(right, left.0);
                let pairs = _mm256_maddubs_epi16(left.1, right);
                _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
            }
        }
    }
}

/// Plain arithmetic, for any processor and for Miri.
pub(super) struct Portable;

impl Tile<Level> for Portable {
    type Sums = [i32; 4];
    type Right = [[i8; 4]; 4];
    type Left = [u8; 4];
    const LANES: usize = 4;
    const ROWS: usize = 4;
    type Half = Self;

    #[inline(always)]
    unsafe fn zero() -> [i32; 4] {
        [0; 4]
    }

    #[inline(always)]
    unsafe fn load(from: *const i32) -> [i32; 4] {
        // SAFETY: the caller's promise of four sums.
        unsafe { from.cast::<[i32; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(to: *mut i32, sums: [i32; 4]) {
        // SAFETY: the caller's promise of room for four sums.
        unsafe { to.cast::<[i32; 4]>().write_unaligned(sums) }
    }

    #[inline(always)]
    unsafe fn right(from: *const [i8; 4]) -> [[i8; 4]; 4] {
        // SAFETY: the caller's promise of four groups.
        unsafe { from.cast::<[[i8; 4]; 4]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn left(number: [u8; 4]) -> [u8; 4] {
        number
    }

    #[inline(always)]
    unsafe fn add(mut sums: [i32; 4], left: [u8; 4], right: [[i8; 4]; 4]) -> [i32; 4] {
        for (sum, four) in sums.iter_mut().zip(right) {
            for (a, w) in left.into_iter().zip(four) {
                *sum = sum.wrapping_add(i32::from(a) * i32::from(w));
            }
        }
        sums
    }
}
