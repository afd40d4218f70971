//! Repainting a part of a picture.

use serde_json::{Value, json};

use super::{files, made, plain, small};
use crate::jobs::only;
use crate::support::Server;

/// A mask whose right half is white.
fn right_half(side: u32) -> String {
    let white = |x| if x >= side / 2 { [255; 3] } else { [0; 3] };
    encoded(&image::RgbImage::from_fn(side, side, |x, _| image::Rgb(white(x))).into())
}

fn encoded(mask: &image::DynamicImage) -> String {
    use base64::Engine as _;
    let mut png = std::io::Cursor::new(Vec::new());
    mask.write_to(&mut png, image::ImageFormat::Png).unwrap();
    base64::prelude::BASE64_STANDARD.encode(png.into_inner())
}

/// How far both halves of an image are from a colour, on average.
fn distances(file: &[u8], colour: [u8; 3]) -> [f64; 2] {
    let image = image::load_from_memory(file).unwrap().to_rgb8();
    let mut sums = [0.0; 2];
    // The mask's edge is soft.
    let (edge, half) = (image.width() / 8, image.width() / 2);
    let mut counts = [0.0; 2];
    for (x, _, pixel) in image.enumerate_pixels() {
        let side = if x + edge < half {
            0
        } else if x >= half + edge {
            1
        } else {
            continue;
        };
        let distance: f64 = pixel.0.iter().zip(colour).map(|(a, b)| f64::from(a.abs_diff(b))).sum();
        sums[side] += distance / 3.0;
        counts[side] += 1.0;
    }
    [sums[0] / counts[0], sums[1] / counts[1]]
}

#[test]
fn what_the_mask_leaves_out_is_kept() {
    let server = Server::start(&[]);
    let colour = [40, 90, 200];
    let asked = |more: Value| {
        let mut body = small(json!({
            "prompt": "a red flower", "width": 128, "height": 128, "steps": 12,
            "init_images": [plain(128, 128, colour)], "mask": right_half(128), "mask_blur": 2,
            "denoising_strength": 1.0, "inpaint_full_res": false
        }));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for fill in 0..4 {
        let answer = made(&server, "img2img", &asked(json!({"inpainting_fill": fill})));
        let [kept, painted] = distances(&files(&answer)[0], colour);
        assert!(kept < 1.0 && painted > 10.0, "{fill}: {kept} {painted}");
    }
    let inverted = made(&server, "img2img", &asked(json!({"inpainting_mask_invert": 1})));
    let [painted, kept] = distances(&files(&inverted)[0], colour);
    assert!(kept < 1.0 && painted > 10.0, "{kept} {painted}");
    let part = json!({"inpaint_full_res": true, "inpaint_full_res_padding": 8});
    let part = made(&server, "img2img", &asked(part));
    let [kept, painted] = distances(&files(&part)[0], colour);
    assert!(kept < 1.0 && painted > 10.0, "{kept} {painted}");
}

#[test]
fn the_record_tells_how_a_part_was_repainted() {
    let server = Server::start(&[]);
    let body = small(json!({
        "init_images": [plain(64, 64, [9; 3])], "mask": right_half(64), "mask_blur_x": 6,
        "mask_blur_y": 6, "inpainting_fill": 2, "inpaint_full_res_padding": 16,
        "resize_mode": 1
    }));
    made(&server, "img2img", &body);
    let request = only(&server)["request"].clone();
    assert_eq!(request["resize"], "crop");
    let mask = &request["mask"];
    assert_eq!((&mask["blur"], &mask["fill"]), (&json!(6.0), &json!("latent-noise")), "{mask}");
    assert_eq!((&mask["invert"], &mask["only_masked"]), (&json!(false), &json!(16)), "{mask}");
}

#[test]
fn of_a_mask_with_transparent_parts_the_opaque_ones_are_repainted() {
    let server = Server::start(&[]);
    let colour = [40, 90, 200];
    for level in [0, 255] {
        let alpha = |x| if x >= 64 { 129 } else { 128 };
        let mask = image::RgbaImage::from_fn(128, 128, |x, _| {
            image::Rgba([level, level, level, alpha(x)])
        });
        let body = small(json!({
            "prompt": "a red flower", "width": 128, "height": 128, "steps": 12,
            "init_images": [plain(128, 128, colour)], "mask": encoded(&mask.into()),
            "mask_blur": 2, "denoising_strength": 1.0, "inpaint_full_res": false,
            "inpainting_fill": 2
        }));
        let [kept, painted] = distances(&files(&made(&server, "img2img", &body))[0], colour);
        assert!(kept < 1.0 && painted > 10.0, "{level}: {kept} {painted}");
    }
}

#[test]
fn a_mask_that_is_too_dark_is_refused_with_its_level() {
    let server = Server::start(&[]);
    let grey = image::RgbImage::from_pixel(64, 64, image::Rgb([100; 3]));
    let body = small(json!({
        "init_images": [plain(64, 64, [9; 3])], "mask": encoded(&grey.into())
    }));
    let answer = server.post("/sdapi/v1/img2img", &body);
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains("but 100 at the most"), "{}", answer.text());
}
