//! The command line: each command in its own file.

mod again;
mod backup;
mod config;
mod data;
mod fixtures;
mod generate;
mod images;
mod info;
mod jobs;
mod keys;
mod models;
mod run;
mod serve;
mod worker;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand};
use diffusion_engine::{Precision, Runtime};

use crate::catalogue::Catalogue;
use crate::config::ByteSize;
use crate::machine;

/// A self-hosted Stable Diffusion server in one binary
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Run),
    Generate(generate::Generate),
    Models(models::Models),
    Images(images::Images),
    Info(info::InfoCommand),
    #[command(name = "loaddata")]
    LoadData(fixtures::LoadData),
    #[command(name = "dumpdata")]
    DumpData(fixtures::DumpData),
    Serve(serve::Serve),
    #[command(hide = true)]
    Worker(worker::Worker),
    Config(config::Config),
    Keys(keys::Keys),
    Jobs(jobs::Jobs),
    Backup(backup::Backup),
    Restore(backup::Restore),
}

impl Cli {
    /// Carries the command out.
    ///
    /// # Errors
    /// What ends the command as a whole; the message is one line.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Run(command) => command.execute(),
            Command::Generate(command) => command.execute(),
            Command::Models(command) => command.execute(),
            Command::Images(command) => command.execute(),
            Command::Info(command) => command.execute(),
            Command::LoadData(command) => command.execute(),
            Command::DumpData(command) => command.execute(),
            Command::Serve(command) => command.execute(),
            Command::Worker(command) => command.execute(),
            Command::Config(command) => command.execute(),
            Command::Keys(command) => command.execute(),
            Command::Jobs(command) => command.execute(),
            Command::Backup(command) => command.execute(),
            Command::Restore(command) => command.execute(),
        }
    }
}

/// Where models are found.
#[derive(Debug, Args)]
struct ModelArgs {
    /// Folder whose sub-folders are diffusers models
    #[arg(long, value_name = "DIR", env = "DIFFUSION_SERVER_MODELS")]
    models_dir: Option<PathBuf>,
}

impl ModelArgs {
    fn catalogue(&self) -> anyhow::Result<Catalogue> {
        Catalogue::discover(self.models_dir.as_deref())
    }
}

/// How much of the machine to use.
#[derive(Debug, Args)]
struct MachineArgs {
    /// Threads that compute [default: all processors]
    #[arg(long, value_name = "N", env = "DIFFUSION_SERVER_THREADS")]
    threads: Option<NonZeroUsize>,

    /// The most memory that a model and its work may take, for instance 6GB; work that needs more is refused
    /// [default: nine tenths of what the machine has]
    #[arg(long, value_name = "SIZE", env = "DIFFUSION_SERVER_MEMORY")]
    memory: Option<ByteSize>,

    /// Numbers to compute in: f32, or int8, which is faster and close to the same images [default: f32]
    #[arg(long, env = "DIFFUSION_SERVER_PRECISION")]
    precision: Option<Precision>,
}

impl MachineArgs {
    fn runtime(&self) -> anyhow::Result<Runtime> {
        self.runtime_in(Precision::default())
    }

    /// With these numbers where none are asked for.
    fn runtime_in(&self, precision: Precision) -> anyhow::Result<Runtime> {
        let precision = self.precision.unwrap_or(precision);
        Ok(Runtime::new(machine::options(self.threads, self.memory, precision))?)
    }
}

/// Width and height, as `WIDTHxHEIGHT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    width: u32,
    height: u32,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.parse().ok().filter(|&side: &u32| side > 0);
        match text.split_once(['x', 'X', '×']).map(|(w, h)| (side(w), side(h))) {
            Some((Some(width), Some(height))) => Ok(Self { width, height }),
            _ => Err("write WIDTHxHEIGHT, for instance 512x512".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn image_sizes_read_as_people_write_them() {
        assert_eq!("512x768".parse(), Ok(Size { width: 512, height: 768 }));
        for text in ["512", "x", "0x64", "-1x3", "64x64x64"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
