//! Panics of the engine as values, so that they end neither thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::task::{Failure, FailureKind};

/// Does `work`. What it may leave half done after a panic is to be dropped by the caller.
///
/// # Errors
/// The engine refused, or panicked.
pub(super) fn caught<T>(work: impl FnOnce() -> diffusion_engine::Result<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure { kind: FailureKind::Refused, message: error.to_string() }),
        Err(panic) => Err(Failure {
            kind: FailureKind::Panicked,
            message: format!("the engine broke down: {}", told(&*panic)),
        }),
    }
}

fn told(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
