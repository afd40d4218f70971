//! What the rows of images and models stand for: files below configured folders, what the binary
//! carries, weights. Whether it is there is looked at whenever it is asked; nothing of that is
//! stored.

mod models;
mod pictures;
mod seed;
mod store;
mod view;

use diffusion_jobs::images::Image;
use diffusion_jobs::{Database, Result};

pub(crate) use models::{Shelf, usable};
pub(crate) use pictures::{Missing, Picture, Pictures};
pub(crate) use seed::seed;
pub(crate) use store::{check, read_image, store};
pub(crate) use view::{ImageView, ModelView};

/// The images of the data set whose files are there: those that a draw takes.
///
/// # Errors
/// The database.
pub(crate) async fn at_hand(
    database: &Database,
    pictures: &Pictures,
) -> Result<Vec<(Image, Picture)>> {
    let rows = database.images().all().await?;
    let found = |image: Image| pictures.find(&image.path).ok().map(|picture| (image, picture));
    Ok(rows.into_iter().filter_map(found).collect())
}
