//! The clients below `clients`, each run against the server as whoever uses it would run it.
//!
//! A client is a folder with its packages at fixed versions and a program that exits with an error
//! when an answer is not what it should be: `requirements.txt` and `main.py` for Python,
//! `package.json`, `package-lock.json` and the script `start` for Node.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::python::{Environment, finish};
use crate::server::Server;
use crate::workspace;

/// What runs a client.
#[derive(Debug, Clone, Copy)]
enum Runtime {
    Python,
    Node,
}

/// All clients: their folders below `clients`.
const CLIENTS: [(&str, Runtime); 8] = [
    ("openai-python", Runtime::Python),
    ("openai-node", Runtime::Node),
    ("openapi-typescript", Runtime::Node),
    ("webuiapi", Runtime::Python),
    ("open-webui", Runtime::Python),
    ("sillytavern", Runtime::Node),
    ("librechat", Runtime::Node),
    ("sd-parsers", Runtime::Python),
];

/// Run the clients of `clients` against a server that demands keys
#[derive(Debug, Args)]
pub(crate) struct Clients {
    /// The folders of those to run; all if none
    names: Vec<String>,
}

impl Clients {
    /// Runs those that are named, and insists on what they need.
    ///
    /// # Errors
    /// There is no such client; as [`run`].
    pub(crate) fn execute(self) -> Result<()> {
        if self.names.is_empty() {
            return run();
        }
        for name in &self.names {
            let known = CLIENTS.iter().find(|(known, _)| known == name);
            let &(name, runtime) = known.with_context(|| {
                let names = CLIENTS.map(|(name, _)| name).join(", ");
                format!("there is no client {name:?}; there are {names}")
            })?;
            let program = runtime.install(name)?;
            call(name, runtime, &program)?;
        }
        Ok(())
    }
}

/// Runs every client. What it needs and does not find skips it on a person's machine, and fails in
/// CI.
///
/// # Errors
/// The server does not start, or a client finds an answer wrong.
pub(crate) fn run() -> Result<()> {
    for (name, runtime) in CLIENTS {
        match runtime.install(name) {
            Ok(program) => call(name, runtime, &program)?,
            Err(error) if env::var_os("CI").is_none_or(|ci| ci != "true") => {
                println!("== skipped: client {name} ({error:#})");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Runs a client against a server of its own. It is told where the server is and how to enter, in
/// our words and in those of OpenAI's packages.
fn call(name: &str, runtime: Runtime, program: &Path) -> Result<()> {
    println!("== client: {name}");
    let server = Server::start(&format!("clients/{name}-data"), &["--demand-keys"])?;
    let key = server.key()?;
    let mut command = Command::new(program);
    match runtime {
        Runtime::Python => command.arg(workspace::path("clients").join(name).join("main.py")),
        Runtime::Node => command.args(["start", "--silent"]),
    };
    finish(
        command
            .current_dir(folder(name))
            .env("DIFFUSION_SERVER_URL", &server.url)
            .env("DIFFUSION_SERVER_KEY", &key)
            .env("OPENAI_BASE_URL", format!("{}/v1", server.url))
            .env("OPENAI_API_KEY", &key),
    )
    .with_context(|| format!("client {name}; the server's log is {}", server.log().display()))
}

/// Where a client's packages are installed, and where it runs.
fn folder(name: &str) -> PathBuf {
    workspace::path("target/clients").join(name)
}

impl Runtime {
    /// Installs what a client needs, unless it is there, and returns the program that runs it.
    fn install(self, name: &str) -> Result<PathBuf> {
        match self {
            Self::Python => {
                let requirements = format!("clients/{name}/requirements.txt");
                Environment::new(&format!("clients/{name}"), &requirements).install()
            }
            Self::Node => node(name),
        }
    }
}

/// A copy of a client's folder with its packages.
fn node(name: &str) -> Result<PathBuf> {
    let version = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    version.context("node is needed")?;
    let (from, to) = (workspace::path("clients").join(name), folder(name));
    let lock = "package-lock.json";
    let installed = to.join("installed.json");
    let current = fs::read(&installed)
        .is_ok_and(|found| fs::read(from.join(lock)).is_ok_and(|wanted| wanted == found));
    fs::create_dir_all(&to)?;
    for entry in fs::read_dir(&from)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            bail!("clients/{name}: {} is no file", entry.file_name().display());
        }
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    let npm = PathBuf::from(if cfg!(windows) { "npm.cmd" } else { "npm" });
    if !current {
        let arguments = ["ci", "--silent", "--no-audit", "--no-fund"];
        finish(Command::new(&npm).args(arguments).current_dir(&to)).context("npm is needed")?;
        // Last, so that what was left half installed is installed again.
        fs::copy(from.join(lock), installed)?;
    }
    Ok(npm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_a_client_and_every_client_a_folder() {
        let folders = fs::read_dir(workspace::path("clients")).unwrap();
        let mut found: Vec<String> = folders
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        found.sort_unstable();
        let mut known = CLIENTS.map(|(name, _)| name.to_owned());
        known.sort_unstable();
        assert_eq!(found, known);
        for (name, runtime) in CLIENTS {
            let files: &[&str] = match runtime {
                Runtime::Python => &["requirements.txt", "main.py"],
                Runtime::Node => &["package.json", "package-lock.json"],
            };
            for file in files {
                assert!(
                    workspace::path("clients").join(name).join(file).is_file(),
                    "{name}/{file}"
                );
            }
        }
    }
}
