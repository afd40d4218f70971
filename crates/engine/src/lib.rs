//! Stable Diffusion inference: from a folder of weights and a plan to pixels.
//!
//! The crate is synchronous and knows nothing of HTTP, databases or async runtimes.

pub mod error;
pub mod images;
pub mod noise;
pub mod schedulers;
pub mod tokenizer;

pub use error::{Error, Result};
