//! `diffusion-server backup` and `restore`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use diffusion_jobs::backup::{self, Folders};

use super::data;
use crate::config::{DataArgs, Storage};
use crate::output::say;

/// Copy database, artifacts and uploaded images into a new folder, also while the server works
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
  diffusion-server restore /var/backups/diffusion-2026-11-22 --data /var/lib/diffusion-server
  diffusion-server restore /var/backups/today --database postgres://diffusion@localhost/empty")]
pub(super) struct Restore {
    /// The folder that `backup` made
    from: PathBuf,

    #[command(flatten)]
    data: DataArgs,
}

impl Backup {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let storage = self.data.load()?.config.storage;
        // Of another server's database, its files would be missing.
        anyhow::ensure!(
            storage.data.is_dir(),
            "there is no data folder {}: check --data",
            storage.data.display()
        );
        let location = storage.database()?;
        let manifest = runtime()?.block_on(async {
            let database = data::open_existing(&location).await?;
            let made = backup::backup(&database, &location, &folders(&storage), &self.to).await;
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
        let folders = folders(&storage);
        let manifest = runtime()?.block_on(backup::restore(&self.from, &location, &folders))?;
        say!("{}: database and {} files", location.shown(), manifest.files)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn folders(storage: &Storage) -> Folders {
    Folders { artifacts: storage.artifacts(), images: storage.images() }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
