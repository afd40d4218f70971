//! The memory that this process took at its peak.

/// Peak resident memory in MB (10⁶ bytes), where the operating system tells it.
#[cfg(unix)]
pub(super) fn peak_memory_mb() -> Option<f64> {
    use nix::sys::resource::{UsageWho, getrusage};
    let peak = getrusage(UsageWho::RUSAGE_SELF).ok()?.max_rss() as f64;
    // Linux and the BSDs count in KiB, macOS in bytes.
    Some(if cfg!(target_os = "macos") { peak / 1e6 } else { peak * 1024.0 / 1e6 })
}

/// Peak resident memory in MB (10⁶ bytes), where the operating system tells it.
#[cfg(not(unix))]
pub(super) fn peak_memory_mb() -> Option<f64> {
    None
}
