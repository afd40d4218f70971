//! The native dialect, `/api/v1`.

pub(super) mod images;
pub(super) mod jobs;
pub(super) mod keys;
mod lists;
pub(super) mod models;
pub(super) mod png_info;
