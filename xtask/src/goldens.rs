//! `cargo xtask goldens`: makes the golden files anew with the reference implementation.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Installs the pinned reference into a Python environment below `target` and runs the scripts of
/// `xtask/goldens`. The files they write are committed; the same versions give the same bytes.
///
/// # Errors
/// Python 3.10 or later is missing, packages cannot be installed, or a script fails.
pub(crate) fn run() -> Result<()> {
    let scripts = workspace::path("xtask/goldens");
    let environment = workspace::path("target/goldens-python");
    let python = environment.join("bin/python");
    if !python.exists() {
        run_command(Command::new("python3").args(["-m", "venv"]).arg(&environment))
            .context("python3 with its venv module is needed")?;
    }
    let requirements = scripts.join("requirements.txt");
    run_command(
        Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(requirements),
    )?;
    let out = workspace::path("crates/engine/tests/goldens");
    run_command(Command::new(&python).arg(scripts.join("make.py")).arg("--out").arg(out))
}

fn run_command(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{:?}", command.get_program()))?;
    if !status.success() {
        bail!("{:?}: {status}", command.get_program());
    }
    Ok(())
}
