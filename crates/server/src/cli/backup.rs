//! `diffusion-server backup` and `restore`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use diffusion_jobs::{Database, backup};

use crate::config::DataArgs;
use crate::output::say;

/// Copy database and artifacts into a new folder, also while the server works
#[derive(Debug, Args)]
#[command(after_help = "\
For Postgres, pg_dump must be installed. Models and your own folders of images are not part of it.

Examples:
  diffusion-server backup /var/backups/diffusion-2026-11-22
  diffusion-server backup --database postgres://diffusion@localhost/diffusion /var/backups/today")]
pub(super) struct Backup {
    /// The new folder
    to: PathBuf,

    #[command(flatten)]
    data: DataArgs,
}

/// Bring a backup back, into a new data folder or an empty database
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is overwritten. For Postgres, pg_restore must be installed.

Examples:
  diffusion-server restore /var/backups/diffusion-2026-11-22 --data /var/lib/diffusion-server")]
pub(super) struct Restore {
    /// The folder that `backup` made
    from: PathBuf,

    #[command(flatten)]
    data: DataArgs,
}

impl Backup {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let storage = self.data.load()?.config.storage;
        let location = storage.database()?;
        let manifest = runtime()?.block_on(async {
            let database = Database::open(&location).await.with_context(|| location.shown())?;
            let made = backup::backup(&database, &location, &storage.artifacts(), &self.to).await;
            anyhow::Ok(made?)
        })?;
        let (files, megabytes) = (manifest.files, manifest.bytes as f64 / 1e6);
        say!("{}: database and {files} files, {megabytes:.1} MB", self.to.display())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Restore {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let storage = self.data.load()?.config.storage;
        let location = storage.database()?;
        let artifacts = storage.artifacts();
        let manifest = runtime()?.block_on(backup::restore(&self.from, &location, &artifacts))?;
        say!("{}: database and {} files", location.shown(), manifest.files)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
