//! Pictures through the public functions: what comes out.

#![allow(clippy::unwrap_used)]

#[path = "support/pictures.rs"]
mod pictures;

use diffusion_engine::Error;
use diffusion_engine::images::{
    Limits, RgbImage, decode, decode_file, encode_png, from_unit, read_text, to_unit,
};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use pictures::{encoded, files, oriented_png, picture};

#[test]
fn lossless_formats_give_the_pixels_back() {
    let image = picture(33, 21);
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Bmp, ImageFormat::Tiff] {
        let bytes = encoded(image.clone(), format);
        assert_eq!(decode(&bytes, &Limits::default()).unwrap(), image, "{format:?}");
    }
}

#[test]
fn every_format_decodes() {
    for file in files() {
        decode(&file, &Limits::default()).unwrap();
    }
}

#[test]
fn a_jpeg_comes_close() {
    let image = picture(40, 32);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 98).encode_image(&image).unwrap();
    let decoded = decode(&bytes, &Limits::default()).unwrap();
    let differences = image.as_raw().iter().zip(decoded.as_raw()).map(|(a, b)| a.abs_diff(*b));
    assert!(differences.map(u32::from).sum::<u32>() < 3 * image.as_raw().len() as u32);
}

#[test]
fn alpha_is_laid_over_white() {
    let image = RgbaImage::from_fn(4, 1, |x, _| Rgba([200, 100, 0, [0, 1, 128, 255][x as usize]]));
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff] {
        let decoded = decode(&encoded(image.clone(), format), &Limits::default()).unwrap();
        let expected = [255, 255, 255, 255, 254, 254, 227, 177, 127, 200, 100, 0];
        assert_eq!(decoded.as_raw(), &expected, "{format:?}");
    }
}

#[test]
fn orientations_are_applied() {
    let stored = DynamicImage::from(picture(6, 4));
    let expected = [
        stored.clone(),
        stored.fliph(),
        stored.rotate180(),
        stored.flipv(),
        stored.rotate90().fliph(),
        stored.rotate90(),
        stored.rotate270().fliph(),
        stored.rotate270(),
    ];
    for (orientation, expected) in (1..).zip(expected) {
        let decoded = decode(&oriented_png(orientation), &Limits::default()).unwrap();
        assert_eq!(decoded, expected.into_rgb8(), "orientation {orientation}");
    }
    assert_eq!(decode(&oriented_png(99), &Limits::default()).unwrap(), picture(6, 4));
}

#[test]
fn files_are_read_under_their_limit() {
    let folder = std::env::temp_dir().join(format!("diffusion-images-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("picture.png");
    std::fs::write(&path, encoded(picture(9, 7), ImageFormat::Png)).unwrap();
    assert_eq!(decode_file(&path, &Limits::default()).unwrap(), picture(9, 7));

    let error = decode_file(&path, &Limits { max_bytes: 10, ..Limits::default() }).unwrap_err();
    assert!(error.to_string().contains("picture.png"), "{error}");
    let error = decode_file(folder.join("none.png"), &Limits::default()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    decode_file(&folder, &Limits::default()).unwrap_err();
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn text_survives_a_png_in_order() {
    let text = [
        ("prompt", "naïve café"),
        ("parameters", "steps: 20\nein Kätzchen, 猫, 🐈"),
        ("prompt", ""),
        ("Überschrift", "x"),
    ];
    let png = encode_png(&picture(20, 15), &text).unwrap();
    let read = read_text(&png).unwrap();
    let read: Vec<_> = read.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(read, text);
    assert_eq!(encode_png(&picture(20, 15), &text).unwrap(), png);
    assert_eq!(decode(&png, &Limits::default()).unwrap(), picture(20, 15));
}

#[test]
fn text_that_png_cannot_hold_is_refused() {
    let image = picture(2, 2);
    let long = "k".repeat(80);
    for keyword in ["", " edge", "edge ", "猫", "a\nb", &long] {
        encode_png(&image, &[(keyword, "value")]).unwrap_err();
    }
    encode_png(&image, &[("key", "a\0b")]).unwrap_err();
    encode_png(&RgbImage::new(0, 0), &[]).unwrap_err();
}

#[test]
fn broken_text_is_refused() {
    let png = encode_png(&picture(2, 2), &[("key", "value"), ("schlüssel", "猫")]).unwrap();
    for length in 0..png.len() {
        read_text(&png[..length]).unwrap_err();
    }
    read_text(b"GIF89a").unwrap_err();
    let mut bad = png;
    let kind = bad.windows(4).position(|window| window == b"iTXt").unwrap();
    let compression_flag = kind + 4 + "schlüssel".chars().count() + 1;
    bad[compression_flag] = 7;
    read_text(&bad).unwrap_err();
}

#[test]
fn units_go_there_and_back() {
    let image = picture(31, 17);
    let values = to_unit(&image);
    assert!(values.iter().all(|value| (-1.0..=1.0).contains(value)));
    assert_eq!(from_unit(&values, 31, 17).unwrap(), image);
}
