//! Whatever is wrong with a model folder, opening it gives one line that names the file, takes
//! little memory, and never panics.

#![allow(clippy::unwrap_used)]

mod allocations;
mod broken;
mod configs;
#[path = "../support/folder.rs"]
#[allow(dead_code)] // every suite uses its own part
mod folder;
mod hostile_values;
mod index;
mod mutations;
mod not_finite;
mod tensors;
mod text_files;
mod weight_files;
