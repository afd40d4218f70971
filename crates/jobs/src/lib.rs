//! What is asked of the server and what became of it: jobs and the durable queue, the image and
//! model tables, keys, artifacts. Knows neither HTTP nor inference.

pub mod artifacts;
pub mod backup;
pub mod database;
mod error;
pub mod fixtures;
mod history;
pub mod idempotency;
pub mod images;
mod job;
pub mod keep;
pub mod keys;
mod list;
pub mod models;
pub mod queue;
pub mod records;
pub mod request;
mod settings;
mod settle;
pub mod work;

pub use artifacts::Artifacts;
pub use database::Database;
pub use error::{Error, Result};
pub use history::Counts;
pub use job::{Job, JobImage, NewImage, NewJob, Priority, State};
pub use list::{Filter, Page};
pub use queue::Queue;
pub use request::Request;
