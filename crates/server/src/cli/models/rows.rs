//! `diffusion-server models list|add|edit|remove`: the models that were made known.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use diffusion_jobs::models::{DEFAULT_HOST, Model};

use crate::cli::data::{self, EditArgs};
use crate::config::{DataArgs, Storage};
use crate::dataset::{ModelView, Shelf};
use crate::output::say;
use crate::output::{self, one_line};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the models that were made known, and which of them are not there
    List(List),
    /// Make a model known: OWNER/NAME, or a folder below that of models
    Add(Add),
    /// Change what is said of a model
    Edit(Edit),
    /// Forget models; their weights stay
    Remove(Remove),
}

/// Where models are.
#[derive(Debug, Args)]
struct PlaceArgs {
    #[command(flatten)]
    data: DataArgs,

    /// Folder whose sub-folders are diffusers models
    #[arg(long, value_name = "DIR")]
    models_dir: Option<PathBuf>,
}

impl PlaceArgs {
    fn load(self) -> anyhow::Result<(Storage, Shelf)> {
        let storage = self.data.load()?.config.storage;
        let shelf = Shelf::discover(self.models_dir.as_deref().or(storage.models.as_deref()))?;
        Ok((storage, shelf))
    }
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only models whose name contains this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    /// Print a JSON array of objects
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(super) struct Add {
    /// The model, as Hugging Face names it
    #[arg(value_name = "OWNER/NAME", required_unless_present = "folder", value_parser = owner_and_name)]
    model: Option<(String, String)>,

    /// A diffusers folder below that of models
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    folder: Option<PathBuf>,

    /// Its name [default: the folder's]
    #[arg(long, requires = "folder")]
    name: Option<String>,

    /// Whose it is
    #[arg(long, requires = "folder", default_value = "local")]
    owner: String,

    /// What is said of it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
pub(super) struct Edit {
    /// The model, by id, name or OWNER/NAME
    model: String,

    /// What hosts it
    #[arg(long)]
    hosted: Option<String>,

    #[command(flatten)]
    change: EditArgs,

    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// The models, by id, name or OWNER/NAME
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<String>,

    #[command(flatten)]
    data: DataArgs,
}

impl Command {
    pub(super) fn execute(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.execute(),
            Self::Add(add) => add.execute(),
            Self::Edit(edit) => edit.execute(),
            Self::Remove(remove) => remove.execute(),
        }
    }
}

impl List {
    fn execute(self) -> anyhow::Result<()> {
        let (storage, shelf) = self.place.load()?;
        let mut models =
            data::run_existing(&storage, async |database| Ok(database.models().all().await?))?;
        let search = self.search.unwrap_or_default().to_lowercase();
        models.retain(|model| model.name.to_lowercase().contains(&search));
        let views: Vec<ModelView> =
            models.into_iter().map(|model| ModelView::of_row(model, &shelf)).collect();
        if self.json {
            output::print(&(serde_json::to_string_pretty(&views)? + "\n"))?;
            return Ok(());
        }
        let mut table = format!("{:36}  FAMILY  OWNER / NAME\n", "ID");
        for view in &views {
            writeln!(
                table,
                "{:36}  {:6}  {} / {}",
                view.id.map(|id| id.to_string()).unwrap_or_default(),
                view.family.as_deref().unwrap_or("-"),
                one_line(view.owner.as_deref().unwrap_or_default()),
                one_line(&view.name),
            )?;
            if let Some(why) = &view.unavailable_because {
                writeln!(table, "{:36}  not available: {}", "", one_line(why))?;
            }
        }
        output::print(&table)?;
        Ok(())
    }
}

impl Add {
    fn execute(self) -> anyhow::Result<()> {
        let (storage, shelf) = self.place.load()?;
        let mut model = match (self.model, &self.folder) {
            (Some((owner, name)), _) => Model::new(name, owner, DEFAULT_HOST),
            (None, Some(folder)) => in_folder(&shelf, folder, self.name, &self.owner)?,
            (None, None) => return Err(anyhow!("name a model or a folder")),
        };
        model.description = self.description;
        data::run(&storage, async |database| {
            say!("{}", database.models().insert(model).await?.id)?;
            Ok(())
        })
    }
}

/// A row for a folder, which must hold a model that can be used. It may be named from here or
/// from the folder of models.
fn in_folder(
    shelf: &Shelf,
    folder: &Path,
    name: Option<String>,
    owner: &str,
) -> anyhow::Result<Model> {
    let here = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let found =
        [here.as_path(), folder].into_iter().find_map(|folder| shelf.folder(folder.to_str()?).ok());
    let path = match found {
        Some(found) => found,
        None => {
            let text = folder.to_str().context("--folder: not Unicode")?;
            shelf.folder(text).map_err(|why| anyhow!("--folder: {why}"))?
        }
    };
    shelf.describe(&path, name, owner).map_err(|why| anyhow!("--folder: {why}"))
}

impl Edit {
    fn execute(self) -> anyhow::Result<()> {
        let mut change = self.change.change();
        change.place = self.hosted;
        let storage = self.data.load()?.config.storage;
        data::run_existing(&storage, async |database| {
            let model = database.models().find_one(&self.model).await?;
            database.models().update(model.id, &change).await?;
            say!("{}", model.id)?;
            Ok(())
        })
    }
}

impl Remove {
    fn execute(self) -> anyhow::Result<()> {
        let storage = self.data.load()?.config.storage;
        data::run_existing(&storage, async |database| {
            for text in &self.models {
                let model = database.models().find_one(text).await?;
                database.models().delete(model.id).await?;
                say!("{}", model.id)?;
            }
            Ok(())
        })
    }
}

fn owner_and_name(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((owner, name)) if !owner.is_empty() && !name.is_empty() => {
            Ok((owner.to_owned(), name.to_owned()))
        }
        _ => Err("write OWNER/NAME, for instance stabilityai/stable-diffusion-2-1".into()),
    }
}
