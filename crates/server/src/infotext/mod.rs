//! What image files say of how they were made: ours, and those of the field's other programs.
//!
//! Written: AUTOMATIC1111's `parameters` text, which every reader knows, and beside it our own
//! [`Record`], from which the same bytes can be made again. In a PNG they are text chunks; in JPEG
//! and WebP, EXIF's `UserComment` and `MakerNote`.
//!
//! Read: those, and what ComfyUI and InvokeAI write, as one [`Info`].

mod a1111;
mod comfy;
mod exif;
mod info;
mod invoke;
mod read;
mod record;
mod write;

pub(crate) use a1111::read as read_parameters;
pub(crate) use exif::{ExifText, JPEG_ROOM, in_webp};
pub(crate) use info::Info;
#[cfg(test)]
pub(crate) use info::Origin;
pub(crate) use read::read;
pub(crate) use record::{PARAMETERS, RECORD, Record};
