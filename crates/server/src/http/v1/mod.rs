//! The native dialect: `/api/v1`.

pub(super) mod images;
mod lists;
pub(super) mod models;
#[cfg(test)]
mod testing;
