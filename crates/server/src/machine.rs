//! What this machine has.

use std::num::NonZeroUsize;
use std::sync::LazyLock;

use diffusion_engine::{Options, Precision};
use sysinfo::System;

use crate::config::ByteSize;

/// The part of the memory that models and their work may take where nothing else is said.
const SHARE: f64 = 0.9;

/// Bytes of memory that models and their work may take where nothing else is said: nine tenths of
/// what the machine has, or of what its control group allows. `None` where it cannot be told.
static MEMORY: LazyLock<Option<u64>> = LazyLock::new(|| {
    let mut system = System::new().ok()?;
    system.refresh_memory();
    let group = system.cgroup_limits().map(|limits| limits.total_memory).filter(|all| *all > 0);
    let all = group.unwrap_or(u64::MAX).min(system.total_memory());
    (all > 0).then_some((all as f64 * SHARE) as u64)
});

/// How much of the machine the engine uses, with what it has where nothing else is said.
pub(crate) fn options(
    threads: Option<NonZeroUsize>,
    memory: Option<ByteSize>,
    precision: Precision,
) -> Options {
    let memory_limit = memory.map(|size| size.0).or(*MEMORY);
    Options { threads, memory_limit, precision, ..Options::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_a_limit_unless_another_is_set() {
        let limit = options(None, None, Precision::F32).memory_limit;
        assert!(limit.is_some_and(|limit| limit > 64 << 20), "{limit:?}");
        let set = options(None, Some(ByteSize(5)), Precision::F32).memory_limit;
        assert_eq!(set, Some(5));
    }
}
