//! Stable Diffusion inference: from a folder of weights and a plan to pixels.
//!
//! The crate is synchronous and knows nothing of HTTP, databases or async runtimes.

pub mod config;
pub mod error;
pub mod images;
pub mod models;
pub mod noise;
pub mod ops;
pub mod schedulers;
pub mod source;
pub mod weights;

pub use error::{Error, Result};
