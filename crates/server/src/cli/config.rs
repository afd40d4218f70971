//! `diffusion-server config`: what is in force.

use std::process::ExitCode;

use clap::Args;

use crate::config::ConfigArgs;

/// Print every setting that is in force, and where it comes from
#[derive(Debug, Args)]
#[command(after_help = "\
Settings come from a TOML file, from the environment and from flags, in that rising order. What is
printed is such a file; passwords in it are masked.

Examples:
  diffusion-server config
  diffusion-server config --config server.toml --bind 0.0.0.0:8000")]
pub(super) struct Config {
    #[command(flatten)]
    config: ConfigArgs,
}

impl Config {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        print!("{}", self.config.load()?);
        Ok(ExitCode::SUCCESS)
    }
}
