//! `cargo xtask test`: format, lints and every test, as CI runs them.

use anyhow::{Result, bail};

use crate::{pocket, workspace};

/// A check: what it is called, and the cargo arguments that run it.
const CHECKS: [(&str, &[&str]); 4] = [
    ("format", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    ("tests", &["test", "--workspace", "--locked"]),
    ("documentation", &["doc", "--workspace", "--no-deps", "--locked", "--quiet"]),
];

/// Runs all checks; the first that fails ends the run.
///
/// # Errors
/// A check fails or cannot be started.
pub(crate) fn run() -> Result<()> {
    for (name, arguments) in CHECKS {
        check(name, arguments)?;
    }
    if has_cargo_deny() {
        let arguments = ["deny", "--offline", "check", "bans", "licenses", "sources"];
        check("dependencies", &arguments)?;
    } else {
        println!("== skipped: dependencies (cargo install --locked cargo-deny)");
    }
    pocket::run_if_installed()?;
    println!("== all checks passed");
    Ok(())
}

fn check(name: &str, arguments: &[&str]) -> Result<()> {
    println!("== {name}: cargo {}", arguments.join(" "));
    let status = workspace::cargo()
        .args(arguments)
        .current_dir(workspace::path(""))
        // A warning in the documentation is a broken link or name.
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()?;
    if !status.success() {
        bail!("{name}: {status}");
    }
    Ok(())
}

fn has_cargo_deny() -> bool {
    let output = workspace::cargo().args(["deny", "--version"]).output();
    output.is_ok_and(|output| output.status.success())
}
