//! The training code of the demo models, `models/pocket`: its Python environment and its tests.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Names a Python that has the packages of `models/pocket/requirements.txt` already.
const PYTHON: &str = "POCKET_PYTHON";

/// `cargo xtask pocket`: makes the environment if it is missing, then trains tiny models.
///
/// # Errors
/// Python 3.10 or later is missing, packages cannot be installed, or a test fails.
pub(crate) fn run() -> Result<()> {
    let python = match at_hand()? {
        Some(python) => python,
        None => install()?,
    };
    println!("== training: {} test_smoke.py", python.display());
    finish(
        Command::new(python)
            .arg("test_smoke.py")
            .current_dir(workspace::path("models/pocket"))
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )
}

/// The same as a part of `cargo xtask test`, where the environment is there. The packages are some
/// gigabytes (PyTorch's wheel brings libraries for GPUs), too much for every machine that runs the
/// tests, so that nothing but `cargo xtask pocket` installs them.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_if_installed() -> Result<()> {
    if at_hand()?.is_some() {
        return run();
    }
    println!("== skipped: training (cargo xtask pocket installs what it needs and runs it)");
    Ok(())
}

/// The Python that the variable names, or the environment if it is complete and up to date.
fn at_hand() -> Result<Option<PathBuf>> {
    if let Some(python) = env::var_os(PYTHON) {
        return Ok(Some(python.into()));
    }
    let wanted = fs::read(requirements())?;
    let current = fs::read(installed_mark()).is_ok_and(|found| found == wanted);
    Ok(current.then(|| python_in(&environment())))
}

fn install() -> Result<PathBuf> {
    let python = python_in(&environment());
    if !python.exists() {
        finish(Command::new("python3").args(["-m", "venv"]).arg(environment()))
            .context("python3 with its venv module is needed")?;
    }
    let pip = ["-m", "pip", "install", "-q", "-r"];
    finish(Command::new(&python).args(pip).arg(requirements()))?;
    // Last, so that an environment that was left half made is made again.
    fs::copy(requirements(), installed_mark())?;
    Ok(python)
}

fn environment() -> PathBuf {
    workspace::path("target/pocket-python")
}

fn installed_mark() -> PathBuf {
    environment().join("installed.txt")
}

fn requirements() -> PathBuf {
    workspace::path("models/pocket/requirements.txt")
}

fn python_in(environment: &Path) -> PathBuf {
    environment.join("bin/python")
}

fn finish(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{:?}", command.get_program()))?;
    if !status.success() {
        bail!("{:?}: {status}", command.get_program());
    }
    Ok(())
}
