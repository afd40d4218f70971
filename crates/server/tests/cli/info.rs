//! What images say of how they were made, and making them again from that.

use diffusion_engine::images::{RgbImage, encode_png};
use serde_json::Value;

use crate::generate::generate;
use crate::support::{Place, goldens, tiny};

/// `generate` on a tiny model, with the further arguments.
fn make(place: &Place, more: &[&str]) {
    let model = tiny("tiny-sd1");
    let args = generate(&[&["--model", &model], more].concat());
    place.execute(&args.iter().map(String::as_str).collect::<Vec<_>>()).succeeded();
}

fn info(place: &Place, file: &str) -> Value {
    let outcome = place.execute(&["info", "--json", file]).succeeded();
    let all: Value = serde_json::from_str(&outcome.stdout).unwrap();
    all[0].clone()
}

#[test]
fn every_format_says_the_same() {
    let place = Place::new();
    let more = ["--seed", "7", "--negative", "café", "--scheduler", "dpmpp-2m-karras", "-o"];
    for name in ["cat.png", "cat.jpg", "cat.webp"] {
        make(&place, &[&more[..], &[name]].concat());
        assert_eq!(place.pixels(name).dimensions(), (64, 64));
    }
    assert_eq!(&place.read("cat.jpg")[..3], b"\xff\xd8\xff");
    assert_eq!(&place.read("cat.webp")[8..12], b"WEBP");
    let expected = info(&place, "cat.png");
    assert_eq!(expected["origin"], "diffusion-server");
    assert_eq!(expected["file"], "cat.png");
    for (field, value) in [
        ("prompt", Value::from("a cat")),
        ("negative_prompt", "café".into()),
        ("steps", 2.into()),
        ("seed", 7.into()),
        ("sampler", "DPM++ 2M".into()),
        ("schedule", "Karras".into()),
        ("scheduler", "dpmpp-2m-karras".into()),
        ("model", "tiny-sd1".into()),
        ("width", 64.into()),
        ("strength", Value::Null),
    ] {
        assert_eq!(expected[field], value, "{field}");
    }
    assert_eq!(expected["model_hash"].as_str().unwrap().len(), 64);
    let short = expected["parameters"]["Model hash"].as_str().unwrap();
    assert!(expected["model_hash"].as_str().unwrap().starts_with(short) && short.len() == 10);
    for name in ["cat.jpg", "cat.webp"] {
        let mut read = info(&place, name);
        read["file"] = "cat.png".into();
        assert_eq!(read, expected, "{name}");
    }
}

