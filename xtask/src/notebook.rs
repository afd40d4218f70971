//! The notebook of the entire flow, executed against a server of its own.

use std::env;
use std::process::Command;

use anyhow::Result;

use crate::python::{Environment, finish};
use crate::server::Server;
use crate::workspace;

/// Executes every cell of the notebook; what a cell raises is a failure.
const EXECUTE: &str = "
import sys, nbformat
from nbclient import NotebookClient
NotebookClient(nbformat.read(sys.argv[1], as_version=4), timeout=600).execute()
";

/// Starts the server that `cargo test` has built, and executes the notebook. Where there is no
/// Python, a person's machine does without.
///
/// # Errors
/// The server does not start, packages cannot be installed, or a cell fails.
pub(crate) fn run() -> Result<()> {
    let python = match Environment::new("notebook-python", "notebooks/requirements.txt").install() {
        Ok(python) => python,
        Err(error) if env::var_os("CI").is_none_or(|ci| ci != "true") => {
            println!("== skipped: notebook ({error:#})");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    println!("== notebook: run_entire_flow.ipynb");
    let server = Server::start("notebook-data", &[])?;
    finish(
        Command::new(python)
            .args(["-c", EXECUTE])
            .arg(workspace::path("notebooks/run_entire_flow.ipynb"))
            .env("DIFFUSION_SERVER_URL", &server.url),
    )
}
