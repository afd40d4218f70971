//! `cargo xtask test`: format, lints and every test, as CI runs them.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

#[cfg(target_os = "linux")]
use crate::chaos;
use crate::{clients, notebook, pocket, workspace};

/// The checks that cargo runs: what they are called, and its arguments.
const CHECKS: [(&str, &[&str]); 4] = [
    ("format", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    ("tests", &["test", "--workspace", "--locked"]),
    ("documentation", &["doc", "--workspace", "--no-deps", "--locked", "--quiet"]),
];

/// What is checked of the dependencies, by `deny.toml`. The lock file must be right already.
const DENY: [&str; 5] = ["--locked", "check", "bans", "licenses", "sources"];

/// The version of cargo-deny that is installed where there is none.
const DENY_VERSION: &str = "0.20.2";

/// Runs all checks; the first that fails ends the run.
///
/// # Errors
/// A check fails or cannot be started.
pub(crate) fn run() -> Result<()> {
    for (name, arguments) in CHECKS {
        check(name, workspace::cargo().args(arguments))?;
    }
    #[cfg(target_os = "linux")]
    {
        println!("== faults: cargo xtask chaos, briefly");
        chaos::brief()?;
    }
    match cargo_deny()? {
        Some(mut deny) => check("dependencies", deny.args(DENY))?,
        None => println!("== skipped: dependencies (cargo install --locked cargo-deny)"),
    }
    notebook::run()?;
    clients::run()?;
    pocket::run_if_installed()?;
    println!("== all checks passed");
    Ok(())
}

fn check(name: &str, command: &mut Command) -> Result<()> {
    let program = Path::new(command.get_program()).file_stem();
    let words = program.into_iter().chain(command.get_args()).map(OsStr::to_string_lossy);
    println!("== {name}: {}", words.collect::<Vec<_>>().join(" "));
    let status = command
        .current_dir(workspace::path(""))
        // A warning in the documentation is a broken link or name.
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()?;
    if !status.success() {
        bail!("{name}: {status}");
    }
    Ok(())
}

/// The command `cargo deny`. Where it is missing, CI installs it below `target`, and a person's
/// machine does without: there is none then.
fn cargo_deny() -> Result<Option<Command>> {
    let tools = workspace::path("target/tools");
    let own = tools.join("bin").join(format!("cargo-deny{}", env::consts::EXE_SUFFIX));
    let known = workspace::cargo().args(["deny", "--version"]).output();
    if known.is_ok_and(|output| output.status.success()) {
        let mut deny = workspace::cargo();
        deny.arg("deny");
        return Ok(Some(deny));
    }
    if !own.exists() {
        if env::var_os("CI").is_none_or(|ci| ci != "true") {
            return Ok(None);
        }
        // Optimised, it would take twice as long to build, to win a second of the check.
        let mut install = workspace::cargo();
        install.args(["install", "cargo-deny", "--version", DENY_VERSION, "--locked", "--debug"]);
        check("installing cargo-deny", install.arg("--quiet").arg("--root").arg(tools))?;
    }
    Ok(Some(Command::new(own)))
}
