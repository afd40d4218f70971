//! The server, run as the program that it is.

#![allow(clippy::unwrap_used)]

mod config;
mod docs;
mod frame;
mod health;
mod keys;
mod limits;
mod sites;
mod support;
mod traces;
