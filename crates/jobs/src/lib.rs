//! What is asked of the server and what became of it: jobs and the durable queue, the image and
//! model tables, keys, artifacts. Knows neither HTTP nor inference.

pub mod database;
mod error;
pub mod fixtures;
pub mod images;
pub mod keys;
pub mod models;
pub mod records;

pub use database::Database;
pub use error::{Error, Result};
