//! `diffusion-server models`: what can be used.

mod rows;

use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::ModelArgs;
use crate::catalogue::{Known, Origin};
use crate::output::one_line;
use crate::output::say;

/// List the models that can be used; list, add, edit and remove those that were made known
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  diffusion-server models
  diffusion-server models --json
  diffusion-server models --models-dir ~/models
  diffusion-server models list
  diffusion-server models add runwayml/stable-diffusion-v1-5
  diffusion-server models add --models-dir ~/models --folder ~/models/mine --name mine
  diffusion-server models edit mine --description 'trained on my cat'
  diffusion-server models remove mine

Without a command: the models whose weights were found, which all can be used by name. The
commands are for the table of models, whose available rows random draws choose from; a running
server sees every change at once."
)]
pub(super) struct Models {
    #[command(subcommand)]
    command: Option<rows::Command>,

    #[command(flatten)]
    models: ModelArgs,

    /// Print a JSON array of objects
    #[arg(long)]
    json: bool,
}

/// One line of the list.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    /// `sd1` or `sd2`; null where the model cannot be used.
    family: Option<String>,
    /// Native size, `WIDTHxHEIGHT`.
    size: Option<String>,
    source: Origin,
    location: String,
    /// Why the model cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Models {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        if let Some(command) = self.command {
            command.execute()?;
            return Ok(ExitCode::SUCCESS);
        }
        let catalogue = self.models.catalogue()?;
        let rows: Vec<Row> = catalogue.all().iter().map(Row::new).collect();
        if self.json {
            say!("{}", serde_json::to_string_pretty(&rows)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(4);
        say!("{:width$}  FAMILY  SIZE       SOURCE", "NAME")?;
        for row in &rows {
            say!(
                "{:width$}  {:6}  {:9}  {}",
                one_line(&row.name),
                row.family.as_deref().unwrap_or("-"),
                row.size.as_deref().unwrap_or("-"),
                one_line(&row.location),
            )?;
            if let Some(error) = &row.error {
                say!("{:width$}  cannot be used: {}", "", one_line(error))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Row {
    fn new(model: &Known) -> Self {
        let info = model.info();
        Self {
            name: model.name.clone(),
            family: info.as_ref().ok().map(|info| info.family().to_string()),
            size: info.as_ref().ok().map(|info| {
                let (height, width) = info.native_size();
                format!("{width}x{height}")
            }),
            source: model.origin,
            location: model.location(),
            error: info.err().map(|error| error.to_string()),
        }
    }
}
