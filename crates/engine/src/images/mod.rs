//! Pictures in and out: decoding with limits, resizing, PNG with text, and pixels as tensors.
//!
//! Every picture inside the engine is an [`RgbImage`]: 8-bit RGB, rows from the top, no alpha.
//!
//! * [`decode`] and [`decode_file`] read what people have ([`SUPPORTED`]).
//! * [`cutout`] finds the part of a picture that is fully transparent.
//! * [`decode_mask`] reads a picture that says where.
//! * [`fit`] finds the size at which a model works on a picture; [`resize`] brings the
//!   picture there.
//! * [`to_unit`] and [`from_unit`] go between pixels and the values that a VAE takes and gives.
//! * [`encode_png`] and [`read_text`] write PNG files with text and read the text back.

mod alpha;
mod cutout;
mod decode;
mod fit;
mod flatten;
mod jpeg;
mod mask;
mod png;
mod resize;
mod unit;
mod webp;

pub use self::png::{encode_png, read_text};
pub use cutout::{Cutout, cutout};
pub use decode::{Limits, SUPPORTED, decode, decode_file, read_file};
pub use fit::{MAX_ASPECT, fit};
pub use image::{GrayImage, RgbImage};
pub use mask::decode_mask;
pub use resize::resize;
pub use unit::{from_unit, to_unit};
