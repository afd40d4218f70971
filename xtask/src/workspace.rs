//! Where the workspace is, and running cargo in it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// A path relative to the root of the workspace.
pub(crate) fn path(relative: impl AsRef<Path>) -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).join(relative)
}

/// The cargo that runs this task.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs this task again, built in the release profile.
pub(crate) fn run_in_release() -> anyhow::Result<ExitCode> {
    let status = cargo()
        .args(["run", "--quiet", "--release", "--package", "xtask", "--manifest-path"])
        .arg(path("Cargo.toml"))
        .arg("--")
        .args(env::args_os().skip(1))
        .status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
