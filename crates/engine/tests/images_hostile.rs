//! Files made to do harm, or broken by accident: refused in one line, cheaply, and without a panic.

#![allow(clippy::unwrap_used)]

#[path = "support/pictures.rs"]
mod pictures;

use std::time::{Duration, Instant};

use diffusion_engine::Error;
use diffusion_engine::images::{Limits, decode, read_text, resize};
use image::ImageFormat;
use pictures::{encoded, files, picture};
use png::text_metadata::{EncodableTextChunk, ZTXtChunk};
use proptest::prelude::*;

/// The refusal's text. It comes quickly: nothing of a picture's claimed size is worked on.
fn refusal(bytes: &[u8]) -> String {
    let start = Instant::now();
    let error = decode(bytes, &Limits::default()).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}: {error}", start.elapsed());
    assert!(matches!(error, Error::Image(_)), "{error:?}");
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    text
}

#[test]
fn what_is_no_picture_is_named() {
    let cases: [(&[u8], &str); 8] = [
        (b"", "empty"),
        (b"just text", "unknown"),
        (b"<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "SVG"),
        (b"  <svg width=\"9\"/>", "SVG"),
        (b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1avif", "AVIF"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0", "ICO"),
    ];
    for (bytes, name) in cases {
        let text = refusal(bytes);
        assert!(text.contains(name), "{text}");
        assert!(text.contains("PNG, JPEG, WebP, GIF, BMP and TIFF"), "{text}");
    }
}

#[test]
fn files_cut_off_are_refused() {
    for file in files() {
        refusal(&file[..file.len() / 2]);
        refusal(&file[..20]);
    }
    let jpeg = encoded(picture(64, 64), ImageFormat::Jpeg);
    for cut in [1, 2, 3, 40] {
        assert!(refusal(&jpeg[..jpeg.len() - cut]).contains("cut off"));
    }
}

#[test]
fn huge_headers_are_refused_before_their_pixels() {
    let mut png = Vec::new();
    drop(png::Encoder::new(&mut png, 50_000, 50_000).write_header().unwrap());

    let mut jpeg = encoded(picture(16, 16), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xc3, 0x50, 0xc3, 0x50]);

    let gif = b"GIF89a\xff\xff\xff\xff\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\0\x3b".to_vec();

    let mut bmp = encoded(picture(16, 16), ImageFormat::Bmp);
    bmp[18..26].copy_from_slice(&[0x50, 0xc3, 0, 0, 0x50, 0xc3, 0, 0]);

    let lossless = [0x2f, 0xff, 0xff, 0xff, 0x0f];
    let webp = webp(&[(b"VP8L", &lossless)]);

    for bytes in [png, jpeg, gif, bmp, webp, tiff(50_000, 50_000, 50_000, &[8])] {
        let text = refusal(&bytes);
        assert!(text.contains("limit"), "{text}");
    }
}

#[test]
fn limits_are_inclusive() {
    let png = encoded(picture(30, 20), ImageFormat::Png);
    let exact =
        Limits { max_bytes: png.len() as u64, max_side: 30, max_pixels: 600, max_alloc: 1 << 20 };
    decode(&png, &exact).unwrap();
    decode(&png, &Limits { max_bytes: exact.max_bytes - 1, ..exact }).unwrap_err();
    decode(&png, &Limits { max_side: 29, ..exact }).unwrap_err();
    decode(&png, &Limits { max_pixels: 599, ..exact }).unwrap_err();
    decode(&png, &Limits { max_alloc: 1799, ..exact }).unwrap_err();
}

#[test]
fn small_canvases_hide_no_huge_frames() {
    let canvas = [0, 0, 0, 0, 9, 0, 0, 9, 0, 0];
    let lossy = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0xff, 0x3f, 0xff, 0x3f, 0, 0, 0, 0];
    assert!(refusal(&webp(&[(b"VP8X", &canvas), (b"VP8 ", &lossy)])).contains("declared"));

    refusal(b"GIF89a\x01\0\x01\0\0\0\0\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x4c\x01\0\x3b");
}

