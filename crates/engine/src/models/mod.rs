//! The networks, written over [`crate::ops`] alone.

mod clip;
mod embedding;
mod loader;
mod resnet;
mod rows;
mod transformer;
mod unet;
mod vae;

pub use clip::ClipText;
pub use embedding::{guidance_embedding, timestep_embedding};
pub use loader::Loader;
pub use unet::{Conditioning, UNet};
pub use vae::{Posterior, Vae};
