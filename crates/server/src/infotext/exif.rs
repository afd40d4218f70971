//! Texts in the EXIF of JPEG and WebP files.
//!
//! The `parameters` text is the `UserComment`, in UTF-16 behind `UNICODE`, where the field's
//! readers look for it. Our own record is the `MakerNote`, which is meant for such things.

use super::record::RECORD;

/// Tags, by their numbers in the EXIF specification.
const EXIF_IFD: u16 = 0x8769;
const MAKER_NOTE: u16 = 0x927c;
const USER_COMMENT: u16 = 0x9286;
/// `DocumentName`, `ImageDescription`, `Make`, `Model`: where ComfyUI writes.
const COMMON: std::ops::RangeInclusive<u16> = 0x010d..=0x0110;

/// Types of values.
const LONG: u16 = 4;
const UNDEFINED: u16 = 7;

/// Entries that are looked at in each directory.
const MOST_ENTRIES: usize = 256;
/// Bytes of text that are read of one file, as of a PNG.
const MOST_TEXT: usize = 4 << 20;

/// What begins EXIF inside of a JPEG segment, and in some WebP files.
const MARK: &[u8] = b"Exif\0\0";
/// Most bytes that a segment of a JPEG file has room for, beside its length and [`MARK`].
pub(crate) const JPEG_ROOM: usize = 0xffff - 2 - MARK.len();

/// Texts as EXIF has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ExifText {
    /// What tools of the field read.
    pub(crate) user_comment: Option<String>,
    /// Our own record.
    pub(crate) record: Option<String>,
    /// Other texts, where ComfyUI writes.
    pub(crate) common: Vec<String>,
}

impl ExifText {
    /// The TIFF structure that EXIF is, without what marks it in its container.
    pub(crate) fn write(&self) -> Vec<u8> {
        let note = self.record.as_ref().map(|text| [RECORD, "\0", text].concat().into_bytes());
        let comment = self.user_comment.as_ref().map(|text| {
            let words = text.encode_utf16().flat_map(u16::to_be_bytes);
            b"UNICODE\0".iter().copied().chain(words).collect::<Vec<u8>>()
        });
        let values: Vec<(u16, Vec<u8>)> = [(MAKER_NOTE, note), (USER_COMMENT, comment)]
            .into_iter()
            .filter_map(|(tag, value)| Some((tag, value?)))
            .collect();

        let mut tiff = b"MM\0\x2a\0\0\0\x08".to_vec();
        let pointer = tiff.len() + directory_bytes(1);
        directory(&mut tiff, &[(EXIF_IFD, LONG, 1, pointer)]);
        let mut place = pointer + directory_bytes(values.len());
        let mut entries = Vec::new();
        for (tag, value) in &values {
            entries.push((*tag, UNDEFINED, value.len(), place));
            place += value.len().next_multiple_of(2);
        }
        directory(&mut tiff, &entries);
        for (_, value) in values {
            tiff.extend(value);
            tiff.resize(tiff.len().next_multiple_of(2), 0);
        }
        tiff
    }

    /// Reads the texts of a TIFF structure; none where it is broken.
    pub(super) fn read(tiff: &[u8]) -> Self {
        Self::parse(tiff).unwrap_or_default()
    }

    fn parse(tiff: &[u8]) -> Option<Self> {
        let is_big = match tiff.get(..4)? {
            b"MM\0\x2a" => true,
            b"II\x2a\0" => false,
            _ => return None,
        };
        let tiff = Tiff { bytes: tiff, is_big };
        let mut text = Self::default();
        // Entries may share a value: each counts.
        let mut room = MOST_TEXT;
        let mut fits = |value: &[u8]| {
            let left = room.checked_sub(value.len());
            room = left.unwrap_or(room);
            left.is_some()
        };
        let outer = tiff.once(tiff.u32(4)?, |tag| tag == EXIF_IFD || COMMON.contains(&tag));
        for (tag, value) in outer {
            if tag == EXIF_IFD {
                let place = Tiff { bytes: value, is_big }.u32(0)?;
                let inner = tiff.once(place, |tag| matches!(tag, USER_COMMENT | MAKER_NOTE));
                for (tag, value) in inner.into_iter().filter(|(_, value)| fits(value)) {
                    match tag {
                        USER_COMMENT => text.user_comment = comment(value),
                        _ => text.record = record(value),
                    }
                }
            } else if fits(value) {
                let value = value.split(|&byte| byte == 0).next().unwrap_or_default();
                text.common.push(String::from_utf8_lossy(value).into_owned());
            }
        }
        Some(text)
    }
}

/// Size of a directory of so many entries.
fn directory_bytes(entries: usize) -> usize {
    2 + 12 * entries + 4
}

/// Entries: tag, type, count, and the value or its place. No directory follows.
fn directory(tiff: &mut Vec<u8>, entries: &[(u16, u16, usize, usize)]) {
    tiff.extend((entries.len() as u16).to_be_bytes());
    for &(tag, kind, count, value) in entries {
        tiff.extend(tag.to_be_bytes());
        tiff.extend(kind.to_be_bytes());
        tiff.extend((count as u32).to_be_bytes());
        tiff.extend((value as u32).to_be_bytes());
    }
    tiff.extend([0; 4]);
}

