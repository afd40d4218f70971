//! Any decoded samples to 8-bit RGB: alpha over white, high bytes of 16-bit samples.

use image::{DynamicImage, ImageBuffer, Luma, LumaA, Pixel, Rgb, RgbImage, Rgba};

/// Converts to 8-bit RGB, laying alpha over white.
pub(super) fn to_rgb8(decoded: DynamicImage) -> RgbImage {
    match decoded {
        DynamicImage::ImageRgb8(rgb) => rgb,
        DynamicImage::ImageLuma8(grey) => map(&grey, |Luma([v])| [*v; 3]),
        DynamicImage::ImageLumaA8(grey) => map(&grey, |LumaA([v, a])| [over_white(*v, *a); 3]),
        DynamicImage::ImageRgba8(rgba) => {
            map(&rgba, |Rgba([r, g, b, a])| [r, g, b].map(|&c| over_white(c, *a)))
        }
        DynamicImage::ImageLuma16(grey) => map(&grey, |Luma([v])| [high(*v); 3]),
        DynamicImage::ImageLumaA16(grey) => {
            map(&grey, |LumaA([v, a])| [over_white(high(*v), high(*a)); 3])
        }
        DynamicImage::ImageRgb16(rgb) => map(&rgb, |Rgb(channels)| channels.map(high)),
        DynamicImage::ImageRgba16(rgba) => {
            map(&rgba, |Rgba([r, g, b, a])| [r, g, b].map(|&c| over_white(high(c), high(*a))))
        }
        other => other.into_rgb8(),
    }
}

/// Applies `convert` to every pixel.
fn map<P: Pixel>(
    source: &ImageBuffer<P, Vec<P::Subpixel>>,
    convert: impl Fn(&P) -> [u8; 3],
) -> RgbImage {
    let mut target = RgbImage::new(source.width(), source.height());
    for (to, from) in target.pixels_mut().zip(source.pixels()) {
        to.0 = convert(from);
    }
    target
}

/// `value` with opacity `alpha` over white, rounded to the nearest level.
fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    // At most 255·255 + 127, so the quotient is at most 255.
    ((alpha * value + (255 - alpha) * 255 + 127) / 255) as u8
}

/// The high byte of a 16-bit sample.
pub(super) fn high(value: u16) -> u8 {
    (value >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_laid_over_white() {
        for value in 0..=255 {
            assert_eq!(over_white(value, 255), value);
            assert_eq!(over_white(value, 0), 255);
        }
        assert_eq!(over_white(0, 128), 127);
        assert_eq!(over_white(100, 77), 208);
    }

    #[test]
    fn sixteen_bits_keep_the_high_byte() {
        let grey =
            ImageBuffer::from_fn(2, 1, |x, _| Luma([if x == 0 { 0x12ff_u16 } else { 0xffff }]));
        let rgb = to_rgb8(DynamicImage::ImageLuma16(grey));
        assert_eq!(rgb.as_raw(), &[0x12, 0x12, 0x12, 255, 255, 255]);
    }
}
