//! Counts what this process allocates, so that tests can bound it.

use std::alloc::System;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracking_allocator::{AllocationGroupId, AllocationRegistry, AllocationTracker, Allocator};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

static LARGEST: AtomicUsize = AtomicUsize::new(0);

struct Largest;

impl AllocationTracker for Largest {
    fn allocated(&self, _: usize, size: usize, _: usize, _: AllocationGroupId) {
        LARGEST.fetch_max(size, Ordering::Relaxed);
    }

    fn deallocated(
        &self,
        _: usize,
        _: usize,
        _: usize,
        _: AllocationGroupId,
        _: AllocationGroupId,
    ) {
    }
}

/// Begins to count, unless that was done.
pub(crate) fn count() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        AllocationRegistry::set_global_tracker(Largest).unwrap();
        AllocationRegistry::enable_tracking();
    });
}

/// Bytes of the largest single allocation since [`count`], by whichever test.
pub(crate) fn largest() -> usize {
    LARGEST.load(Ordering::Relaxed)
}

#[test]
fn an_allocation_is_counted_on_every_thread() {
    count();
    // Less than what the tests of models allow.
    const BYTES: usize = (8 << 20) + 3;
    let thread = std::thread::spawn(|| std::hint::black_box(vec![1_u8; BYTES]).len());
    assert_eq!(thread.join().unwrap(), BYTES);
    assert!(largest() >= BYTES);
}
