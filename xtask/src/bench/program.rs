//! The programs that are timed, and running one of them once.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::inputs::read_array;
use super::report::{Measurement, median};
use super::task::Task;
use super::{difference, python};
use crate::workspace;

/// The engine or a peer. `bench/peers/README.md` says what each takes and prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Program {
    /// The engine of this workspace, which is always there.
    #[value(skip)]
    Engine,
    /// The engine with its UNet in 8-bit integers
    Int8,
    /// PyTorch and diffusers
    #[value(name = "pytorch")]
    PyTorch,
    /// OpenVINO
    #[value(name = "openvino")]
    OpenVino,
    /// candle and candle-transformers
    Candle,
}

/// What is the same each time that a program runs.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) model: PathBuf,
    pub(super) inputs: PathBuf,
    /// Results of the programs.
    pub(super) folder: PathBuf,
    pub(super) threads: usize,
    pub(super) warm_ups: u32,
}

/// What a program prints.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Figures {
    /// Its name and version.
    pub(super) version: String,
    /// Seconds until it was ready.
    pub(super) load: f64,
    /// Seconds of the runs that do not count.
    pub(super) warm_ups: Vec<f64>,
    /// Seconds of those that do.
    pub(super) seconds: Vec<f64>,
    /// Seconds that its threads ran on a processor, in each of those.
    pub(super) processor: Vec<f64>,
    /// The most bytes resident.
    pub(super) peak_bytes: Option<u64>,
}

impl Program {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Int8 => "int8",
            Self::PyTorch => "pytorch",
            Self::OpenVino => "openvino",
            Self::Candle => "candle",
        }
    }

    /// Builds, installs and converts, so that no time is lost between the measurements.
    pub(super) fn prepare(self, model: &Path, tasks: &[Task]) -> anyhow::Result<()> {
        match self {
            Self::Engine | Self::Int8 => Ok(()),
            Self::PyTorch => python::install(),
            Self::OpenVino => python::install().and_then(|()| python::convert(model, tasks)),
            Self::Candle => {
                let status = candle("build").status()?;
                ensure!(status.success(), "building the peer candle failed: {status}");
                Ok(())
            }
        }
    }

    fn command(self) -> anyhow::Result<Command> {
        Ok(match self {
            Self::Engine | Self::Int8 => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("bench-engine");
                if self == Self::Int8 {
                    command.arg("--int8");
                }
                command
            }
            Self::PyTorch => python::script("run_pytorch.py"),
            Self::OpenVino => {
                let mut command = python::script("run_openvino.py");
                command.arg("--cache").arg(python::converted());
                command
            }
            Self::Candle => {
                let mut command = candle("run");
                command.arg("--");
                command
            }
        })
    }
}

impl Visit {
    /// Runs a task in a process of its own, and compares its result with the engine's last.
    pub(super) fn measure(&self, program: Program, task: Task) -> anyhow::Result<Measurement> {
        let output = self.output(program, task);
        let engine = self.output(Program::Engine, task);
        // A result that is left from before must not be taken for this one's.
        let _ = std::fs::remove_file(&output);
        let figures = self.run(program, task, &output)?;
        let seconds = median(&figures.seconds).context("no run was timed")?;
        let difference = if program != Program::Engine && output.exists() {
            difference::relative(&read_array(&engine)?, &read_array(&output)?)
        } else {
            None
        };
        Ok(Measurement { program, task, seconds, ratio: None, work: None, difference, figures })
    }

    fn run(&self, program: Program, task: Task, output: &Path) -> anyhow::Result<Figures> {
        let threads = self.threads.to_string();
        let out = program
            .command()?
            .arg("--model")
            .arg(&self.model)
            .arg("--inputs")
            .arg(&self.inputs)
            .arg("--output")
            .arg(output)
            .args(["--task", task.name(), "--threads", &threads])
            .args(["--warm-ups", &self.warm_ups.to_string()])
            .args(["--repeats", &task.repeats().to_string()])
            .env("RAYON_NUM_THREADS", &threads)
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("starting {}", program.name()))?;
        let (name, task) = (program.name(), task.name());
        ensure!(out.status.success(), "{name} failed at {task}: {}", out.status);
        parse(&out.stdout).with_context(|| format!("what {name} printed for {task}"))
    }

    fn output(&self, program: Program, task: Task) -> PathBuf {
        self.folder.join(format!("{}-{}.f32", task.name(), program.name()))
    }
}

/// The figures are the last line; libraries may have printed before.
fn parse(stdout: &[u8]) -> anyhow::Result<Figures> {
    let text = std::str::from_utf8(stdout)?;
    let line = text.lines().last().context("nothing")?;
    serde_json::from_str(line).with_context(|| line.to_owned())
}

fn candle(command: &str) -> Command {
    let mut cargo = workspace::cargo();
    cargo
        .args([command, "--quiet", "--release", "--locked", "--manifest-path"])
        .arg(workspace::path("bench/peers/candle/Cargo.toml"))
        .arg("--target-dir")
        .arg(workspace::path("target/peers/candle"))
        .env("RUSTFLAGS", "-C target-cpu=native");
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_the_last_line() {
        let line = r#"{"version":"x 1","load":0.5,"warm_ups":[2],"seconds":[1],"processor":[2],"peak_bytes":null}"#;
        let figures = parse(format!("a library says hello\n{line}\n").as_bytes()).unwrap();
        assert_eq!((figures.seconds, figures.peak_bytes), (vec![1.0], None));
    }

    #[test]
    fn what_is_no_figures_is_shown() {
        assert!(parse(b"").is_err());
        let message = format!("{:#}", parse(b"{\"load\":1}\n").unwrap_err());
        assert!(message.contains("{\"load\":1}") && message.contains("version"), "{message}");
    }
}
