//! The native dialect, `/api/v1`.

pub(super) mod keys;
