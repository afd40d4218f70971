//! Pictures that are masks: bright where something is to be done, or opaque.

use image::{DynamicImage, RgbImage};

use super::Limits;
use super::alpha::{alpha, stencil};
use super::decode::read;
use super::flatten::{high, to_rgb8};
use crate::Result;

/// Alpha above this is opaque.
const OPAQUE: u8 = 128;

/// Decodes a picture of any supported format that is a mask.
///
/// Of a picture that is transparent anywhere, alpha is the mask: white where it is more than 128
/// of 255, black elsewhere, whatever the colours, as AUTOMATIC1111's web UI reads such masks. Any
/// other is as [`decode`](super::decode) gives it.
///
/// # Errors
///
/// As [`decode`](super::decode).
pub fn decode_mask(bytes: &[u8], limits: &Limits) -> Result<RgbImage> {
    let (decoded, orientation) = read(bytes, limits)?;
    let mask = alpha(&decoded)
        .filter(|alpha| alpha.iter().any(|alpha| high(*alpha) < u8::MAX))
        .map(|alpha| stencil(&decoded, &alpha, |alpha| high(alpha) > OPAQUE));
    let mut upright = DynamicImage::ImageRgb8(mask.unwrap_or_else(|| to_rgb8(decoded)));
    upright.apply_orientation(orientation);
    Ok(upright.into_rgb8())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageBuffer, ImageFormat, LumaA, Rgba};

    use super::super::decode;
    use super::*;

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn levels(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mask = decode_mask(&png(image), &Limits::default()).unwrap();
        mask.pixels().map(|pixel| pixel.0[0]).collect()
    }

    #[test]
    fn alpha_is_the_mask_where_anything_is_transparent() {
        let alphas = [0, 1, 128, 129, 255];
        for color in [0_u8, 255] {
            let strokes =
                ImageBuffer::from_fn(5, 1, |x, _| Rgba([color, color, color, alphas[x as usize]]));
            assert_eq!(levels(strokes), [0, 0, 0, 255, 255], "{color}");
        }
        let deep = ImageBuffer::from_fn(2, 1, |x, _| LumaA([9_u16, [0x80ff, 0x8100][x as usize]]));
        assert_eq!(levels(deep), [0, 255]);
    }

    #[test]
    fn what_is_opaque_is_as_any_picture() {
        let opaque = ImageBuffer::from_fn(4, 1, |x, _| Rgba([x as u8 * 80, 7, 9, 255]));
        let bytes = png(opaque);
        let limits = Limits::default();
        assert_eq!(decode_mask(&bytes, &limits).unwrap(), decode(&bytes, &limits).unwrap());
        decode_mask(b"nonsense", &limits).unwrap_err();
    }
}
