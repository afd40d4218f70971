//! Writing PNG files, and the text in them.

use std::io::Write;

use image::RgbImage;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use png::text_metadata::{EncodableTextChunk, ITXtChunk, TEXtChunk};

use crate::{Error, Result};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Most bytes of text that [`read_text`] takes from one file, decompressed.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// Most entries that [`read_text`] takes from one file.
const MAX_ENTRIES: usize = 1024;

/// Encodes as PNG with `text`, pairs of keyword and value, in the order given.
///
/// Values that fit Latin-1 become `tEXt` chunks, others `iTXt`. The compression is a fast one. The
/// same input gives the same bytes: neither time nor version is written.
///
/// # Errors
///
/// [`Error::Invalid`] when the picture has no pixels, a keyword is not 1 to 79 characters of
/// printable Latin-1 without spaces at its ends, or a value contains a NUL character.
pub fn encode_png(image: &RgbImage, text: &[(&str, &str)]) -> Result<Vec<u8>> {
    for (keyword, value) in text {
        check_text(keyword, value)?;
    }
    write_png(image, text).map_err(|error| Error::Invalid(format!("PNG: {error}")))
}

fn write_png(image: &RgbImage, text: &[(&str, &str)]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, image.width(), image.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let mut writer = encoder.write_header()?;
    for (keyword, value) in text {
        if value.chars().all(is_latin_1) {
            write_text(&mut writer, &TEXtChunk::new(*keyword, *value))?;
        } else {
            write_text(&mut writer, &ITXtChunk::new(*keyword, *value))?;
        }
    }
    writer.write_image_data(image.as_raw())?;
    writer.finish()?;
    Ok(bytes)
}

fn write_text(
    writer: &mut png::Writer<impl Write>,
    chunk: &impl EncodableTextChunk,
) -> Result<(), png::EncodingError> {
    writer.write_text_chunk(chunk)
}

/// Whether the PNG format can hold this entry.
fn check_text(keyword: &str, value: &str) -> Result<()> {
    let printable = |c: char| matches!(c, ' '..='~' | '\u{a1}'..='\u{ff}');
    let length = keyword.chars().count();
    if !(1..=79).contains(&length) || !keyword.chars().all(printable) || keyword.trim() != keyword {
        return Err(Error::Invalid(format!("{keyword:?} cannot be a keyword of PNG text")));
    }
    if value.contains('\0') {
        return Err(Error::Invalid(format!("PNG text {keyword:?} contains a NUL character")));
    }
    Ok(())
}

fn is_latin_1(c: char) -> bool {
    u32::from(c) <= 0xff
}

/// Reads the text of a PNG file: pairs of keyword and value from its `tEXt`, `zTXt` and `iTXt`
/// chunks, in the order of the file, before or after the pixels. The pixels are not looked at.
///
/// # Errors
///
/// [`Error::Image`] when `bytes` are no PNG file, a text chunk is broken or the file is cut off
/// before one, or the text is more than 4 MiB decompressed or 1024 entries.
pub fn read_text(bytes: &[u8]) -> Result<Vec<(String, String)>> {
    let mut rest = bytes.strip_prefix(SIGNATURE).ok_or_else(|| broken("this is no PNG file"))?;
    let mut entries = Vec::new();
    let mut budget = MAX_TEXT_BYTES;
    loop {
        let (kind, data, after) = split_chunk(rest).ok_or_else(|| broken("the file is cut off"))?;
        rest = after;
        let entry = match kind {
            b"tEXt" => latin_1_entry(data),
            b"zTXt" => compressed_entry(data, budget),
            b"iTXt" => international_entry(data, budget),
            b"IEND" => return Ok(entries),
            _ => continue,
        };
        let (keyword, value) =
            entry.ok_or_else(|| broken("a text chunk is broken, or there is too much text"))?;
        budget = (budget.checked_sub(keyword.len() + value.len()))
            .ok_or_else(|| broken("there is too much text"))?;
        entries.push((keyword, value));
        if entries.len() > MAX_ENTRIES {
            return Err(broken("there is too much text"));
        }
    }
}

/// The first chunk's kind and data, and what follows it. Checksums are not looked at.
fn split_chunk(bytes: &[u8]) -> Option<(&[u8; 4], &[u8], &[u8])> {
    let (length, after) = bytes.split_first_chunk::<4>()?;
    let (kind, after) = after.split_first_chunk::<4>()?;
    let (data, after) = after.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)?;
    Some((kind, data, after.get(4..)?))
}

/// `tEXt`: keyword, NUL, Latin-1 text.
fn latin_1_entry(data: &[u8]) -> Option<(String, String)> {
    let (keyword, text) = split_at_nul(data)?;
    Some((latin_1(keyword), latin_1(text)))
}

/// `zTXt`: keyword, NUL, method, compressed Latin-1 text.
fn compressed_entry(data: &[u8], limit: usize) -> Option<(String, String)> {
    let (keyword, after) = split_at_nul(data)?;
    let (0, text) = after.split_first()? else { return None };
    Some((latin_1(keyword), latin_1(&inflate(text, limit)?)))
}

/// `iTXt`: keyword, NUL, compression flag, method, language, NUL, translated keyword, NUL, UTF-8
/// text.
fn international_entry(data: &[u8], limit: usize) -> Option<(String, String)> {
    let (keyword, after) = split_at_nul(data)?;
    let ([compressed, method], after) = after.split_first_chunk::<2>()?;
    let (_language, after) = split_at_nul(after)?;
    let (_translated, text) = split_at_nul(after)?;
    let text = match (compressed, method) {
        (0, _) => text.to_vec(),
        (1, 0) => inflate(text, limit)?,
        _ => return None,
    };
    Some((latin_1(keyword), String::from_utf8(text).ok()?))
}

fn split_at_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|&byte| byte == 0)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

fn inflate(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    decompress_to_vec_zlib_with_limit(bytes, limit).ok()
}

fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn broken(message: &str) -> Error {
    Error::Image(format!("PNG: {message}"))
}
