//! Compiles one loop for several instruction sets and picks the widest at run time.

/// Defines a function whose body is compiled for AVX-512, AVX2 and the build's baseline.
///
/// The body uses plain arithmetic (no fused multiply-add), so all versions give the same bytes.
macro_rules! dispatch {
    ($(#[$meta:meta])* $visible:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        #[allow(unsafe_code)]
        $visible fn $name($($arg: $ty),*) {
            #[inline(always)]
            fn body($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
                fn avx512($($arg: $ty),*) {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $ty),*) {
                    body($($arg),*)
                }
                match $crate::simd::Level::best() {
                    // SAFETY: a level is only ever one that the processor has.
                    $crate::simd::Level::Avx512 => unsafe { return avx512($($arg),*) },
                    // SAFETY: as above.
                    $crate::simd::Level::Avx2 => unsafe { return avx2($($arg),*) },
                    $crate::simd::Level::Portable => {}
                }
            }
            body($($arg),*)
        }
    };
}

pub(crate) use dispatch;
