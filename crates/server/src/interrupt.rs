//! Ctrl-C: the first asks the work to stop at the next step, the second ends the process at once.
//! Neither leaves a file half written.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::whole;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Begins to listen for Ctrl-C (and SIGTERM).
///
/// # Errors
/// The operating system allows no handler.
pub(crate) fn listen() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            // Kept to the end, so that no other thread begins a file.
            let _discarded = whole::discard();
            std::process::exit(130);
        }
    })?;
    Ok(())
}

/// Whether the user asked to stop.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Breaks once the user asked to stop.
pub(crate) fn check() -> ControlFlow<()> {
    if requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
