//! Python environments below `target`, each made from a file of requirements.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// An environment that may be there or not.
pub(crate) struct Environment {
    folder: PathBuf,
    requirements: PathBuf,
}

impl Environment {
    /// The environment `target/NAME` with the packages that a file lists.
    pub(crate) fn new(name: &str, requirements: &str) -> Self {
        Self {
            folder: workspace::path("target").join(name),
            requirements: workspace::path(requirements),
        }
    }

    /// Its Python, if it is complete and up to date.
    pub(crate) fn at_hand(&self) -> Result<Option<PathBuf>> {
        let wanted = fs::read(&self.requirements)?;
        let current = fs::read(self.mark()).is_ok_and(|found| found == wanted);
        Ok(current.then(|| self.python()))
    }

    /// Its Python, made complete first if it is not.
    pub(crate) fn install(&self) -> Result<PathBuf> {
        if let Some(python) = self.at_hand()? {
            return Ok(python);
        }
        let python = self.python();
        if !python.exists() {
            finish(Command::new("python3").args(["-m", "venv"]).arg(&self.folder))
                .context("python3 with its venv module is needed")?;
        }
        let pip = ["-m", "pip", "install", "-q", "-r"];
        finish(Command::new(&python).args(pip).arg(&self.requirements))?;
        // Last, so that an environment that was left half made is made again.
        fs::copy(&self.requirements, self.mark())?;
        Ok(python)
    }

    fn mark(&self) -> PathBuf {
        self.folder.join("installed.txt")
    }

    fn python(&self) -> PathBuf {
        let inside = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
        self.folder.join(Path::new(inside))
    }
}

/// Runs a command that must succeed.
pub(crate) fn finish(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