#[derive(Clone, Copy)]
struct Tiff<'a> {
    bytes: &'a [u8],
    is_big: bool,
}

impl<'a> Tiff<'a> {
    fn u16(self, at: usize) -> Option<u16> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(self, at: usize) -> Option<usize> {
        let bytes = *self.bytes.get(at..)?.first_chunk()?;
        let value = if self.is_big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
        usize::try_from(value).ok()
    }

    /// The values of a directory whose bytes are all there.
    fn directory(self, at: usize) -> impl Iterator<Item = (u16, &'a [u8])> {
        let count = self.u16(at).map_or(0, usize::from).min(MOST_ENTRIES);
        (0..count).filter_map(move |i| {
            let entry = at.checked_add(2 + 12 * i)?;
            let (tag, kind) = (self.u16(entry)?, self.u16(entry + 2)?);
            let size = match kind {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                4 | 9 | 11 => 4,
                _ => 8,
            };
            let length = self.u32(entry + 4)?.checked_mul(size)?;
            let start = if length <= 4 { entry + 8 } else { self.u32(entry + 8)? };
            Some((tag, self.bytes.get(start..start.checked_add(length)?)?))
        })
    }

    /// The first value of each tag that is wanted.
    fn once(self, at: usize, is_wanted: impl Fn(u16) -> bool) -> Vec<(u16, &'a [u8])> {
        let mut found: Vec<(u16, &[u8])> = Vec::new();
        for (tag, value) in self.directory(at).filter(|(tag, _)| is_wanted(*tag)) {
            if found.iter().all(|(known, _)| *known != tag) {
                found.push((tag, value));
            }
        }
        found
    }
}

/// A `UserComment`: eight bytes that name its code, then the text.
fn comment(value: &[u8]) -> Option<String> {
    let text = match value.split_first_chunk::<8>() {
        Some((b"UNICODE\0", text)) => utf16(text).into(),
        Some((b"ASCII\0\0\0" | b"\0\0\0\0\0\0\0\0", text)) => String::from_utf8_lossy(text),
        Some((b"JIS\0\0\0\0\0", _)) => return None,
        _ => String::from_utf8_lossy(value),
    };
    let text = text.trim_matches(['\0', '\u{feff}']);
    (!text.trim().is_empty()).then(|| text.to_owned())
}

/// UTF-16 in the byte order that its zeros tell: writers disagree, whatever order the file has.
fn utf16(bytes: &[u8]) -> String {
    let pairs = || bytes.chunks_exact(2).map(|pair| [pair[0], pair[1]]);
    let zeros = |at: usize| pairs().filter(|pair| pair[at] == 0).count();
    let is_little = match bytes {
        [0xff, 0xfe, ..] => true,
        [0xfe, 0xff, ..] => false,
        _ => zeros(1) > zeros(0),
    };
    let order = if is_little { u16::from_le_bytes } else { u16::from_be_bytes };
    let chars = char::decode_utf16(pairs().map(order));
    chars.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Our record behind its name.
fn record(value: &[u8]) -> Option<String> {
    let text = value.strip_prefix(RECORD.as_bytes())?.strip_prefix(b"\0")?;
    std::str::from_utf8(text).ok().map(Into::into)
}

/// The EXIF of a JPEG or WebP file, if it has some.
pub(super) fn find(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [0xff, 0xd8, rest @ ..] => in_segments(rest),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', rest @ ..] => {
            let exif = in_chunks(rest)?;
            Some(exif.strip_prefix(MARK).unwrap_or(exif))
        }
        _ => None,
    }
}

fn in_segments(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (&[0xff, kind], after) = rest.split_first_chunk()? else { return None };
        // The pixels, or the end.
        if matches!(kind, 0xda | 0xd9) {
            return None;
        }
        if kind == 0xff {
            rest = &rest[1..];
            continue;
        }
        let length = usize::from(u16::from_be_bytes(*after.first_chunk()?));
        let segment = after.get(2..length)?;
        if kind == 0xe1
            && let Some(exif) = segment.strip_prefix(MARK)
        {
            return Some(exif);
        }
        rest = after.get(length..)?;
    }
}

fn in_chunks(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (kind, after) = rest.split_first_chunk::<4>()?;
        let (length, after) = after.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let data = after.get(..length)?;
        if kind == b"EXIF" {
            return Some(data);
        }
        rest = after.get(length.checked_add(length % 2)?..)?;
    }
}