#[test]
fn absurd_tiff_strips_are_refused() {
    // One strip of one row where many are needed, a strip outside the file, none at all, …
    refusal(&tiff(4096, 4096, 1, &[8]));
    refusal(&tiff(64, 64, u32::MAX, &[u32::MAX]));
    refusal(&tiff(64, 64, 64, &[]));
    refusal(&tiff(0, 64, 64, &[8]));
    refusal(&tiff(64, 64, 0, &[8]));
}

#[test]
fn compressed_text_is_no_bomb() {
    let mut text = Vec::new();
    ZTXtChunk::new("bomb", "a".repeat(64 << 20)).encode(&mut text).unwrap();
    // The encoded chunk has its length and kind before it and its checksum after it.
    let text = &text[8..text.len() - 4];

    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 1, 1);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_chunk(png::chunk::zTXt, text).unwrap();
    writer.write_image_data(&[1, 2, 3]).unwrap();
    writer.finish().unwrap();

    let start = Instant::now();
    assert_eq!(decode(&png, &Limits::default()).unwrap().as_raw(), &[1, 2, 3]);
    assert!(read_text(&png).unwrap_err().to_string().contains("too much text"));
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn pixels_that_never_end_cost_little() {
    // 64 MiB of zeros for a picture of one pixel.
    let zeros = miniz_oxide::deflate::compress_to_vec_zlib(&vec![0; 64 << 20], 1);
    let mut png = Vec::new();
    let mut writer = png::Encoder::new(&mut png, 1, 1).write_header().unwrap();
    writer.write_chunk(png::chunk::IDAT, &zeros).unwrap();
    drop(writer);

    let start = Instant::now();
    let _ = decode(&png, &Limits::default());
    assert!(start.elapsed() < Duration::from_secs(1));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes, &Limits::default());
        let _ = read_text(&bytes);
    }

    #[test]
    fn damaged_files_never_panic(
        file in prop::sample::select(files()),
        damage in prop::collection::vec(any::<(prop::sample::Index, u8, bool)>(), 0..6),
        inserted in prop::collection::vec(any::<u8>(), 0..4),
        inserted_at in any::<prop::sample::Index>(),
        cut_at in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = file;
        for (position, byte, in_header) in damage {
            let length = if in_header { bytes.len().min(64) } else { bytes.len() };
            bytes[position.index(length)] = byte;
        }
        let at = inserted_at.index(bytes.len());
        bytes.splice(at..at, inserted);
        if let Some(cut_at) = cut_at {
            bytes.truncate(cut_at.index(bytes.len()));
        }
        let small = Limits { max_pixels: 1 << 18, max_alloc: 16 << 20, ..Limits::default() };
        let _ = decode(&bytes, &small);
        let _ = read_text(&bytes);
    }

    #[test]
    fn any_picture_resizes(sides in prop::array::uniform4(1..40_u32)) {
        let [width, height, to_width, to_height] = sides;
        let resized = resize(&picture(width, height), to_width, to_height).unwrap();
        prop_assert_eq!(resized.dimensions(), (to_width, to_height));
    }
}

/// A WebP file of the given chunks.
fn webp(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    for (kind, payload) in chunks {
        body.extend(*kind);
        body.extend((payload.len() as u32).to_le_bytes());
        body.extend(*payload);
        body.resize(body.len().next_multiple_of(2), 0);
    }
    [b"RIFF", &(body.len() as u32).to_le_bytes()[..], &body].concat()
}

/// The head of an uncompressed grey TIFF with strips at `offsets`, at most one.
fn tiff(width: u32, height: u32, rows_per_strip: u32, offsets: &[u32]) -> Vec<u8> {
    let count = offsets.len() as u32;
    let entries: [(u16, u32, u32); 9] = [
        (256, 1, width),
        (257, 1, height),
        (258, 1, 8),
        (259, 1, 1),
        (262, 1, 1),
        (273, count, offsets.first().copied().unwrap_or(0)),
        (277, 1, 1),
        (278, 1, rows_per_strip),
        (279, count, width),
    ];
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(4_u16.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend([0; 4]);
    bytes
}
