//! The JSON configuration of each component, read as its diffusers or transformers class reads it.
//!
//! A key that a file lacks takes the default of that class. A key that the class has and that we
//! do not implement must hold the one value that we do ([`Reader::only`]); anything else is an
//! error that names it.

mod clip;
mod generation;
mod python;
mod reader;
mod unet;
mod vae;

pub use clip::ClipTextConfig;
pub use generation::GenerationConfig;
pub use reader::Reader;
pub use unet::{Block, BlockAttention, UNetConfig};
pub use vae::VaeConfig;
