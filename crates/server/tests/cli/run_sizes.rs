//! How `run` brings pictures to the size of their images.

use image::{Rgb, RgbImage};

use crate::run::run;
use crate::support::{Place, tiny};

/// Runs on one picture of 160 × 40 pixels, red at its left and right quarters and blue between;
/// gives what the model saw, after checking that the new image has the same size.
fn prepared(more: &[&str]) -> RgbImage {
    let place = Place::new();
    std::fs::create_dir(place.path("in")).unwrap();
    let picture = RgbImage::from_fn(160, 40, |x, _| {
        if (40..120).contains(&x) { Rgb([0, 0, 255]) } else { Rgb([255, 0, 0]) }
    });
    picture.save(place.path("in/a.png")).unwrap();
    let model = tiny("tiny-sd1");
    run(&place, &[&["--model", &model, "--seed", "7"], more].concat()).succeeded();
    let seen = place.pixels("out/inputs/a.png");
    assert_eq!(place.pixels("out/a-diffusion.png").dimensions(), seen.dimensions());
    seen
}

/// Whether the pixel in the middle of the left edge is red, as the whole picture's is.
fn keeps_its_edge(picture: &RgbImage) -> bool {
    let [red, _, blue] = picture.get_pixel(0, picture.height() / 2).0;
    red > blue
}

#[test]
fn by_default_the_shape_is_kept_at_the_models_area() {
    let seen = prepared(&[]);
    assert_eq!(seen.dimensions(), (128, 32));
    assert!(keeps_its_edge(&seen));
}

#[test]
fn fit_keeps_the_shape_at_the_area_asked_for() {
    let seen = prepared(&["--resize", "fit", "--size", "32x32"]);
    assert_eq!(seen.dimensions(), (64, 16));
    assert!(keeps_its_edge(&seen));
}

#[test]
fn squash_stretches_the_whole_picture() {
    let seen = prepared(&["--resize", "squash", "--size", "48x64"]);
    assert_eq!(seen.dimensions(), (48, 64));
    assert!(keeps_its_edge(&seen));
    assert_eq!(prepared(&["--resize", "squash"]).dimensions(), (64, 64));
}

#[test]
fn crop_takes_the_middle() {
    let seen = prepared(&["--resize", "crop", "--size", "40x40"]);
    assert_eq!(seen.dimensions(), (40, 40));
    assert!(!keeps_its_edge(&seen));
    assert_eq!(prepared(&["--resize", "crop"]).dimensions(), (64, 64));
}

#[test]
fn a_size_alone_crops() {
    let seen = prepared(&["--size", "40x40"]);
    assert_eq!(seen.dimensions(), (40, 40));
    assert!(!keeps_its_edge(&seen));
}
