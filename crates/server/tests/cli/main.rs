//! The program as its users run it, on the tiny models of the engine's goldens.

#![allow(clippy::unwrap_used)]

mod fixtures;
mod generate;
mod generate_refusals;
mod help;
mod images;
mod info;
#[cfg(unix)]
mod interrupt;
mod kept;
mod model_rows;
mod models;
mod run;
mod run_failures;
mod run_sizes;
mod seed_pictures;
mod shipped;
mod support;
