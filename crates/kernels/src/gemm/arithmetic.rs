//! What products are computed in: an instruction set for one kind of numbers.

use bytemuck::Pod;

use crate::simd::{Level, Simd, Task};

/// An instruction set for products of one kind of numbers. Each of the numbers takes four bytes:
/// an `f32`, or a group of four bytes that follow one another in the inner dimension.
pub(crate) trait Arithmetic:
    Copy + std::fmt::Debug + PartialEq + Send + Sync + 'static
{
    /// The left operand.
    type Left: Pod + Send + Sync;
    /// The right operand.
    type Right: Pod + Send + Sync;
    /// The result.
    type Sum: Pod + Send + Sync;
    /// Values of the inner dimension that make up one number.
    const GROUP: usize;

    /// Columns of one register.
    fn lanes(self) -> usize;
    /// Rows of one register tile.
    fn rows(self) -> usize;
    /// Computes `product`.
    fn compute(self, product: impl Product<Self>);
}

/// Something to compute with register tiles.
pub(crate) trait Product<A: Arithmetic> {
    /// Computes it. Implementations are `#[inline(always)]`.
    ///
    /// # Safety
    /// The processor has the instruction set.
    #[allow(unsafe_code)]
    unsafe fn run<T: Tile<A>>(self);
}

/// The instructions of the register tile.
///
/// # Safety
/// The functions may only run on a processor that has the instruction set; `load`, `store` and
/// `right` need [`Tile::LANES`] numbers at the pointer, of any alignment.
#[allow(unsafe_code, clippy::missing_safety_doc)]
pub(crate) trait Tile<A: Arithmetic> {
    /// A register of sums.
    type Sums: Copy;
    /// One number of the left operand, the same for every sum.
    type Left: Copy;
    /// One number of the right operand for each sum.
    type Right: Copy;
    /// Sums of one register.
    const LANES: usize;
    /// Rows of a register tile.
    const ROWS: usize;
    /// Registers of half the width, where they save time; else itself. A processor that has these
    /// instructions has those.
    type Half: Tile<A>;

    unsafe fn zero() -> Self::Sums;
    unsafe fn load(from: *const A::Sum) -> Self::Sums;
    unsafe fn store(to: *mut A::Sum, sums: Self::Sums);
    unsafe fn left(number: A::Left) -> Self::Left;
    unsafe fn right(from: *const A::Right) -> Self::Right;
    /// `sums + left · right`.
    unsafe fn add(sums: Self::Sums, left: Self::Left, right: Self::Right) -> Self::Sums;
}

impl Arithmetic for Level {
    type Left = f32;
    type Right = f32;
    type Sum = f32;
    const GROUP: usize = 1;

    fn lanes(self) -> usize {
        self.lanes()
    }

    fn rows(self) -> usize {
        self.rows()
    }

    fn compute(self, product: impl Product<Self>) {
        struct Computed<P>(P);

        impl<P: Product<Level>> Task for Computed<P> {
            #[allow(unsafe_code)]
            #[inline(always)]
            unsafe fn run<S: Simd>(self) {
                // SAFETY: the caller's promise.
                unsafe { self.0.run::<S>() }
            }
        }

        self.run(Computed(product));
    }
}

#[allow(unsafe_code, clippy::undocumented_unsafe_blocks)] // Each is one function of the same promise.
impl<S: Simd> Tile<Level> for S {
    type Sums = S::V;
    type Left = S::V;
    type Right = S::V;
    const LANES: usize = S::LANES;
    const ROWS: usize = S::ROWS;
    type Half = S::Half;

    #[inline(always)]
    unsafe fn zero() -> S::V {
        unsafe { S::splat(0.0) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> S::V {
        unsafe { <S as Simd>::load(from) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, sums: S::V) {
        unsafe { <S as Simd>::store(to, sums) }
    }

    #[inline(always)]
    unsafe fn left(number: f32) -> S::V {
        unsafe { S::splat(number) }
    }

    #[inline(always)]
    unsafe fn right(from: *const f32) -> S::V {
        unsafe { <S as Simd>::load(from) }
    }

    #[inline(always)]
    unsafe fn add(sums: S::V, left: S::V, right: S::V) -> S::V {
        unsafe { S::mul_add(left, right, sums) }
    }
}
