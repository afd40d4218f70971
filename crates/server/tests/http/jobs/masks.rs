//! Jobs that repaint a part of a picture.

use std::io::Cursor;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::{Value, json};

use super::{JOBS, each, made, path, small};
use crate::support::Server;

/// A picture as a data URL.
fn url(picture: &(impl Into<DynamicImage> + Clone)) -> String {
    let mut png = Vec::new();
    picture.clone().into().write_to(&mut Cursor::new(&mut png), ImageFormat::Png).unwrap();
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png))
}

fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 2) as u8, (y * 3) as u8, 90]))
}

/// White where something is to be repainted.
fn mask(width: u32, height: u32, white: impl Fn(u32, u32) -> bool) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([255 * u8::from(white(x, y)); 3]))
}

fn repainted(picture: &RgbImage, mask: &RgbImage, more: Value) -> Value {
    let mut job = small(json!({
        "kind": "img2img", "strength": 0.8, "init_image": url(picture), "mask": url(mask),
        "mask_blur": 0.0
    }));
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

#[track_caller]
fn pixels(server: &Server, job: &Value) -> RgbImage {
    assert_eq!(job["state"], "succeeded", "{job}");
    let png = server.get(job["images"][0]["url"].as_str().unwrap());
    image::load_from_memory(&png.body).unwrap().to_rgb8()
}

#[test]
fn what_is_kept_is_the_pictures_pixel_for_pixel() {
    let server = Server::start(&[]);
    let (before, inside) = (picture(64, 64), |x: u32, y: u32| x >= 24 && (8..56).contains(&y));
    let mask = mask(64, 64, inside);
    let mut images = Vec::new();
    for more in [
        json!({"mask_fill": "original"}),
        json!({"mask_fill": "surround"}),
        json!({"mask_fill": "latent-noise"}),
        json!({"mask_fill": "latent-nothing"}),
        json!({"prompt": "a dog", "scheduler": "euler-a"}),
    ] {
        let after = pixels(&server, &made(&server, &repainted(&before, &mask, more)));
        let mut differing = 0;
        for (x, y, pixel) in after.enumerate_pixels() {
            let same = pixel == before.get_pixel(x, y);
            assert!(same || inside(x, y), "{x}, {y}");
            differing += usize::from(!same);
        }
        assert!(differing > 1000, "{differing} pixels were repainted");
        assert!(!images.contains(&after));
        images.push(after);
    }

    let inverted = json!({"mask_invert": true});
    let after = pixels(&server, &made(&server, &repainted(&before, &mask, inverted)));
    let kept =
        |(x, y, pixel): (u32, u32, &Rgb<u8>)| !inside(x, y) || pixel == before.get_pixel(x, y);
    assert!(after != before && after.enumerate_pixels().all(kept));
}

#[test]
fn the_masked_part_alone_is_drawn_into_a_picture_of_any_size() {
    let server = Server::start(&[]);
    let (before, inside) =
        (picture(120, 84), |x: u32, y: u32| (90..110).contains(&x) && (10..40).contains(&y));
    let mask = mask(120, 84, inside);
    let asked = repainted(&before, &mask, json!({"mask_padding": 4}));
    let job = made(&server, &asked);
    let image = &job["images"][0];
    assert_eq!((&image["width"], &image["height"]), (&json!(120), &json!(84)), "{job}");
    assert_eq!(job["request"]["mask"]["only_masked"], 4);
    let after = pixels(&server, &job);
    assert_eq!(after.dimensions(), (120, 84));
    let kept =
        |(x, y, pixel): (u32, u32, &Rgb<u8>)| inside(x, y) || pixel == before.get_pixel(x, y);
    assert!(after != before && after.enumerate_pixels().all(kept));

    // From the stored plan the same again.
    let replayed = server.send("POST", &format!("{}/replay", path(&job)), &[], b"");
    assert_eq!(replayed.status, 201, "{}", replayed.text());
    assert_eq!(each(&replayed.json(), "sha256"), each(&job, "sha256"));
}

#[test]
fn pictures_come_to_the_size_as_asked() {
    let server = Server::start(&[]);
    let wide = picture(128, 64);
    let of = |resize: &str| {
        let mask = mask(128, 64, |x, y| (48..80).contains(&x) && (16..48).contains(&y));
        pixels(&server, &made(&server, &repainted(&wide, &mask, json!({"resize": resize}))))
    };
    let [stretched, cropped, padded] = ["stretch", "crop", "pad"].map(of);
    let corner = |image: &RgbImage| (image.get_pixel(0, 0).0, image.get_pixel(63, 63).0);
    let ends = |x: u32, y: u32| wide.get_pixel(x, y).0;
    assert_eq!(corner(&cropped), (ends(32, 0), ends(95, 63)));
    let (first, last) = corner(&padded);
    assert_eq!(padded.get_pixel(0, 16).0, first);
    assert_eq!(padded.get_pixel(63, 47).0, last);
    assert!(stretched != cropped && cropped != padded && stretched != padded);
}

#[test]
fn a_mask_that_cannot_be_used_is_refused() {
    let server = Server::start(&[]);
    let before = picture(64, 64);
    let [black, white] = [0, 255].map(|level| RgbImage::from_pixel(64, 64, Rgb([level; 3])));
    for (mask, more, field) in [
        (url(&black), json!({}), "mask"),
        (url(&white), json!({"mask_invert": true}), "mask"),
        ("data:image/png;base64,AAAA".to_owned(), json!({}), "mask"),
        ("no-such-image".to_owned(), json!({}), "mask"),
        (url(&white), json!({"mask_blur": 1000}), "mask_blur"),
        (url(&white), json!({"mask_padding": -1}), "mask_padding"),
    ] {
        let mut asked = repainted(&before, &white, more);
        asked["mask"] = json!(mask);
        let details = server.post(JOBS, &asked).problem(422);
        assert_eq!(details["field"], field, "{details}");
    }
    // Cropping leaves nothing of the mask.
    let (wide, edge) = (picture(128, 64), mask(128, 64, |x, _| x < 16));
    let cropped = repainted(&wide, &edge, json!({"resize": "crop"}));
    let details = server.post(JOBS, &cropped).problem(422);
    assert_eq!(details["field"], "mask");
    assert!(details["detail"].as_str().unwrap().contains("64×64 pixels from 32, 0"), "{details}");
    // A mask that is none says so.
    let mut asked = repainted(&before, &white, json!({}));
    asked["mask"] = json!("data:image/png;base64,AAAA");
    let details = server.post(JOBS, &asked).problem(422);
    assert!(details["detail"].as_str().unwrap().contains("unknown"), "{details}");
}

#[test]
fn thin_strokes_and_opaque_ones_are_repainted() {
    let server = Server::start(&[]);
    let before = picture(64, 64);
    let inside = |x: u32, y: u32| (x, y) == (33, 38) || x == 13;
    let strokes = mask(64, 64, inside);
    // The same as opaque strokes, whatever their colour.
    let opaque = RgbaImage::from_fn(64, 64, |x, y| Rgba([0, 9, 0, 255 * u8::from(inside(x, y))]));
    for mask in [url(&strokes), url(&opaque)] {
        let mut asked = repainted(&before, &strokes, json!({"mask_fill": "latent-noise"}));
        asked["mask"] = json!(mask);
        let after = pixels(&server, &made(&server, &asked));
        let mut differing = 0;
        for (x, y, pixel) in after.enumerate_pixels() {
            let same = pixel == before.get_pixel(x, y);
            assert!(same || inside(x, y), "{x}, {y}");
            differing += usize::from(!same);
        }
        assert!(differing > 50, "{differing} of 65 pixels were repainted");
    }
    // Blurred and reduced, a point is one still.
    let dot = mask(640, 640, |x, y| (x, y) == (333, 385));
    let after =
        pixels(&server, &made(&server, &repainted(&before, &dot, json!({"mask_blur": 4.0}))));
    assert!(after != before);
}
