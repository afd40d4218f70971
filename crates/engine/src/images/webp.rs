//! Whether the frames of a WebP file have the sizes that its container declares.
//!
//! The decoder believes a frame's own header, decodes it whole, and only then compares it with the
//! container, so a small declared canvas could hide a frame of 16383×16383 pixels.

use super::Limits;
use crate::{Error, Result};

/// Bytes before the first chunk: `RIFF`, the file's size, `WEBP`.
const CONTAINER_HEADER: usize = 12;
/// Bytes of an `ANMF` chunk before the frame's own chunks.
const FRAME_HEADER: usize = 16;

/// Width and height in pixels.
type Size = (u32, u32);

/// Checks every frame's size against the container, and the container's against `limits`.
///
/// Only sizes are judged; whatever else is wrong with the file is left to the decoder.
///
/// # Errors
///
/// [`Error::Image`] when the sizes disagree or exceed the limits.
pub(super) fn check_frames(bytes: &[u8], limits: &Limits) -> Result<()> {
    let mut canvas = None;
    for (kind, payload) in chunks(bytes.get(CONTAINER_HEADER..).unwrap_or_default()) {
        match kind {
            b"VP8X" => {
                let size = payload.get(4..).and_then(u24_pair);
                if let Some((width, height)) = size {
                    limits.check_size(width, height)?;
                }
                canvas = canvas.or(size);
            }
            b"ANMF" => check_animation_frame(payload, canvas)?,
            _ => check_bitstream(kind, payload, canvas, limits)?,
        }
    }
    Ok(())
}

/// Checks one frame of an animation: inside the canvas, and as large as its pictures.
fn check_animation_frame(payload: &[u8], canvas: Option<Size>) -> Result<()> {
    let offset = payload.get(..3).zip(payload.get(3..6)).map(|(x, y)| (u24(x) * 2, u24(y) * 2));
    let size = payload.get(6..).and_then(u24_pair);
    let (Some((x, y)), Some((width, height)), Some(canvas)) = (offset, size, canvas) else {
        return Ok(());
    };
    if x + width > canvas.0 || y + height > canvas.1 {
        return disagree((width, height), canvas);
    }
    let own = Limits { max_side: u32::MAX, ..Limits::default() };
    for (kind, payload) in chunks(payload.get(FRAME_HEADER..).unwrap_or_default()) {
        check_bitstream(kind, payload, Some((width, height)), &own)?;
    }
    Ok(())
}

/// Checks the size in the header of a `VP8 ` or `VP8L` chunk: as declared, or else within `limits`.
fn check_bitstream(
    kind: &[u8; 4],
    payload: &[u8],
    declared: Option<Size>,
    limits: &Limits,
) -> Result<()> {
    let Some(size) = bitstream_size(kind, payload) else { return Ok(()) };
    match declared {
        Some(declared) if declared != size => disagree(size, declared),
        Some(_) => Ok(()),
        None => limits.check_size(size.0, size.1),
    }
}

/// The size that a lossy or lossless bitstream says it has.
fn bitstream_size(kind: &[u8; 4], payload: &[u8]) -> Option<Size> {
    match kind {
        b"VP8 " => {
            let sides = payload.get(6..10)?;
            let side =
                |at: usize| u32::from(u16::from_le_bytes([sides[at], sides[at + 1]])) & 0x3fff;
            Some((side(0), side(2)))
        }
        b"VP8L" => {
            let bits = u32::from_le_bytes(*payload.get(1..)?.first_chunk()?);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        _ => None,
    }
}

/// The chunks of a RIFF body: four-letter kind and payload, as far as the bytes go.
fn chunks(mut rest: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (kind, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let payload = &after[..length.min(after.len())];
        rest = after.get(length.saturating_add(length % 2)..).unwrap_or_default();
        Some((kind, payload))
    })
}

/// Two sides, each stored as 24 bits of side − 1.
fn u24_pair(bytes: &[u8]) -> Option<Size> {
    Some((u24(bytes.get(..3)?) + 1, u24(bytes.get(3..6)?) + 1))
}

/// The first three bytes as a little-endian number.
fn u24(bytes: &[u8]) -> u32 {
    bytes.iter().take(3).rev().fold(0, |value, &byte| value << 8 | u32::from(byte))
}

fn disagree<T>(frame: Size, declared: Size) -> Result<T> {
    Err(Error::Image(format!(
        "WebP: a frame of {}×{} pixels where {}×{} are declared",
        frame.0, frame.1, declared.0, declared.1
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_vec();
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    }

    fn canvas(width: u32, height: u32) -> Vec<u8> {
        let sides = [(width - 1).to_le_bytes(), (height - 1).to_le_bytes()];
        chunk(b"VP8X", &[&[0; 4], &sides[0][..3], &sides[1][..3]].concat())
    }

    fn lossy(width: u16, height: u16) -> Vec<u8> {
        let sides = [width.to_le_bytes(), height.to_le_bytes()].concat();
        chunk(b"VP8 ", &[&[0x10, 0, 0, 0x9d, 0x01, 0x2a], &sides[..]].concat())
    }

    fn lossless(width: u32, height: u32) -> Vec<u8> {
        let bits = (width - 1) | (height - 1) << 14;
        chunk(b"VP8L", &[&[0x2f], &bits.to_le_bytes()[..]].concat())
    }

    fn frame(width: u32, height: u32, picture: &[u8]) -> Vec<u8> {
        let sides = [(width - 1).to_le_bytes(), (height - 1).to_le_bytes()];
        chunk(b"ANMF", &[&[0; 6], &sides[0][..3], &sides[1][..3], &[0; 4], picture].concat())
    }

    fn check(parts: &[Vec<u8>]) -> Result<()> {
        let bytes = [b"RIFF\0\0\0\0WEBP".to_vec(), parts.concat()].concat();
        check_frames(&bytes, &Limits::default())
    }

    #[test]
    fn matching_sizes_pass() {
        check(&[lossy(40, 30)]).unwrap();
        check(&[lossless(16383, 1)]).unwrap();
        check(&[canvas(40, 30), lossy(40, 30)]).unwrap();
        check(&[canvas(40, 30), chunk(b"ALPH", &[1]), lossy(40, 30)]).unwrap();
        check(&[canvas(40, 30), frame(8, 6, &lossless(8, 6))]).unwrap();
        check_frames(b"", &Limits::default()).unwrap();
    }

    #[test]
    fn hidden_sizes_are_refused() {
        check(&[canvas(40, 30), lossy(16383, 16383)]).unwrap_err();
        check(&[canvas(40, 30), lossless(41, 30)]).unwrap_err();
        check(&[canvas(40, 30), frame(8, 6, &lossy(9, 6))]).unwrap_err();
        check(&[canvas(40, 30), frame(41, 6, &lossy(41, 6))]).unwrap_err();
        check(&[canvas(1 << 20, 30)]).unwrap_err();
        check(&[lossy(16383, 16383)]).unwrap_err();
    }
}
