//! One way to write a kernel for every instruction set, chosen at run time.
//!
//! A kernel is a [`Task`] written over the vectors of a [`Simd`]; [`Level::run`] compiles it once
//! for each instruction set and calls the one that was asked for.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;

use std::sync::OnceLock;

/// Vectors of `f32` and the shape of the register tile that suits them.
///
/// # Safety
/// The functions may only run on a processor that has the instruction set; `load` and `store`
/// need [`Simd::LANES`] valid values at the pointer, of any alignment, and `transpose` two blocks
/// that do not overlap.
#[allow(unsafe_code, clippy::missing_safety_doc)]
pub(crate) trait Simd {
    /// One register.
    type V: Copy;
    /// Integers from −126 to 127 in the form that makes exponents of them most quickly.
    type Integers: Copy;
    /// Registers of half the width, where they save time; else itself. A processor that has these
    /// instructions has those.
    type Half: Simd;
    /// Values of one register.
    const LANES: usize;
    /// Rows of a register tile: with [`PANEL_VECTORS`] columns of vectors, and the operands, the
    /// accumulators fill the registers.
    const ROWS: usize;

    unsafe fn splat(value: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, value: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`, rounded once where the instruction set can.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The larger of each pair; where one is NaN, `b`.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The nearest integers, either where two are as near, of values from −126 to 127.
    unsafe fn round(a: Self::V) -> Self::Integers;
    /// Integers as values.
    unsafe fn value(n: Self::Integers) -> Self::V;
    /// `a · 2^n`.
    unsafe fn scale(a: Self::V, n: Self::Integers) -> Self::V;

    /// Transposes a block of eight by eight values: its rows of eight are `from_stride` values apart,
    /// those of the result `to_stride`.
    #[inline(always)]
    unsafe fn transpose(from: *const f32, from_stride: usize, to: *mut f32, to_stride: usize) {
        for row in 0..8 {
            for column in 0..8 {
                // SAFETY: the caller's promise of two such blocks, which do not overlap.
                unsafe {
                    *to.add(column * to_stride + row) = *from.add(row * from_stride + column)
                };
            }
        }
    }
}

/// Vectors side by side in a panel of packed weights.
pub(crate) const PANEL_VECTORS: usize = 2;

/// The most rows that a register tile has on any instruction set.
pub(crate) const MAX_ROWS: usize = 14;

/// Something to compute with vectors.
pub(crate) trait Task {
    /// Computes it. Implementations are `#[inline(always)]`, so that they are compiled for the
    /// instruction set of the caller.
    ///
    /// # Safety
    /// The processor has the instruction set.
    #[allow(unsafe_code)]
    unsafe fn run<S: Simd>(self);
}

/// An instruction set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Level {
    /// Every instruction set of this processor, the best one first.
    pub(crate) fn available() -> Vec<Self> {
        let mut levels = Vec::new();
        // Miri interprets none of the vector instructions.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        {
            if avx512::is_available() {
                levels.push(Self::Avx512);
            }
            if avx2::is_available() {
                levels.push(Self::Avx2);
            }
        }
        #[cfg(all(target_arch = "aarch64", not(miri)))]
        levels.push(Self::Neon);
        levels.push(Self::Portable);
        levels
    }

    /// The best one.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// Values of one register.
    pub(crate) fn lanes(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::Avx2::LANES,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => neon::Neon::LANES,
            Self::Portable => portable::Portable::LANES,
        }
    }

    /// Rows of one register tile.
    pub(crate) fn rows(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::Avx512::ROWS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::Avx2::ROWS,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => neon::Neon::ROWS,
            Self::Portable => portable::Portable::ROWS,
        }
    }

    /// Computes `task`.
    #[allow(unsafe_code)]
    pub(crate) fn run(self, task: impl Task) {
        // SAFETY: a level only comes from `available`, which asked the processor.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 => avx512::run(task),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => avx2::run(task),
                #[cfg(target_arch = "aarch64")]
                Self::Neon => neon::run(task),
                Self::Portable => task.run::<portable::Portable>(),
            }
        }
    }
}

/// The instruction set that the kernels use on this machine.
///
/// Results are the same bytes for one build on one instruction set.
pub fn instruction_set() -> &'static str {
    Level::best().name()
}
