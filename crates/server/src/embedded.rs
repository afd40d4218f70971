//! What the binary carries with it: the demo models and the sample pictures of `models/pocket`.

/// Relative path and content of files.
type Files = &'static [(&'static str, &'static [u8])];

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
