//! The durable queue, on both databases: what is taken in, worked, cancelled, tried again, and
//! what survives the death of workers.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod bench;
mod cancel;
mod database_stop;
mod dead_workers;
mod enqueue;
mod retry;
mod turns;
mod versions;
mod work;
