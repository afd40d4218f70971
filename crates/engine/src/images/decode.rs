//! Decoding a picture of unknown origin, under limits.

use std::error::Error as _;
use std::io::{Cursor, ErrorKind, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage,
};

use super::{flatten, jpeg, webp};
use crate::source::open_file;
use crate::{Error, Result};

/// The formats that [`decode`] reads, in words.
pub const SUPPORTED: &str = "PNG, JPEG, WebP, GIF, BMP and TIFF are supported";

/// What decoding one picture may cost. All limits are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of the encoded file in bytes.
    pub max_bytes: u64,
    /// Width and height in pixels.
    pub max_side: u32,
    /// Width × height in pixels.
    pub max_pixels: u64,
    /// Bytes for the decoded samples, and a decoder's own buffers where it counts them.
    pub max_alloc: u64,
}

impl Default for Limits {
    /// 64 MiB of file, 16384 pixels a side, 64 Mi pixels, 512 MiB of decoded samples.
    fn default() -> Self {
        Self { max_bytes: 64 << 20, max_side: 16384, max_pixels: 64 << 20, max_alloc: 512 << 20 }
    }
}

impl Limits {
    /// Refuses an encoded file of `bytes` bytes that is too large.
    fn check_bytes(&self, bytes: u64) -> Result<()> {
        if bytes > self.max_bytes {
            return refuse(format!("{bytes} bytes are more than the limit of {}", self.max_bytes));
        }
        Ok(())
    }

    /// Refuses a picture of `width`×`height` pixels that is empty or too large.
    pub(super) fn check_size(&self, width: u32, height: u32) -> Result<()> {
        if width == 0 || height == 0 {
            return refuse(format!("it has no pixels ({width}×{height})"));
        }
        if width > self.max_side || height > self.max_side {
            return refuse(format!(
                "{width}×{height} pixels are more than the limit of {} a side",
                self.max_side
            ));
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.max_pixels {
            return refuse(format!(
                "{width}×{height} are {pixels} pixels, more than the limit of {}",
                self.max_pixels
            ));
        }
        Ok(())
    }
}

/// Decodes a picture of any supported format ([`SUPPORTED`]) to 8-bit RGB.
///
/// The format is told from the content. The orientation that the file's metadata asks for is
/// applied, alpha is laid over white, 16-bit samples keep their high byte, of an animation the
/// first frame is taken, and colour profiles are ignored.
///
/// # Errors
///
/// [`Error::Image`] when the format is unknown, the file is broken or cut off, or a limit is
/// exceeded. Sizes are checked against the header, before any pixel is allocated.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<RgbImage> {
    let (decoded, orientation) = read(bytes, limits)?;
    let mut upright = DynamicImage::ImageRgb8(flatten::to_rgb8(decoded));
    upright.apply_orientation(orientation);
    Ok(upright.into_rgb8())
}

/// The pixels of a file as they are stored, and how they are to be turned.
pub(super) fn read(bytes: &[u8], limits: &Limits) -> Result<(DynamicImage, Orientation)> {
    limits.check_bytes(bytes.len() as u64)?;
    let format = format_of(bytes)?;
    match format {
        ImageFormat::Png => check_png_header(bytes, limits)?,
        ImageFormat::Jpeg => jpeg::check_complete(bytes)?,
        ImageFormat::WebP => webp::check_frames(bytes, limits)?,
        _ => {}
    }

    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    // Sides are checked here, where the refusal can name them.
    let mut decoder_limits = image::Limits::no_limits();
    decoder_limits.max_alloc = Some(limits.max_alloc);
    reader.limits(decoder_limits);
    let mut decoder = reader.into_decoder().map_err(|error| explain(format, &error))?;
    let (width, height) = decoder.dimensions();
    limits.check_size(width, height)?;
    if matches!(decoder.color_type(), ColorType::Rgb32F | ColorType::Rgba32F) {
        return refuse("floating-point samples are not supported".into());
    }
    let needed = decoder.total_bytes();
    if needed > limits.max_alloc {
        return refuse(format!(
            "its samples need {needed} bytes, more than the limit of {}",
            limits.max_alloc
        ));
    }

    // Broken metadata is no reason to refuse a picture whose pixels are fine.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let decoded = DynamicImage::from_decoder(decoder).map_err(|error| explain(format, &error))?;
    Ok((decoded, orientation))
}

