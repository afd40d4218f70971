//! `diffusion-server loaddata` and `dumpdata`: Django fixtures.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use diffusion_jobs::fixtures::{self, Object};

use super::data;
use crate::config::DataArgs;
use crate::output::say;
use crate::output::{self, one_line};
use crate::whole;

/// Load images and models from Django fixtures
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  diffusion-server loaddata fixtures/images.json fixtures/dlmodels.json
  diffusion-server loaddata --database postgres://diffusion:PASSWORD@localhost/diffusion all.json

All objects are loaded or none. An object whose key is there already replaces its row. Images
whose files and models whose weights are not there are kept, and are not drawn until they are.")]
pub(super) struct LoadData {
    /// JSON lists of {\"model\": …, \"pk\": …, \"fields\": {…}}
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    data: DataArgs,
}

/// Write images and models as a Django fixture
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  diffusion-server dumpdata -o all.json
  diffusion-server dumpdata images > images.json")]
pub(super) struct DumpData {
    /// One of the tables [default: both]
    table: Option<Table>,

    /// File to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Table {
    /// The data set
    Images,
    /// The models that were made known
    Models,
}

impl LoadData {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let mut files = Vec::new();
        let mut problems = Vec::new();
        for path in &self.files {
            let name = path.display().to_string();
            match fixtures::read(&read(path)?) {
                Ok(objects) => files.push((name, objects)),
                Err(found) => problems.extend(found.iter().map(|one| format!("{name}: {one}"))),
            }
        }
        match &problems[..] {
            [] => {}
            [problem] => anyhow::bail!("{problem}"),
            _ => {
                for problem in &problems {
                    eprintln!("{}", one_line(problem));
                }
                anyhow::bail!("nothing was loaded: {} objects are wrong", problems.len());
            }
        }
        let storage = self.data.load()?.config.storage;
        let loaded = data::run(&storage, async |database| Ok(database.load(&files).await?))?;
        say!(
            "loaded {} objects of {} files: {} changed",
            loaded.objects,
            files.len(),
            loaded.changed
        )?;
        Ok(ExitCode::SUCCESS)
    }
}

/// A file, and one byte more than is allowed where it is too large.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let context = || path.display().to_string();
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(context)?;
    file.take(fixtures::MAX_BYTES + 1).read_to_end(&mut bytes).with_context(context)?;
    Ok(bytes)
}

impl DumpData {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        let storage = self.data.load()?.config.storage;
        let objects = data::run_existing(&storage, async |database| {
            let mut objects = Vec::new();
            if self.table != Some(Table::Models) {
                objects.extend(database.images().all().await?.into_iter().map(Object::Image));
            }
            if self.table != Some(Table::Images) {
                objects.extend(database.models().all().await?.into_iter().map(Object::Model));
            }
            Ok(objects)
        })?;
        let text = fixtures::write(objects);
        match &self.output {
            Some(path) => whole::write(path, text.as_bytes())?,
            None => output::print(&text)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
