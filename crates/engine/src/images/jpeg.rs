//! Whether a JPEG file is complete. The decoder fills what is missing with grey.

use crate::{Error, Result};

const START_OF_IMAGE: u8 = 0xd8;
const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;
const TEMPORARY: u8 = 0x01;
const RESTARTS: std::ops::RangeInclusive<u8> = 0xd0..=0xd7;

/// Scans that a picture may have. Encoders write about ten; every one costs a pass over all pixels.
const MAX_SCANS: usize = 100;

/// Walks the segments and scans to the end-of-image marker.
///
/// # Errors
///
/// [`Error::Image`] when the file ends before that marker, or has more scans than any encoder
/// writes.
pub(super) fn check_complete(bytes: &[u8]) -> Result<()> {
    let mut rest = bytes;
    let mut scans = 0;
    while let Some((marker, after)) = next_marker(rest) {
        rest = match marker {
            END_OF_IMAGE => return Ok(()),
            START_OF_IMAGE | TEMPORARY => after,
            marker if RESTARTS.contains(&marker) => after,
            marker => {
                if marker == START_OF_SCAN {
                    scans += 1;
                }
                let Some(after_segment) = skip_segment(after) else { break };
                after_segment
            }
        };
        if scans > MAX_SCANS {
            return Err(Error::Image(format!("JPEG: more than {MAX_SCANS} scans")));
        }
    }
    Err(Error::Image("JPEG: the file is cut off".into()))
}

/// The next marker's code and what follows it. Entropy-coded data (where `ff` is followed by `00`),
/// fill bytes and stray bytes between segments are passed over.
fn next_marker(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let at =
        bytes.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0x00 | 0xff))?;
    Some((bytes[at + 1], &bytes[at + 2..]))
}

/// What follows a segment that begins with its big-endian length (which counts itself).
fn skip_segment(bytes: &[u8]) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes(*bytes.first_chunk()?));
    bytes.get(length.max(2)..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A skeleton with a thumbnail's end marker inside a segment, which must not count.
    const SKELETON: &[u8] = &[
        0xff, 0xd8, // start
        0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9, // a segment holding another picture
        0xff, 0xff, 0xda, 0, 3, 1, // scan header after a fill byte
        1, 2, 0xff, 0x00, 3, 0xff, 0xd0, 4, // coded data with a stuffed byte and a restart
        0xff, 0xd9, // end
    ];

    #[test]
    fn only_the_real_end_counts() {
        check_complete(SKELETON).unwrap();
        for length in 0..SKELETON.len() {
            check_complete(&SKELETON[..length]).unwrap_err();
        }
        check_complete(&[SKELETON, b"trailing"].concat()).unwrap();
    }

    #[test]
    fn scans_are_counted() {
        let scans = [0xff, 0xda, 0, 2, 0].repeat(MAX_SCANS + 1);
        let error =
            check_complete(&[&[0xff, 0xd8], &scans[..], &[0xff, 0xd9]].concat()).unwrap_err();
        assert!(error.to_string().contains("scans"), "{error}");
    }
}
