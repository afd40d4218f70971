//! Where the workspace is, and running cargo in it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// A path relative to the root of the workspace.
pub(crate) fn path(relative: impl AsRef<Path>) -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).join(relative)
}

/// The cargo that runs this task.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// What `rustc` prints, of the toolchain that runs this task.
pub(crate) fn rustc(arguments: &[&str]) -> Result<String> {
    let output = Command::new("rustc").args(arguments).output().context("rustc")?;
    Ok(String::from_utf8(output.stdout)?)
}

/// The target of this machine.
pub(crate) fn host() -> Result<String> {
    let version = rustc(&["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc names no host")
}

/// Runs this task again, built in the release profile.
pub(crate) fn run_in_release() -> Result<ExitCode> {
    let status = cargo()
        .args(["run", "--quiet", "--release", "--package", "xtask", "--manifest-path"])
        .arg(path("Cargo.toml"))
        .arg("--")
        .args(env::args_os().skip(1))
        .status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
