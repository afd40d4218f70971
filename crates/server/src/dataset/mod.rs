//! What the rows of images and models stand for: files below configured folders, what the binary
//! carries, weights. Whether it is there is looked at whenever it is asked; nothing of that is
//! stored.

mod draw;
mod models;
mod pictures;
mod remove;
mod seed;
mod store;
mod view;

pub(crate) use draw::{images_at_hand, models_at_hand};
pub(crate) use models::{Shelf, usable};
pub(crate) use pictures::{Picture, Pictures};
pub(crate) use remove::remove;
pub(crate) use seed::seed;
pub(crate) use store::{check, read_image, store};
pub(crate) use view::{ImageView, ModelView};