#[test]
fn a_file_is_made_again() {
    let place = Place::new();
    let models = goldens().display().to_string();
    let more = ["--seed", "7", "--negative", "rain", "--guidance", "3", "--precision", "int8"];
    make(&place, &[&more[..], &["--width", "48", "-o", "cat.png"]].concat());
    let again = |more: &[&str]| {
        let args = ["generate", "--models-dir", &models, "--from", "cat.png"];
        place.execute(&[&args[..], more].concat()).succeeded()
    };
    let outcome = again(&["-o", "again.png"]);
    assert_eq!(outcome.stderr, "");
    assert_eq!(place.read("again.png"), place.read("cat.png"));
    // What is given counts more, and is not complained of.
    let outcome = again(&["-o", "other.png", "--seed", "8", "--prompt", "a dog"]);
    assert_eq!(outcome.stderr, "");
    let read = info(&place, "other.png");
    assert_eq!(
        (&read["seed"], &read["prompt"], &read["width"]),
        (&8.into(), &"a dog".into(), &48.into())
    );

    let outcome = again(&["-o", "other.png", "--model", "tiny-sd2", "--precision", "f32"]);
    for words in ["the model \"tiny-sd1\", not with \"tiny-sd2\"", "in int8, not in f32"] {
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
}

#[test]
fn a_file_that_was_drawn_from_a_picture_needs_it() {
    let place = Place::new();
    place.picture("in.png", 64, 64);
    place.picture("other.png", 64, 32);
    make(&place, &["--init-image", "in.png", "--strength", "0.6", "--seed", "7", "-o", "cat.png"]);
    let model = tiny("tiny-sd1");
    let again = ["generate", "--model", &model, "--from", "cat.png", "-o", "again.png"];
    let input = info(&place, "cat.png")["record"]["input"].as_str().unwrap().to_owned();
    place.execute(&again).refused(&["--init-image", &input]);
    place.execute(&[&again[..], &["--init-image", "in.png"]].concat()).succeeded();
    assert_eq!(place.read("again.png"), place.read("cat.png"));
    let outcome = place.execute(&[&again[..], &["--init-image", "other.png"]].concat()).succeeded();
    assert!(outcome.stderr.contains("another picture"), "{}", outcome.stderr);
}

#[test]
fn a_file_says_how_its_picture_was_cut_and_which_part_was_repainted() {
    let place = Place::new();
    place.picture("in/a.png", 90, 40);
    let model = tiny("tiny-sd1");
    let run = ["run", "--images", "in", "--model", &model, "--steps", "2", "--seed", "7"];
    place.execute(&[&run[..], &["--resize", "crop", "--size", "48x64"]].concat()).succeeded();
    let again = ["generate", "--model", &model, "--from"];
    let more = ["out/a-diffusion.png", "--init-image", "in/a.png", "-o", "again.png"];
    let outcome = place.execute(&[&again[..], &more].concat()).succeeded();
    assert_eq!(outcome.stderr, "");
    assert_eq!(place.read("again.png"), place.read("out/a-diffusion.png"));

    let mask = RgbImage::from_fn(90, 40, |x, _| [if x < 30 { 255 } else { 0 }; 3].into());
    std::fs::write(place.path("mask.png"), encode_png(&mask, &[]).unwrap()).unwrap();
    let masked = ["--init-image", "in/a.png", "--mask", "mask.png"];
    let how = ["--mask-blur", "2", "--mask-padding", "4", "--seed", "7", "-o", "door.png"];
    make(&place, &[&masked[..], &how].concat());
    let picture =
        [&again[..], &["door.png", "--init-image", "in/a.png", "-o", "again.png"]].concat();
    place.execute(&picture).refused(&["--mask", "SHA-256"]);
    let outcome = place.execute(&[&picture[..], &["--mask", "mask.png"]].concat()).succeeded();
    assert_eq!(outcome.stderr, "");
    assert_eq!(place.read("again.png"), place.read("door.png"));
    let outcome = place.execute(&[&picture[..], &["--mask", "in/a.png"]].concat()).succeeded();
    assert!(outcome.stderr.contains("another mask"), "{}", outcome.stderr);
}

#[test]
fn all_that_a_mask_was_used_with_is_taken_over_unless_it_is_given() {
    let place = Place::new();
    place.picture("in.png", 90, 40);
    let mask = RgbImage::from_fn(90, 40, |x, _| [if x < 30 { 255 } else { 0 }; 3].into());
    std::fs::write(place.path("mask.png"), encode_png(&mask, &[]).unwrap()).unwrap();
    let given = ["--init-image", "in.png", "--mask", "mask.png"];
    let how =
        ["--mask-fill", "latent-noise", "--mask-invert", "--mask-blur", "1", "--resize", "pad"];
    let size = ["--width", "64", "--height", "64", "--seed", "7", "-o", "one.png"];
    make(&place, &[&given[..], &how, &size].concat());
    let model = tiny("tiny-sd1");
    let again = |more: &[&str]| {
        let args = ["generate", "--model", &model, "--from", "one.png", "-o", "two.png"];
        place.execute(&[&args[..], &given, more].concat()).succeeded()
    };
    assert_eq!(again(&[]).stderr, "");
    assert_eq!(place.read("two.png"), place.read("one.png"));
    again(&["--mask-fill", "surround", "--resize", "crop", "--mask-blur", "3"]);
    let record = &info(&place, "two.png")["record"];
    assert_eq!((&record["resize"], &record["mask"]["fill"]), (&"crop".into(), &"surround".into()));
    assert_eq!((&record["mask"]["blur"], &record["mask"]["invert"]), (&3.0.into(), &true.into()));
    place
        .execute(&["generate", "--from", "one.png", "--resize", "fit"])
        .refused(&["stretch", "crop"]);
}

#[test]
fn files_of_other_programs_are_followed_as_far_as_they_can_be() {
    let place = Place::new();
    let text = "a cat\nNegative prompt: rain\nSteps: 3, Sampler: DPM++ SDE, CFG scale: 4, Seed: 9, \
                Size: 32x64, Model: dreamy, Denoising strength: 0.5, Face restoration: GFPGAN";
    let image = encode_png(&RgbImage::new(8, 8), &[("parameters", text)]).unwrap();
    std::fs::write(place.path("theirs.png"), image).unwrap();
    let model = tiny("tiny-sd1");
    let outcome =
        place.execute(&["generate", "--model", &model, "--from", "theirs.png", "-o", "ours.png"]);
    let outcome = outcome.succeeded();
    for words in
        ["\"dreamy\"", "\"DPM++ SDE\"", "drawn from a picture", "not followed: Face restoration"]
    {
        assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
    }
    let read = info(&place, "ours.png");
    for (field, value) in
        [("steps", 3), ("guidance", 4), ("seed", 9), ("width", 32), ("height", 64)]
    {
        assert_eq!(read[field].as_f64(), Some(f64::from(value)), "{field}");
    }
    assert_eq!((&read["negative_prompt"], &read["strength"]), (&"rain".into(), &Value::Null));

    // Of an enlargement, the strength is that of its second pass.
    let text =
        "a cat\nSteps: 3, Sampler: Euler, Size: 32x64, Denoising strength: 0.5, Hires upscale: 2";
    let image = encode_png(&RgbImage::new(8, 8), &[("parameters", text)]).unwrap();
    std::fs::write(place.path("larger.png"), image).unwrap();
    let args = ["generate", "--model", &model, "--from", "larger.png", "-o", "plain.png"];
    let outcome = place.execute(&args).succeeded();
    assert!(!outcome.stderr.contains("drawn from a picture"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("not followed: Hires upscale"), "{}", outcome.stderr);
}

#[test]
fn what_says_nothing_is_told() {
    let place = Place::new();
    place.picture("plain.png", 8, 8);
    std::fs::write(place.path("notes.png"), "notes").unwrap();
    let outcome = place.execute(&["info", "plain.png"]).succeeded();
    assert!(outcome.stdout.contains("does not say"), "{}", outcome.stdout);
    let outcome = place.execute(&["info", "plain.png", "notes.png", "none.png"]).ended(1);
    assert!(outcome.stdout.contains("plain.png"));
    assert!(outcome.stderr.contains("notes.png") && outcome.stderr.contains("none.png"));
    let again = ["generate", "--from", "plain.png", "-o", "out.png"];
    place.execute(&again).refused(&["plain.png", "does not say"]);
    let again = ["generate", "--prompt", "a cat", "-o", "out.gif"];
    place.execute(&again).refused(&[".gif", "webp"]);
}

#[test]
fn an_image_is_described_in_lines() {
    let place = Place::new();
    make(&place, &["--seed", "7", "--negative", "rain\nor snow", "-o", "cat.webp"]);
    let outcome = place.execute(&["info", "cat.webp"]).succeeded();
    for line in ["cat.webp", "  made by          diffusion-server", "  seed             7"] {
        assert!(outcome.stdout.lines().any(|found| found == line), "{}", outcome.stdout);
    }
    let indented = "negative prompt  rain\n                   or snow\n";
    assert!(outcome.stdout.contains(indented), "{}", outcome.stdout);
}
