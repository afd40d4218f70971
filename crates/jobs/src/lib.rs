//! What is asked of the server and what became of it: jobs and the durable queue, the image and
//! model tables, keys, artifacts. Knows neither HTTP nor inference.

pub mod artifacts;
pub mod database;
mod error;
mod job;
pub mod keys;
pub mod queue;
mod records;
mod settle;
pub mod work;
pub mod fixtures;
pub mod images;
pub mod models;
pub mod records;

pub use artifacts::Artifacts;
pub use database::Database;
pub use error::{Error, Result};
pub use job::{Job, JobImage, NewImage, NewJob, Priority, State};
pub use queue::Queue;
pub use records::{Filter, Page};
