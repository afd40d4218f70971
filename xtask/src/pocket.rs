//! The training code of the demo models, `models/pocket`: its Python environment and its tests.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::python::{Environment, finish};
use crate::workspace;

/// Names a Python that has the packages of `models/pocket/requirements.txt` already.
const PYTHON: &str = "POCKET_PYTHON";

/// `cargo xtask pocket`: makes the environment if it is missing, then trains tiny models.
///
/// # Errors
/// Python 3.10 or later is missing, packages cannot be installed, or a test fails.
pub(crate) fn run() -> Result<()> {
    let python = match env::var_os(PYTHON) {
        Some(python) => PathBuf::from(python),
        None => environment().install()?,
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
    if env::var_os(PYTHON).is_some() || environment().at_hand()?.is_some() {
        return run();
    }
    println!("== skipped: training (cargo xtask pocket installs what it needs and runs it)");
    Ok(())
}

fn environment() -> Environment {
    Environment::new("pocket-python", "models/pocket/requirements.txt")
}
