//! A server of its own for a task that calls one.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::python::finish;
use crate::workspace;

/// A server on a free port of loopback, ended when it is dropped. Its worker ends with it.
pub(crate) struct Server {
    child: Child,
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    log: PathBuf,
}

impl Server {
    /// Builds the server as `cargo test` does, and starts it over an empty folder `target/NAME`,
    /// where its log is too.
    ///
    /// # Errors
    /// It cannot be built, or does not start.
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Result<Self> {
        let data = workspace::path("target").join(name);
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        fs::create_dir_all(&data)?;
        let mut build = workspace::cargo();
        finish(build.args(["build", "--quiet", "--locked", "--package", "diffusion-server"]))?;
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace::path("target"), Into::into);
        let log = data.join("log");
        let mut serve = Command::new(target.join("debug/diffusion-server"));
        serve.args(["serve", "--bind", "127.0.0.1:0", "--data"]).arg(&data).args(arguments);
        let mut child = serve.stdout(Stdio::piped()).stderr(File::create(&log)?).spawn()?;
        let output = child.stdout.take().context("the server's output")?;
        let mut server = Self { child, url: String::new(), log };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        match line.trim().strip_prefix("listening on ") {
            Some(url) => server.url = url.to_owned(),
            None => bail!("the server did not start: {line:?}, see {}", server.log.display()),
        }
        Ok(server)
    }

    /// The first API key of a server that demands keys, which it showed when it started.
    ///
    /// # Errors
    /// It showed none.
    pub(crate) fn key(&self) -> Result<String> {
        let log = fs::read_to_string(&self.log)?;
        let key = log.lines().find(|line| line.starts_with("dsk_"));
        key.map(str::to_owned).with_context(|| format!("no key in {}", self.log.display()))
    }

    /// What it wrote to stderr.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