/// A WebP file with EXIF, from one that is nothing but a picture of this size.
pub(crate) fn in_webp(webp: &[u8], exif: &[u8], (width, height): (u32, u32)) -> Option<Vec<u8>> {
    let picture = webp.get(12..)?;
    let has_exif = 1 << 3;
    let side = |side: u32| (side.saturating_sub(1)).to_le_bytes();
    let (wide, high) = (side(width), side(height));
    let mut file = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0".to_vec();
    file.extend([has_exif, 0, 0, 0, wide[0], wide[1], wide[2], high[0], high[1], high[2]]);
    file.extend(picture);
    file.extend(b"EXIF");
    file.extend(u32::try_from(exif.len()).ok()?.to_le_bytes());
    file.extend(exif);
    file.resize(file.len().next_multiple_of(2), 0);
    let size = u32::try_from(file.len() - 8).ok()?;
    file[4..8].copy_from_slice(&size.to_le_bytes());
    Some(file)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn comments_of_either_byte_order_are_read() {
        let text = "a café\nSteps: 1";
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for value in [big, [&[0xff, 0xfe], &little[..]].concat(), little] {
            let value = [b"UNICODE\0", &value[..]].concat();
            assert_eq!(comment(&value).as_deref(), Some(text));
        }
        assert_eq!(comment(b"ASCII\0\0\0a cat\0\0").as_deref(), Some("a cat"));
        assert_eq!(comment(b"a cat of no code").as_deref(), Some("a cat of no code"));
        assert_eq!(comment(b"UNICODE\0\0\0\0\0"), None);
        assert_eq!(comment(b""), None);
    }

    #[test]
    fn little_endian_files_and_short_values_are_read() {
        let mut tiff = b"II\x2a\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x03\0\0\0ab\0\0\0\0\0\0".to_vec();
        assert_eq!(ExifText::read(&tiff).common, ["ab"]);
        // A value beyond the end is passed over.
        tiff[14] = 9;
        assert_eq!(ExifText::read(&tiff), ExifText::default());
    }

    /// A file whose two directories have `count` entries each: all of the first lead to the second
    /// or have the tag `outer`, all of the second are comments; all values are the same text.
    fn crowded(outer: u16, count: usize, value: &[u8]) -> Vec<u8> {
        let mut tiff = b"MM\0\x2a\0\0\0\x08".to_vec();
        let inner = tiff.len() + directory_bytes(count);
        let place = inner + directory_bytes(count);
        let entry = match outer {
            EXIF_IFD => (EXIF_IFD, LONG, 1, inner),
            _ => (outer, UNDEFINED, value.len(), place),
        };
        directory(&mut tiff, &vec![entry; count]);
        directory(&mut tiff, &vec![(USER_COMMENT, UNDEFINED, value.len(), place); count]);
        tiff.extend(value);
        tiff
    }

    #[test]
    fn each_tag_is_read_once_and_no_more_than_there_is_room_for() {
        let text = "a".repeat(100_000);
        let value: Vec<u8> = b"UNICODE\0"
            .iter()
            .copied()
            .chain(text.encode_utf16().flat_map(u16::to_be_bytes))
            .collect();
        let started = Instant::now();
        let read = ExifText::read(&crowded(EXIF_IFD, MOST_ENTRIES, &value));
        assert_eq!(read.user_comment, Some(text));
        let read = ExifText::read(&crowded(0x010e, MOST_ENTRIES, &vec![b'a'; MOST_TEXT]));
        assert_eq!(read.common.len(), 1);
        let read = ExifText::read(&crowded(0x010e, 1, &vec![b'a'; MOST_TEXT + 1]));
        assert_eq!(read, ExifText::default());
        assert!(started.elapsed() < Duration::from_secs(20));

        // What does not fit leaves room for what does.
        let mut tiff = b"MM\0\x2a\0\0\0\x08".to_vec();
        let long = tiff.len() + directory_bytes(3);
        let entry = |tag, length| (tag, UNDEFINED, length, long);
        let entries = [entry(0x010e, MOST_TEXT - 2), entry(0x010f, 3), entry(0x0110, 2)];
        directory(
            &mut tiff,
            &entries.map(|entry| {
                if entry.2 > 4 { entry } else { (entry.0, UNDEFINED, entry.2, 0x6162_6300) }
            }),
        );
        tiff.extend(vec![b'a'; MOST_TEXT - 2]);
        let read = ExifText::read(&tiff).common;
        assert_eq!(read.iter().map(String::len).collect::<Vec<_>>(), [MOST_TEXT - 2, 2]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(comment in "a\\PC{0,60}b", record in "\\PC{0,60}") {
            let text = ExifText {
                user_comment: Some(comment),
                record: Some(record),
                common: Vec::new(),
            };
            prop_assert_eq!(ExifText::read(&text.write()), text);
        }

        #[test]
        fn no_bytes_break_it(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0_usize..120,
            byte: u8,
        ) {
            ExifText::read(&bytes);
            for start in [&b"MM\0\x2a"[..], b"II\x2a\0"] {
                ExifText::read(&[start, &bytes].concat());
            }
            let text = ExifText {
                user_comment: Some("a cat".into()),
                record: Some("{}".into()),
                common: Vec::new(),
            };
            let mut tiff = text.write();
            let at = at % tiff.len();
            tiff[at] = byte;
            ExifText::read(&tiff);
            for start in [&b"\xff\xd8"[..], b"\xff\xd8\xff\xe1", b"RIFF\0\0\0\0WEBP"] {
                find(&[start, &bytes].concat());
            }
        }
    }
}
