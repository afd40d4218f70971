//! `diffusion-server images`: the data set.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use diffusion_jobs::images::{DEFAULT_OWNER, Image};

use super::data::{self, EditArgs};
use crate::config::{DataArgs, Storage};
use crate::dataset::{self, ImageView, Pictures};
use crate::output::say;
use crate::output::{self, one_line};

/// List, add, edit and remove the images of the data set
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  diffusion-server images list
  diffusion-server images list --json --search cat
  diffusion-server images add cat.jpg dog.png --owner me
  diffusion-server images edit cat.jpg --name tom.jpg --description 'a cat in rain'
  diffusion-server images remove tom.jpg

A running server sees every change at once.")]
pub(super) struct Images {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the images, and which of them are not there
    List(List),
    /// Add images; a file outside of the folders of images is copied into the data folder
    Add(Add),
    /// Change what is said of an image
    Edit(Edit),
    /// Take images out of the data set; their files stay
    Remove(Remove),
}

/// Where images are.
#[derive(Debug, Args)]
struct PlaceArgs {
    #[command(flatten)]
    data: DataArgs,

    /// Folders of images beside `images` in the data folder, separated by commas
    #[arg(long, value_name = "DIR,…", value_delimiter = ',')]
    images_dir: Vec<PathBuf>,
}

impl PlaceArgs {
    fn load(self) -> anyhow::Result<(Storage, Pictures)> {
        let mut storage = self.data.load()?.config.storage;
        storage.image_roots.extend(self.images_dir);
        let pictures = Pictures::new(&storage);
        Ok((storage, pictures))
    }
}

#[derive(Debug, Args)]
struct List {
    /// Only images whose name contains this
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    /// Print a JSON array of objects
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
struct Add {
    /// The images
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The name of a single image [default: the file's]
    #[arg(long)]
    name: Option<String>,

    /// Whose the images are
    #[arg(long, default_value = DEFAULT_OWNER)]
    owner: String,

    /// What is said of each of them
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
struct Edit {
    /// The image, by id, path, name or OWNER/NAME
    image: String,

    /// Another file, below a folder of images
    #[arg(long)]
    path: Option<String>,

    #[command(flatten)]
    change: EditArgs,

    #[command(flatten)]
    place: PlaceArgs,
}

#[derive(Debug, Args)]
struct Remove {
    /// The images, by id, path, name or OWNER/NAME
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,

    #[command(flatten)]
    data: DataArgs,
}

impl Images {
    pub(super) fn execute(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::List(list) => list.execute(),
            Command::Add(add) => add.execute(),
            Command::Edit(edit) => edit.execute(),
            Command::Remove(remove) => remove.execute(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn execute(self) -> anyhow::Result<()> {
        let (storage, pictures) = self.place.load()?;
        let mut images =
            data::run_existing(&storage, async |database| Ok(database.images().all().await?))?;
        let search = self.search.unwrap_or_default().to_lowercase();
        images.retain(|image| image.name.to_lowercase().contains(&search));
        let views: Vec<ImageView> =
            images.into_iter().map(|image| ImageView::new(image, &pictures)).collect();
        if self.json {
            output::print(&(serde_json::to_string_pretty(&views)? + "\n"))?;
            return Ok(());
        }
        let mut table = format!("{:36}  OWNER / NAME\n", "ID");
        for view in views {
            writeln!(table, "{}  {} / {}", view.id, one_line(&view.owner), one_line(&view.name))?;
            if let Some(why) = view.unavailable_because {
                writeln!(table, "{:36}  not available: {}: {why}", "", one_line(&view.path))?;
            }
        }
        output::print(&table)?;
        Ok(())
    }
}

impl Add {
    fn execute(self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.name.is_none() || self.files.len() == 1,
            "--name is for a single file"
        );
        let (storage, pictures) = self.place.load()?;
        data::run(&storage, async |database| {
            for file in &self.files {
                let bytes = dataset::read_image(file)?;
                let name = match &self.name {
                    Some(name) => name.clone(),
                    None => file_name(file),
                };
                let mut image = Image::new(name, &self.owner, "");
                image.description = self.description.clone();
                let kept = pictures.path_of(file);
                image.path = match &kept {
                    Some(path) => path.clone(),
                    None => dataset::store(pictures.own(), &file_name(file), &bytes)?,
                };
                let copy = kept.is_none().then(|| pictures.own().join(&image.path));
                match database.images().insert(image).await {
                    Ok(image) => say!("{}", image.id)?,
                    Err(error) => {
                        // The copy belongs to nothing.
                        let _ = copy.map(std::fs::remove_file);
                        return Err(error.into());
                    }
                }
            }
            Ok(())
        })
    }
}

impl Edit {
    fn execute(self) -> anyhow::Result<()> {
        let (storage, pictures) = self.place.load()?;
        let mut change = self.change.change();
        if let Some(path) = self.path {
            pictures.find(&path).map_err(|why| anyhow::anyhow!("{path}: {why}"))?;
            change.place = Some(path);
        }
        data::run_existing(&storage, async |database| {
            let image = database.images().find_one(&self.image).await?;
            database.images().update(image.id, &change).await?;
            say!("{}", image.id)?;
            Ok(())
        })
    }
}

impl Remove {
    fn execute(self) -> anyhow::Result<()> {
        let storage = self.data.load()?.config.storage;
        let pictures = Pictures::new(&storage);
        data::run_existing(&storage, async |database| {
            for text in &self.images {
                let image = database.images().find_one(text).await?;
                dataset::remove(database, &pictures, image.id).await?;
                say!("{}", image.id)?;
            }
            Ok(())
        })
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
