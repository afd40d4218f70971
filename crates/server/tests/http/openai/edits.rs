use image::RgbImage;
use serde_json::{Value, json};

use super::{
    EDITS, Part, decoded, files, half_transparent, made, png, quick_form, refused, stripes,
};
use crate::jobs::JOBS;
use crate::support::Server;

/// How far two pictures are apart on average, left of the middle and in the rightmost quarter.
fn apart(a: &RgbImage, b: &RgbImage) -> [f64; 2] {
    let columns = |from: u32, to: u32| {
        let pixels = (from..to).flat_map(|x| (0..a.height()).map(move |y| (x, y)));
        let levels = pixels.flat_map(|(x, y)| {
            let (a, b) = (a.get_pixel(x, y).0, b.get_pixel(x, y).0);
            [0, 1, 2].map(|channel| f64::from(a[channel].abs_diff(b[channel])))
        });
        levels.sum::<f64>() / f64::from((to - from) * a.height() * 3)
    };
    [columns(0, a.width() / 2), columns(a.width() / 4 * 3, a.width())]
}

fn request(server: &Server, answer: &Value) -> Value {
    server.get(&format!("{JOBS}/{}", answer["job"].as_str().unwrap())).json()["request"].clone()
}

#[test]
fn a_picture_is_edited_as_far_as_is_said() {
    let server = Server::start(&[]);
    let picture = png(stripes());
    let edit = |more: (&'static str, &'static str)| {
        let parts = vec![
            ("image", Part::File(&picture)),
            ("prompt", Part::Text("a cat")),
            (more.0, Part::Text(more.1)),
        ];
        made(&quick_form(&server, EDITS, parts))
    };
    let plain = edit(("n", "1"));
    // What was not filled in or chosen is as if it were not there.
    assert_eq!(files(&edit(("size", ""))), files(&plain));
    assert_eq!(files(&edit(("mask", ""))), files(&plain));
    assert_eq!(request(&server, &plain)["strength"], Value::Null, "as any job of ours");
    let faithful = edit(("input_fidelity", "high"));
    assert_eq!(request(&server, &faithful)["strength"], 0.5);
    let little = edit(("strength", "0.25"));
    assert_eq!(request(&server, &little)["strength"], 0.25);
    let far = |answer: &Value| apart(&decoded(&files(answer)[0]), &stripes())[0];
    assert!(far(&little) < far(&plain));
    assert_eq!(
        plain["usage"]["input_tokens_details"],
        json!({"image_tokens": 64, "text_tokens": 2})
    );
}

#[test]
fn several_pictures_are_each_edited() {
    let server = Server::start(&[]);
    let (one, two) = (png(stripes()), png(RgbImage::from_pixel(128, 128, image::Rgb([9, 99, 9]))));
    for names in [["image", "image"], ["image[]", "image[]"], ["image[0]", "image[1]"]] {
        let parts = vec![
            (names[0], Part::File(&one)),
            (names[1], Part::File(&two)),
            ("prompt", Part::Text("a cat")),
            ("strength", Part::Text("0.25")),
        ];
        let answer = made(&quick_form(&server, EDITS, parts));
        let [first, second] = &files(&answer)[..] else { panic!("{answer}") };
        let sources = [stripes(), decoded(&two)];
        for (edited, own) in [(first, 0), (second, 1)] {
            let far = sources.each_ref().map(|source| apart(&decoded(edited), source)[0]);
            assert!(far[own] < far[1 - own], "{names:?} {own}: {far:?}");
        }
    }
    let cut = png(half_transparent());
    let parts = vec![
        ("image", Part::File(&one)),
        ("image", Part::File(&cut)),
        ("prompt", Part::Text("a cat")),
    ];
    assert_eq!(refused(&quick_form(&server, EDITS, parts), 400).0, "image");
}

#[test]
fn a_mask_says_what_is_drawn_anew() {
    let server = Server::start(&[]);
    let (picture, mask) = (png(stripes()), png(half_transparent()));
    let prompt = || ("prompt", Part::Text("a white cat"));
    let masked = quick_form(
        &server,
        EDITS,
        vec![("image", Part::File(&picture)), ("mask", Part::File(&mask)), prompt()],
    );
    let masked = made(&masked);
    let [left, right] = apart(&decoded(&files(&masked)[0]), &stripes());
    assert!(right == 0.0 && left > 10.0, "left {left}, right {right}");
    // A picture may carry its mask itself.
    let own = quick_form(&server, EDITS, vec![("image", Part::File(&mask)), prompt()]);
    let own = made(&own);
    let [left, right] = apart(&decoded(&files(&own)[0]), &stripes());
    assert!(right == 0.0 && left > 10.0, "left {left}, right {right}");
}

#[test]
fn a_mask_that_fits_nothing_is_refused() {
    let server = Server::start(&[]);
    let picture = png(stripes());
    let small = png(image::imageops::resize(
        &half_transparent(),
        64,
        64,
        image::imageops::FilterType::Nearest,
    ));
    for (mask, why) in [(&small, "64x64"), (&picture, "transparent"), (&b"x".to_vec(), "")] {
        let parts = vec![
            ("image", Part::File(&picture)),
            ("mask", Part::File(mask)),
            ("prompt", Part::Text("a cat")),
        ];
        let answer = quick_form(&server, EDITS, parts);
        assert_eq!(refused(&answer, 400).0, "mask");
        assert!(answer.text().contains(why), "{}", answer.text());
    }
}
