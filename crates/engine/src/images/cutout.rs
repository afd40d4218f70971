//! The fully transparent part of a picture, which some programs mean as a mask.

use image::metadata::Orientation;
use image::{DynamicImage, RgbImage};

use super::Limits;
use super::alpha::{alpha, stencil};
use super::decode::read;
use crate::Result;

/// A picture's size, and where it is fully transparent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cutout {
    /// Width and height in pixels, upright.
    pub size: (u32, u32),
    /// White where alpha is 0, black elsewhere; none where it is nowhere 0.
    pub mask: Option<RgbImage>,
}

/// Finds the fully transparent part of a picture of any supported format.
///
/// # Errors
///
/// As [`decode`](super::decode).
pub fn cutout(bytes: &[u8], limits: &Limits) -> Result<Cutout> {
    let (decoded, orientation) = read(bytes, limits)?;
    let size = (decoded.width(), decoded.height());
    // As stored, so that nothing nearly transparent becomes transparent.
    let mask = alpha(&decoded)
        .filter(|alpha| alpha.contains(&0))
        .map(|alpha| stencil(&decoded, &alpha, |alpha| alpha == 0));
    let turned = match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (size.1, size.0),
        _ => size,
    };
    let mask = mask.map(|mask| {
        let mut upright = DynamicImage::ImageRgb8(mask);
        upright.apply_orientation(orientation);
        upright.into_rgb8()
    });
    Ok(Cutout { size: turned, mask })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageBuffer, ImageFormat, Luma, LumaA, Rgba};

    use super::*;

    fn png(image: impl Into<DynamicImage>) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, ImageFormat::Png).unwrap();
        bytes.into_inner()
    }

    fn found(bytes: &[u8]) -> Cutout {
        cutout(bytes, &Limits::default()).unwrap()
    }

    #[test]
    fn only_what_is_fully_transparent_is_cut_out() {
        let alphas = [0, 1, 255];
        let image = ImageBuffer::from_fn(3, 2, |x, _| Rgba([9_u8, 9, 9, alphas[x as usize]]));
        let Cutout { size, mask } = found(&png(image));
        assert_eq!(size, (3, 2));
        let row = [255, 255, 255, 0, 0, 0, 0, 0, 0];
        assert_eq!(mask.unwrap().into_raw(), [row, row].concat());
        let deep = ImageBuffer::from_fn(2, 1, |x, _| LumaA([9_u16, x as u16]));
        assert_eq!(found(&png(deep)).mask.unwrap().into_raw(), [255, 255, 255, 0, 0, 0]);
    }

    #[test]
    fn opaque_pictures_have_a_size_alone() {
        let grey = ImageBuffer::from_pixel(5, 4, Luma([9_u8]));
        assert_eq!(found(&png(grey)), Cutout { size: (5, 4), mask: None });
        let whole = ImageBuffer::from_pixel(5, 4, Rgba([9_u8, 9, 9, 128]));
        assert_eq!(found(&png(whole)), Cutout { size: (5, 4), mask: None });
        cutout(b"nonsense", &Limits::default()).unwrap_err();
    }
}
