//! What the commands have in common that read or change images and models. They may be used beside
//! a running server.

use anyhow::Context;
use clap::Args;
use diffusion_jobs::Database;
use diffusion_jobs::database::Location;
use diffusion_jobs::records::Change;
use serde_json::{Map, Value};

use crate::config::Storage;
use crate::dataset;

/// Does this with the database that is there, which is seeded where nobody did that yet.
///
/// # Errors
/// There is none, it cannot be opened, or those of `work`.
pub(super) fn run_existing<T>(
    storage: &Storage,
    work: impl AsyncFnOnce(&Database) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let location = storage.database()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let database = open_existing(&location).await?;
        dataset::seed(&database).await?;
        work(&database).await
    })
}

/// Opens the database that is there: what only looks for something, or at something, finds nothing
/// in a new one.
///
/// # Errors
/// There is none, or it cannot be opened.
pub(super) async fn open_existing(location: &Location) -> anyhow::Result<Database> {
    let found = Database::open_existing(location).await.with_context(|| location.shown())?;
    found.with_context(|| {
        format!(
            "there is no database of this server at {}: check --data and --database, or make one \
             with `diffusion-server serve`",
            location.shown()
        )
    })
}

/// Opens the database, which is made and seeded if it is new, and does this with it.
///
/// # Errors
/// The database cannot be opened, or those of `work`.
pub(super) fn run<T>(
    storage: &Storage,
    work: impl AsyncFnOnce(&Database) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let location = storage.database()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let database = Database::open(&location).await.with_context(|| location.shown())?;
        dataset::seed(&database).await?;
        work(&database).await
    })
}

/// New values of what images and models have in common.
#[derive(Debug, Args)]
pub(super) struct EditArgs {
    /// A new name
    #[arg(long)]
    name: Option<String>,

    /// A new owner
    #[arg(long)]
    owner: Option<String>,

    /// A new description; empty to take it away
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// A JSON object of anything else, in place of the one that is there
    #[arg(long, value_name = "JSON", value_parser = object)]
    meta: Option<Map<String, Value>>,
}

impl EditArgs {
    /// The change, without the column that images and models do not share.
    pub(super) fn change(self) -> Change {
        Change {
            name: self.name,
            owner: self.owner,
            place: None,
            meta: self.meta,
            description: self.description.map(|text| Some(text).filter(|text| !text.is_empty())),
        }
    }
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
}
