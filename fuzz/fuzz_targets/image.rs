//! Pictures of any format, and the text of PNG files.

#![no_main]

use diffusion_engine::images::{Limits, decode, encode_png, read_text};
use libfuzzer_sys::fuzz_target;

/// Small ones, so that a run is quick and whatever escapes them shows.
const LIMITS: Limits =
    Limits { max_bytes: 1 << 17, max_side: 512, max_pixels: 1 << 15, max_alloc: 1 << 19 };

fuzz_target!(|bytes: &[u8]| {
    if let Ok(image) = decode(bytes, &LIMITS) {
        let (width, height) = image.dimensions();
        assert!(width.max(height) <= LIMITS.max_side, "{width}×{height}");
        assert!(u64::from(width) * u64::from(height) <= LIMITS.max_pixels, "{width}×{height}");
        let png = encode_png(&image, &[]).unwrap();
        assert_eq!(decode(&png, &Limits::default()).unwrap(), image);
    }
    if let Ok(entries) = read_text(bytes) {
        let length: usize = entries.iter().map(|(keyword, text)| keyword.len() + text.len()).sum();
        assert!(length <= 4 << 20, "{length} bytes of text");
    }
});
