//! `cargo xtask fuzz`: libFuzzer on the parsers of untrusted bytes, the targets in `fuzz`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};

use crate::workspace;

/// Fuzz the parsers of untrusted bytes, on the nightly toolchain
///
/// What is found lies in `fuzz/artifacts`, what was learned in `fuzz/corpus`.
#[derive(Debug, Args)]
pub(crate) struct Fuzz {
    /// Only these
    #[arg(value_enum)]
    only: Vec<Target>,

    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// A file of `fuzz/fuzz_targets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    /// Django fixtures
    Fixture,
    /// Pictures, and the text of PNG files
    Image,
    /// What image files say of how they were made
    Infotext,
    /// The JSON of jobs
    Job,
    /// The URLs of databases
    Location,
    /// Weights, configurations and tokenizers of models
    Model,
    /// Prompts in AUTOMATIC1111's syntax
    Prompt,
    /// Stored samples
    Sample,
}

/// What `cargo fuzz` would set: coverage and comparisons for libFuzzer, AddressSanitizer.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing -Zsanitizer=address -Ccodegen-units=1";

/// No input may take more: memory in MiB, seconds, and bytes of its own.
const LIMITS: [&str; 3] = ["-rss_limit_mb=2048", "-timeout=20", "-max_len=65536"];

impl Fuzz {
    /// Runs each target for its time; the first finding ends the run.
    ///
    /// # Errors
    /// There is no nightly toolchain, a target cannot be built, or something was found.
    pub(crate) fn execute(self) -> Result<()> {
        let targets: &[Target] =
            if self.only.is_empty() { Target::value_variants() } else { &self.only };
        let host = workspace::host()?;
        let mut build = cargo(&["build", "--locked", "--release", "--target", &host]);
        build.args(["--example", "seeds"]);
        for target in targets {
            build.arg("--bin").arg(target.name());
        }
        // With a target given, build scripts and macros are left as they are.
        run(build.env("RUSTFLAGS", RUSTFLAGS), "rustup toolchain install nightly")?;

        let programs = built(&host)?;
        let seeds = workspace::path("fuzz/target/seeds");
        run(Command::new(programs.join("examples/seeds")).arg(&seeds), "the seeds")?;
        for target in targets {
            println!("== {}, {} seconds", target.name(), self.seconds);
            target.run(&programs, &seeds, self.seconds)?;
        }
        Ok(())
    }
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Fixture => "fixture",
            Self::Image => "image",
            Self::Infotext => "infotext",
            Self::Job => "job",
            Self::Location => "location",
            Self::Model => "model",
            Self::Prompt => "prompt",
            Self::Sample => "sample",
        }
    }

    fn run(self, programs: &Path, seeds: &Path, seconds: u32) -> Result<()> {
        let own = |folder| workspace::path("fuzz").join(folder).join(self.name());
        let (corpus, artifacts, scratch) = (own("corpus"), own("artifacts"), own("target/scratch"));
        for folder in [&corpus, &artifacts, &scratch] {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let mut command = Command::new(programs.join(self.name()));
        command
            // The first folder gets what is new.
            .args([&corpus, &seeds.join(self.name())])
            .args(LIMITS)
            .args([format!("-max_total_time={seconds}"), "-print_final_stats=1".to_owned()])
            // libFuzzer puts names right after this.
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .env("TMPDIR", &scratch);
        let outcome = run(&mut command, &format!("see {}", artifacts.display()));
        fs::remove_dir_all(&scratch).with_context(|| scratch.display().to_string())?;
        outcome
    }
}

/// The nightly cargo on the targets' package.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]).args(arguments);
    command.arg("--manifest-path").arg(workspace::path("fuzz/Cargo.toml"));
    command
}

/// Where the build put its programs.
fn built(host: &str) -> Result<PathBuf> {
    let output = cargo(&["metadata", "--format-version=1", "--no-deps", "--locked"]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let target = metadata["target_directory"].as_str().context("cargo names no target folder")?;
    Ok(Path::new(target).join(host).join("release"))
}

fn run(command: &mut Command, hint: &str) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| program.clone())?;
    if !status.success() {
        bail!("{program}: {status} ({hint})");
    }
    Ok(())
}
