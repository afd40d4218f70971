//! Repainting a part of a picture.

use serde_json::json;

use super::{made, plain, small};
use crate::jobs::only;
use crate::support::Server;

/// A mask whose right half is white.
fn right_half(side: u32) -> String {
    use base64::Engine as _;
    let mask = image::RgbImage::from_fn(side, side, |x, _| {
        image::Rgb(if x >= side / 2 { [255; 3] } else { [0; 3] })
    });
    let mut png = std::io::Cursor::new(Vec::new());
    mask.write_to(&mut png, image::ImageFormat::Png).unwrap();
    base64::prelude::BASE64_STANDARD.encode(png.into_inner())
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