/// Reads and decodes the picture at `path`, as [`decode`] does.
///
/// # Errors
///
/// Those of [`read_file`] and [`decode`], with the path.
pub fn decode_file(path: impl AsRef<Path>, limits: &Limits) -> Result<RgbImage> {
    let path = path.as_ref();
    decode(&read_file(path, limits)?, limits).map_err(|error| named(path, error))
}

/// Reads an encoded picture that may be decoded under these limits.
///
/// # Errors
///
/// [`Error::Io`] when there is no regular file that can be read; [`Error::Image`] for one that is too
/// large, which is not read whole.
pub fn read_file(path: impl AsRef<Path>, limits: &Limits) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let file = open_file(path).map_err(|source| Error::io(path, source))?;
    let length = file.metadata().map_err(|source| Error::io(path, source))?.len();
    limits.check_bytes(length).map_err(|error| named(path, error))?;

    // The length of a growing file says nothing, so the read is bounded as well.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(limits.max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| Error::io(path, source))?;
    limits.check_bytes(bytes.len() as u64).map_err(|error| named(path, error))?;
    Ok(bytes)
}

/// What is wrong with a picture, with its path.
fn named(path: &Path, error: Error) -> Error {
    match error {
        Error::Image(message) => Error::Image(format!("{}: {message}", path.display())),
        other => other,
    }
}

/// The supported format of `bytes`, or an error that names what it seems to be.
fn format_of(bytes: &[u8]) -> Result<ImageFormat> {
    match image::guess_format(bytes) {
        Ok(
            format @ (ImageFormat::Png
            | ImageFormat::Jpeg
            | ImageFormat::WebP
            | ImageFormat::Gif
            | ImageFormat::Bmp
            | ImageFormat::Tiff),
        ) => Ok(format),
        Ok(other) => refuse(format!("{} is not supported ({SUPPORTED})", format_name(other))),
        Err(_) => refuse(format!("{} ({SUPPORTED})", unknown_kind(bytes))),
    }
}

/// Checks the size in the header of a PNG, whose decoder allocates rows as soon as it is made.
fn check_png_header(bytes: &[u8], limits: &Limits) -> Result<()> {
    match bytes.get(16..24) {
        Some(&[a, b, c, d, e, f, g, h]) => {
            limits.check_size(u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
        }
        _ => refuse("PNG: the file is cut off".into()),
    }
}

/// Says what data that is no supported picture looks like.
fn unknown_kind(bytes: &[u8]) -> &'static str {
    let head = &bytes[..bytes.len().min(1024)];
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    match head.get(4..12) {
        _ if head.is_empty() => "it is empty",
        Some(b"ftypavif" | b"ftypavis") => "AVIF is not supported",
        Some(b"ftypheic" | b"ftypheix" | b"ftyphevc" | b"ftypmif1" | b"ftypmsf1") => {
            "HEIC is not supported"
        }
        _ if head.starts_with(b"%PDF") => "PDF is not supported",
        _ if text.starts_with('<') && text.contains("<svg") => "SVG is not supported",
        _ => "its format is unknown",
    }
}

/// A decoder's error in one line.
fn explain(format: ImageFormat, error: &ImageError) -> Error {
    let name = format_name(format);
    let cause = match error {
        ImageError::Limits(_) => "decoding it needs more memory than the limit".to_owned(),
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            "the file is cut off".to_owned()
        }
        // The outer error only repeats the format.
        ImageError::Decoding(error) => {
            error.source().map_or_else(|| error.to_string(), ToString::to_string)
        }
        other => other.to_string(),
    };
    Error::Image(format!("{name}: {}", cause.replace('\n', " ")))
}

/// The usual name of a format, such as `PNG`.
fn format_name(format: ImageFormat) -> String {
    match format {
        ImageFormat::WebP => "WebP".into(),
        other => other.extensions_str().first().unwrap_or(&"this format").to_uppercase(),
    }
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::Image(message))
}
