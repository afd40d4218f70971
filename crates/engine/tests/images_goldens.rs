//! Pictures as Pillow reads and resizes them.

#![allow(clippy::unwrap_used, unreachable_pub)]

mod support;

use diffusion_engine::Error;
use diffusion_engine::images::{Limits, RgbImage, decode_file, resize};
use serde::Deserialize;
use support::{Goldens, goldens};

#[derive(Deserialize)]
struct Decoding {
    good: Vec<Good>,
    broken: Vec<Broken>,
}

/// A file, and how far from Pillow's a right decoder's levels may be.
#[derive(Deserialize)]
struct Good {
    file: String,
    key: String,
    width: u32,
    height: u32,
    tolerance: u8,
}

#[derive(Deserialize)]
struct Broken {
    file: String,
    why: String,
}

#[derive(Deserialize)]
struct Resizing {
    cases: Vec<Resize>,
}

#[derive(Deserialize)]
struct Resize {
    name: String,
    width: u32,
    height: u32,
    to_width: u32,
    to_height: u32,
}

fn notes<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    serde_json::from_slice(&std::fs::read(goldens().join(name)).unwrap()).unwrap()
}

#[test]
fn files_decode_as_pillow_reads_them() {
    let pixels = Goldens::open("decode");
    let decoding: Decoding = notes("decode.json");
    assert!(decoding.good.len() > 30);
    for good in decoding.good {
        let image = decode_file(goldens().join(&good.file), &Limits::default()).unwrap();
        assert_eq!(image.dimensions(), (good.width, good.height), "{}", good.file);
        let expected = pixels.bytes(&good.key);
        let worst = image.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
        println!("{}: {worst} of {}", good.file, good.tolerance);
        assert!(worst <= good.tolerance, "{}: off by {worst}", good.file);
    }
}

#[test]
fn broken_files_are_refused() {
    let decoding: Decoding = notes("decode.json");
    assert!(decoding.broken.len() > 10);
    for broken in decoding.broken {
        let refused = decode_file(goldens().join(&broken.file), &Limits::default());
        let error = refused.expect_err(&format!("{}: {}", broken.file, broken.why));
        println!("{error}");
        assert!(matches!(error, Error::Image(_)), "{error:?}");
        assert!(error.to_string().contains(&broken.file), "{error}");
    }
}

#[test]
fn pictures_resize_to_pillows_pixels() {
    let pixels = Goldens::open("resize");
    let resizing: Resizing = notes("resize.json");
    assert!(resizing.cases.len() > 15);
    for case in resizing.cases {
        let input = pixels.bytes(&format!("{}.input", case.name));
        let input = RgbImage::from_raw(case.width, case.height, input).unwrap();
        let resized = resize(&input, case.to_width, case.to_height).unwrap();
        assert_eq!(
            resized.as_raw(),
            &pixels.bytes(&format!("{}.output", case.name)),
            "{}",
            case.name
        );
    }
}
