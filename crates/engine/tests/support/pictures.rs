//! Small pictures and files of them.

use std::io::Cursor;

use diffusion_engine::images::{RgbImage, encode_png};
use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat, Rgba, RgbaImage};

/// A picture with gradients and an edge.
pub(crate) fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let edge = if x > y { 200 } else { 30 };
        image::Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, edge])
    })
}

/// A picture with all kinds of opacity.
pub(crate) fn translucent(width: u32, height: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| Rgba([x as u8 * 9, y as u8 * 13, 77, (x * y) as u8]))
}

/// The file of a picture.
pub(crate) fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A PNG of 6×4 pixels whose metadata ask for an orientation as EXIF numbers them.
pub(crate) fn oriented_png(orientation: u8) -> Vec<u8> {
    let tag = [0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0];
    let exif = [&b"II*\0\x08\0\0\0\x01\0"[..], &tag, &[0; 4]].concat();
    let image = picture(6, 4);
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_exif_metadata(exif).unwrap();
    encoder.write_image(image.as_raw(), 6, 4, ExtendedColorType::Rgb8).unwrap();
    bytes
}

/// One file of every format, and of some of their kinds.
pub(crate) fn files() -> Vec<Vec<u8>> {
    let rgb = picture(20, 15);
    let rgba = translucent(20, 15);
    let deep = DynamicImage::from(rgb.clone()).to_luma16();
    vec![
        encoded(rgb.clone(), ImageFormat::Png),
        encoded(rgb.clone(), ImageFormat::Jpeg),
        encoded(rgb.clone(), ImageFormat::WebP),
        encoded(rgb.clone(), ImageFormat::Gif),
        encoded(rgb.clone(), ImageFormat::Bmp),
        encoded(rgb.clone(), ImageFormat::Tiff),
        encoded(rgba.clone(), ImageFormat::Png),
        encoded(rgba.clone(), ImageFormat::WebP),
        encoded(rgba, ImageFormat::Gif),
        encoded(deep, ImageFormat::Png),
        encode_png(&rgb, &[("parameters", "a cat"), ("title", "猫")]).unwrap(),
        oriented_png(6),
    ]
}
