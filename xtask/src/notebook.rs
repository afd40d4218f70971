//! The notebook of the entire flow, executed against a server of its own.

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::python::{Environment, finish};
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
    let data = workspace::path("target/notebook-data");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    let mut build = workspace::cargo();
    finish(build.args(["build", "--quiet", "--locked", "--package", "diffusion-server"]))?;
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace::path("target"), Into::into);
    let mut serve = Command::new(target.join("debug/diffusion-server"));
    serve.args(["serve", "--bind", "127.0.0.1:0", "--data"]).arg(&data);
    let mut server = Server(serve.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
    let address = server.address()?;
    finish(
        Command::new(python)
            .args(["-c", EXECUTE])
            .arg(workspace::path("notebooks/run_entire_flow.ipynb"))
            .env("DIFFUSION_SERVER_URL", address),
    )
}

/// A server, ended when it is dropped. Its worker ends with it.
struct Server(Child);

impl Server {
    /// Where it listens, as it says in its first line.
    fn address(&mut self) -> Result<String> {
        let output = self.0.stdout.take().context("the server's output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        match line.trim().strip_prefix("listening on ") {
            Some(address) => Ok(address.to_owned()),
            None => bail!("the server did not start: {line:?}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
