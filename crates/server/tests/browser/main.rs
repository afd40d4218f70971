//! The pages at `/` and `/admin/` in a real browser: headless Chromium, driven over its own protocol.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod admin;
mod chromium;
mod page;
#[path = "../http/support.rs"]
#[allow(dead_code, reason = "the suite over HTTP uses the rest")]
mod support;
