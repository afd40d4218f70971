//! Which build this is, as far as results can tell.

/// What two processes must have in common for the same plan to give the same bytes in both:
/// version, sources, compiler, and the instruction set that the kernels use on this machine.
///
/// Stored states carry it, and are continued only by its equal. The build script takes the middle
/// two from the tree that it builds, so that an edit of one line makes another build.
pub fn build_identity() -> String {
    let instruction_set = diffusion_kernels::instruction_set();
    [env!("CARGO_PKG_VERSION"), env!("ENGINE_SOURCES"), env!("ENGINE_COMPILER"), instruction_set]
        .join(" ")
}
