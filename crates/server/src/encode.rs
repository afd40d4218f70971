//! Images as files that say how they were made.

use anyhow::{Context, anyhow, bail};
use diffusion_engine::images::{RgbImage, encode_png};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder as _};

use crate::infotext::{ExifText, JPEG_ROOM, PARAMETERS, RECORD, in_webp};

/// The formats that are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Without loss.
    #[default]
    Png,
    /// With loss.
    Jpeg,
    /// With loss.
    Webp,
}

/// The quality of files with loss where none is asked for, of 100.
pub(crate) const QUALITY: u8 = 90;

/// The longest side of a WebP file.
const WEBP_SIDE: u32 = 16383;

impl Format {
    /// The media type.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    /// The ending of file names, without the dot.
    pub(crate) fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }

    /// The format that an ending, or its usual name, stands for.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match &*name.to_ascii_lowercase() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "webp" => Some(Self::Webp),
            _ => None,
        }
    }
}

/// An image in a format, with `texts` by their PNG keywords. `quality`, 0 to 100, is that of JPEG
/// and WebP. The same input gives the same bytes.
///
/// JPEG and WebP take the texts that they have a place for, `parameters` and our own record. The
/// segment of a JPEG holds 64 KiB: of what is longer the record is left out, then the other.
///
/// # Errors
/// The image has no pixels or is too large for the format, or a PNG cannot hold a text.
pub(crate) fn encode(
    image: &RgbImage,
    format: Format,
    quality: u8,
    texts: &[(&str, &str)],
) -> anyhow::Result<Vec<u8>> {
    let text = |keyword: &str| {
        let found = texts.iter().find(|(known, _)| *known == keyword);
        found.map(|(_, text)| (*text).to_owned())
    };
    let exif =
        ExifText { user_comment: text(PARAMETERS), record: text(RECORD), ..ExifText::default() };
    match format {
        Format::Png => Ok(encode_png(image, texts)?),
        Format::Jpeg => jpeg(image, quality, exif),
        Format::Webp => webp(image, quality, &exif),
    }
}

fn jpeg(image: &RgbImage, quality: u8, mut exif: ExifText) -> anyhow::Result<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut file, quality.clamp(1, 100));
    if exif.write().len() > JPEG_ROOM {
        exif.record = None;
    }
    if exif.write().len() > JPEG_ROOM {
        exif.user_comment = None;
    }
    if exif != ExifText::default() {
        encoder.set_exif_metadata(exif.write()).context("JPEG")?;
    }
    let (width, height) = image.dimensions();
    encoder.write_image(image, width, height, ExtendedColorType::Rgb8).context("JPEG")?;
    Ok(file)
}

fn webp(image: &RgbImage, quality: u8, exif: &ExifText) -> anyhow::Result<Vec<u8>> {
    let size @ (width, height) = image.dimensions();
    if !(1..=WEBP_SIDE).contains(&width) || !(1..=WEBP_SIDE).contains(&height) {
        bail!("WebP: {width}×{height} pixels; sides of 1 to {WEBP_SIDE} are possible");
    }
    let encoder = webp::Encoder::from_rgb(image, width, height);
    let made = encoder.encode_simple(false, f32::from(quality.min(100)));
    let made = made.map_err(|error| anyhow!("WebP: {error:?}"))?;
    if *exif == ExifText::default() {
        return Ok(made.to_vec());
    }
    in_webp(&made, &exif.write(), size).context("WebP: the texts are too long")
}

#[cfg(test)]
mod tests {
    use diffusion_engine::images::{Limits, decode};
    use image::Rgb;

    use super::*;
    use crate::infotext::{self, Origin};

    fn picture() -> RgbImage {
        RgbImage::from_fn(50, 30, |x, y| Rgb([(x * 5) as u8, (y * 8) as u8, 128]))
    }

    const TEXT: &str = "a café\nSteps: 2, Sampler: Euler, Seed: 7";

    #[test]
    fn every_format_holds_the_texts_and_the_picture() {
        let image = picture();
        let record = r#"{"prompt": "é"}"#;
        let texts = [("parameters", TEXT), ("diffusion-server", record)];
        for format in [Format::Png, Format::Jpeg, Format::Webp] {
            let file = encode(&image, format, 90, &texts).unwrap();
            assert_eq!(encode(&image, format, 90, &texts).unwrap(), file, "{format:?}");
            let info = infotext::read(&file).unwrap();
            assert_eq!(info.texts["parameters"], TEXT, "{format:?}");
            assert_eq!(info.texts["diffusion-server"], record, "{format:?}");
            assert_eq!((info.origin, info.seed), (Some(Origin::Automatic1111), Some(7)));
            let decoded = decode(&file, &Limits::default()).unwrap();
            assert_eq!(decoded.dimensions(), image.dimensions());
            let worst = decoded.iter().zip(image.iter()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst.unwrap() < 24, "{format:?}: {worst:?}");
            let named = Format::named(format.ending()).unwrap();
            assert_eq!(named, format);
        }
    }

    #[test]
    fn quality_decides_the_size_and_bare_files_are_bare() {
        let image = picture();
        for format in [Format::Jpeg, Format::Webp] {
            let size = |quality| encode(&image, format, quality, &[]).unwrap().len();
            assert!(size(0) < size(60) && size(60) < size(100), "{format:?}");
            let file = encode(&image, format, 50, &[]).unwrap();
            assert_eq!(infotext::read(&file).unwrap(), infotext::Info::default());
        }
    }

    #[test]
    fn what_a_jpeg_has_no_room_for_is_left_out() {
        let long = |length: usize| "x".repeat(length) + "\nSteps: 2, Sampler: Euler, Seed: 7";
        for (comment, record, expected) in
            [(10, 10, (true, true)), (10, 70_000, (true, false)), (70_000, 10, (false, false))]
        {
            let (comment, record) = (long(comment), long(record));
            let texts = [("parameters", &*comment), ("diffusion-server", &*record)];
            let file = encode(&picture(), Format::Jpeg, 90, &texts).unwrap();
            let found = infotext::read(&file).unwrap().texts;
            let has = |keyword| found.contains_key(keyword);
            assert_eq!((has("parameters"), has("diffusion-server")), expected);
            decode(&file, &Limits::default()).unwrap();
            let file = encode(&picture(), Format::Webp, 90, &texts).unwrap();
            assert_eq!(infotext::read(&file).unwrap().texts["parameters"], comment);
        }
    }

    #[test]
    fn sizes_that_webp_does_not_have_are_refused() {
        let error = encode(&RgbImage::new(16384, 1), Format::Webp, 90, &[]).unwrap_err();
        assert!(error.to_string().contains("16383"), "{error}");
    }
}
