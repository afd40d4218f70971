//! `cargo xtask verify`: the kernels' tests where mistakes of unsafe code show, and on the
//! instruction sets that this machine lacks.

use std::env;
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::workspace;

/// Run the kernels' tests under Miri, AddressSanitizer and emulated processors
///
/// What this machine lacks is skipped by name, with the command that installs it.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Only these; one that is named must not be missing
    #[arg(value_enum)]
    only: Vec<Means>,
}

/// A way to run the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Means {
    /// Miri interprets the portable path: aliasing, provenance, data races, bounds
    Miri,
    /// AddressSanitizer on every instruction set of this processor: bounds, memory after its end
    Asan,
    /// NEON, on an emulated 64-bit Arm
    Arm,
    /// x86-64 with AVX2 but no AVX-512, emulated
    Avx2,
    /// x86-64 with neither, emulated
    Sse,
}

const ARM: &str = "aarch64-unknown-linux-gnu";
const X86: &str = "x86_64-unknown-linux-gnu";

impl Verify {
    /// Runs each that can be had; the first that fails ends the run.
    ///
    /// # Errors
    /// A test fails, one that was named is missing, or all of them are.
    pub(crate) fn execute(self) -> Result<()> {
        let (mut passed, mut skipped) = (Vec::new(), Vec::new());
        for &means in Means::value_variants() {
            if !self.only.is_empty() && !self.only.contains(&means) {
                continue;
            }
            match means.missing() {
                Some(missing) if self.only.is_empty() => {
                    println!("== skipped: {means} ({missing})");
                    skipped.push(means.to_string());
                }
                Some(missing) => bail!("{means}: {missing}"),
                None => {
                    println!("== {means}");
                    let status = means.command()?.current_dir(workspace::path("")).status()?;
                    if !status.success() {
                        bail!("{means}: {status}");
                    }
                    passed.push(means.to_string());
                }
            }
        }
        if passed.is_empty() {
            bail!("nothing that could be run here");
        }
        println!("== passed: {}", passed.join(", "));
        if !skipped.is_empty() {
            println!("== skipped: {}", skipped.join(", "));
        }
        Ok(())
    }
}

impl Means {
    /// What this machine lacks for it.
    fn missing(self) -> Option<String> {
        let needs: &[(&str, &[&str], &str)] = match self {
            Self::Miri => &[(
                "rustup",
                &["run", "nightly", "cargo", "miri", "--version"],
                "rustup toolchain install nightly --component miri,rust-src",
            )],
            Self::Asan => &[(
                "rustup",
                &["run", "nightly", "rustc", "--version"],
                "rustup toolchain install nightly",
            )],
            Self::Arm => &[
                ("aarch64-linux-gnu-gcc", &["--version"], "apt install gcc-aarch64-linux-gnu"),
                ("qemu-aarch64", &["--version"], "apt install qemu-user"),
            ],
            Self::Avx2 | Self::Sse => &[("qemu-x86_64", &["--version"], "apt install qemu-user")],
        };
        let own_linux = env::consts::OS == "linux" && cfg!(target_env = "gnu");
        match self {
            Self::Miri => {}
            _ if !own_linux => return Some("needs Linux with glibc".into()),
            Self::Arm if env::consts::ARCH == "aarch64" => {
                return Some("`cargo xtask test` runs it on this processor".into());
            }
            Self::Avx2 | Self::Sse if env::consts::ARCH != "x86_64" => {
                return Some("needs an x86-64 processor".into());
            }
            Self::Arm if !has_std(ARM) => return Some(format!("rustup target add {ARM}")),
            _ => {}
        }
        let lacks = |(program, arguments, _): &&(&str, &[&str], &str)| !works(program, arguments);
        needs.iter().find(lacks).map(|(_, _, install)| (*install).to_owned())
    }

    fn command(self) -> Result<Command> {
        const TESTS: [&str; 5] = ["test", "--package", "diffusion-kernels", "--lib", "--locked"];
        Ok(match self {
            Self::Miri => {
                let mut command = nightly(&["miri"]);
                // The crates under rayon tag pointers, which needs Tree Borrows and exposed
                // provenance; its threads live as long as the process.
                let flags = "-Zmiri-tree-borrows -Zmiri-permissive-provenance -Zmiri-ignore-leaks \
                             -Zmiri-num-cpus=2";
                command.args(TESTS).env("MIRIFLAGS", flags);
                command
            }
            Self::Asan => {
                let mut command = nightly(&[]);
                // With a target given, build scripts and macros are left as they are.
                command.args(TESTS).arg("--target").arg(workspace::host()?);
                command.env("RUSTFLAGS", "-Zsanitizer=address");
                command
            }
            Self::Arm => {
                let root = "/usr/aarch64-linux-gnu";
                let root = if Path::new(root).exists() { root } else { "/" };
                let mut command = workspace::cargo();
                command
                    .args(TESTS)
                    .args(["--target", ARM])
                    .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
                    .env(
                        "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER",
                        format!("qemu-aarch64 -L {root}"),
                    );
                command
            }
            Self::Avx2 | Self::Sse => {
                // The first has all that QEMU emulates, which AVX-512 is not.
                let processor = if self == Self::Avx2 { "max" } else { "Nehalem" };
                let mut command = workspace::cargo();
                command.args(TESTS).args(["--target", X86]).env(
                    "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER",
                    format!("qemu-x86_64 -cpu {processor}"),
                );
                command
            }
        })
    }
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Miri => "Miri",
            Self::Asan => "AddressSanitizer",
            Self::Arm => "emulated Arm (NEON)",
            Self::Avx2 => "emulated x86-64 (AVX2)",
            Self::Sse => "emulated x86-64 (portable)",
        })
    }
}

/// A subcommand of the nightly cargo.
fn nightly(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).args(arguments);
    command
}

/// Whether `program` is there and succeeds.
fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Whether the standard library for `target` is installed.
fn has_std(target: &str) -> bool {
    workspace::rustc(&["--print", "target-libdir", "--target", target])
        .is_ok_and(|folder| !folder.trim().is_empty() && Path::new(folder.trim()).exists())
}
