//! Stable Diffusion inference: from a folder of weights and a plan to pixels.
//!
//! The crate is synchronous and knows nothing of HTTP, databases or async runtimes.

mod conditioning;
pub mod config;
pub mod error;
mod identity;
pub mod images;
mod info;
mod inpaint;
mod memory;
mod model;
pub mod models;
mod networks;
pub mod noise;
pub mod ops;
mod pipeline;
mod plan;
pub mod prompt;
mod required;
pub mod runtime;
mod sample;
pub mod schedulers;
pub mod source;
pub mod tokenizer;
mod variation;
pub mod weights;

pub use error::{Error, Result};
pub use identity::build_identity;
pub use info::{Family, ModelInfo};
pub use inpaint::Initial;
pub use memory::{MemoryPlan, TextSize};
pub use model::Model;
pub use ops::Precision;
pub use pipeline::generate;
pub use plan::{MaskedStart, Plan, PromptSyntax, TextOptions, Variation};
pub use required::{Required, required_tensors};
pub use runtime::{Options, Runtime};
pub use sample::Sample;
pub use schedulers::{OwnScheduler, SchedulerKind, SigmaSpacing};
pub use source::Source;
pub use variation::slerp;
