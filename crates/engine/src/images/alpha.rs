//! The alpha channel of a decoded picture.

use image::{DynamicImage, Rgb, RgbImage};

/// Alpha of each pixel, in rows from the top; 8-bit values are widened, so that 0 and full stay
/// what they are. None where the picture has no such channel.
pub(super) fn alpha(decoded: &DynamicImage) -> Option<Vec<u16>> {
    let wide = |level: u8| u16::from(level) * 0x101;
    match decoded {
        DynamicImage::ImageLumaA8(image) => Some(image.pixels().map(|p| wide(p.0[1])).collect()),
        DynamicImage::ImageRgba8(image) => Some(image.pixels().map(|p| wide(p.0[3])).collect()),
        DynamicImage::ImageLumaA16(image) => Some(image.pixels().map(|p| p.0[1]).collect()),
        DynamicImage::ImageRgba16(image) => Some(image.pixels().map(|p| p.0[3]).collect()),
        _ => None,
    }
}

/// White where alpha is as asked, black elsewhere; `alpha` is that of `decoded`.
pub(super) fn stencil(
    decoded: &DynamicImage,
    alpha: &[u16],
    is_white: impl Fn(u16) -> bool,
) -> RgbImage {
    let mut mask = RgbImage::new(decoded.width(), decoded.height());
    for (pixel, alpha) in mask.pixels_mut().zip(alpha) {
        *pixel = Rgb([if is_white(*alpha) { 255 } else { 0 }; 3]);
    }
    mask
}
