//! The server, run as the program that it is.

#![allow(clippy::unwrap_used)]

mod commands;
mod config;
mod docs;
mod frame;
mod health;
mod images;
mod jobs;
mod keys;
mod limits;
mod models;
mod openai;
mod original;
mod page;
mod png_info;
mod repeated;
mod sdapi;
mod sites;
mod support;
mod traces;
