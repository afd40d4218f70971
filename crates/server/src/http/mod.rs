//! HTTP: the frame that every dialect's routes stand in.
//!
//! `router.rs` is the whole URL map. A route's file reads its dialect, asks `diffusion_jobs`, and
//! answers in its dialect; its errors are [`Problem`]s.

mod accept;
mod auth;
mod body;
mod connections;
mod convert;
mod cors;
mod docs;
mod error;
mod extract;
mod guard;
mod health;
mod keyring;
mod observe;
mod once;
mod open_files;
mod openai;
mod original;
mod page;
mod recent;
mod router;
mod sdapi;
mod serve;
mod state;
mod v1;

pub(crate) use body::Room;
pub(crate) use error::{Problem, Problems, Result};
pub(crate) use guard::Hosts;
pub(crate) use keyring::Keyring;
pub(crate) use openai::Links;
pub(crate) use recent::Recent;
pub(crate) use router::router;
pub(crate) use serve::serve;
pub(crate) use state::{AppState, Parts};
