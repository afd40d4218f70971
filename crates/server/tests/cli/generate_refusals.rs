//! `generate` with what cannot be done: status 2, one line, and no file.

use crate::support::{Outcome, Place, goldens, tiny};

/// `generate` on a tiny model, with the further arguments.
fn execute(place: &Place, more: &[&str]) -> Outcome {
    let model = tiny("tiny-sd1");
    let args = ["generate", "--model", &model, "--prompt", "a cat", "-o", "out.png"];
    let outcome = place.execute(&[&args[..], more].concat());
    assert!(place.files("").iter().all(|file| !file.contains("out")), "a file was written");
    outcome
}

#[test]
fn sizes_that_do_not_fit_are_told_with_one_that_does() {
    let place = Place::new();
    execute(&place, &["--width", "100"]).refused(&["width 100", "multiples of 8", "96"]);
    execute(&place, &["--height", "63"]).refused(&["height 63", "multiples of 8", "56"]);
    execute(&place, &["--width", "0"]).refused(&["width 0"]);
    execute(&place, &["--width", "4294967288"]).refused(&["width 4294967288", "8192"]);
    execute(&place, &["--width", "4294967296"]).refused(&["4294967296", "--width"]);
    execute(&place, &["--width", "-8"]).refused(&[]);
}

#[test]
fn numbers_out_of_range_are_named() {
    let place = Place::new();
    execute(&place, &["--steps", "0"]).refused(&["steps 0"]);
    execute(&place, &["--steps", "1000000000000"]).refused(&["1000000000000"]);
    execute(&place, &["--guidance", "NaN"]).refused(&["guidance NaN"]);
    execute(&place, &["--guidance", "inf"]).refused(&["guidance inf"]);
    execute(&place, &["--count", "0"]).refused(&["--count"]);
    execute(&place, &["--seed", "-1"]).refused(&[]);
    execute(&place, &["--seed", "18446744073709551616"]).refused(&["--seed"]);
}

#[test]
fn strengths_out_of_range_are_named() {
    let place = Place::new();
    place.picture("in.png", 64, 64);
    for strength in ["0", "1.1", "NaN", "inf"] {
        let words = format!("strength {strength}");
        execute(&place, &["--init-image", "in.png", "--strength", strength]).refused(&[&words]);
    }
    execute(&place, &["--strength", "0.5"]).refused(&["required"]);
}

#[test]
fn what_does_not_exist_is_named() {
    let place = Place::new();
    let models = goldens().display().to_string();
    let args = ["generate", "--prompt", "a cat", "-o", "out.png", "--model", "no-such-model"];
    place.execute(&args).refused(&["\"no-such-model\"", "known models"]);
    place.execute(&[&args[..], &["--models-dir", &models]].concat()).refused(&[
        "no-such-model",
        "tiny-sd1",
        "tiny-sd2",
    ]);
    execute(&place, &["--scheduler", "no-such-scheduler"]).refused(&["no-such-scheduler"]);
    execute(&place, &["--models-dir", "no-such-folder"]).refused(&["no-such-folder"]);
    execute(&place, &["--init-image", "no-such.png"]).refused(&["no-such.png"]);
    execute(&place, &["--no-such-option"]).refused(&["--no-such-option"]);
    place.execute(&["generate"]).refused(&["required"]);
}

#[test]
fn pictures_that_are_none_are_named() {
    let place = Place::new();
    let good = std::fs::read(place.picture("good.png", 64, 64)).unwrap();
    let cut = &good[..good.len() / 2];
    for (name, content) in [
        ("empty.png", &b""[..]),
        ("text.png", b"not a picture"),
        ("cut.png", cut),
        ("bin.jpg", b"\xff\xd8\xff\xe0\0"),
    ] {
        std::fs::write(place.path(name), content).unwrap();
        execute(&place, &["--init-image", name]).refused(&[name]);
    }
    std::fs::create_dir(place.path("folder.png")).unwrap();
    execute(&place, &["--init-image", "folder.png"]).refused(&["folder.png"]);
}

#[test]
fn masks_that_do_not_fit_are_named() {
    let place = Place::new();
    place.picture("in.png", 64, 64);
    execute(&place, &["--mask", "in.png"]).refused(&["required", "--init-image"]);
    execute(&place, &["--init-image", "in.png", "--mask-invert"]).refused(&["required", "--mask"]);
    let with = |more: &[&str]| execute(&place, &[&["--init-image", "in.png"], more].concat());
    with(&["--mask", "no-such.png"]).refused(&["no-such.png"]);
    with(&["--mask", "in.png", "--mask-blur", "257"]).refused(&["--mask-blur", "0 to 256"]);
    with(&["--mask", "in.png", "--mask-blur", "NaN"]).refused(&["--mask-blur"]);
    with(&["--mask", "in.png", "--mask-padding", "-1"]).refused(&[]);
    image::GrayImage::new(64, 64).save(place.path("black.png")).unwrap();
    with(&["--mask", "black.png"]).refused(&["nothing to repaint"]);
    with(&["--mask", "black.png", "--mask-padding", "8"]).refused(&["nothing to repaint"]);
}

#[test]
fn too_little_memory_is_told_with_what_is_needed() {
    let place = Place::new();
    execute(&place, &["--memory", "1MB"]).refused(&["the memory limit is 1 MiB"]);
    // Enough for the weights, but not for such a picture.
    let large = ["--memory", "64MB", "--width", "2048", "--height", "2048"];
    execute(&place, &large).refused(&["the memory limit is 64 MiB"]);
    execute(&place, &["--memory", "none"]).refused(&["--memory", "800MB"]);
    execute(&place, &["--threads", "0"]).refused(&["--threads"]);
}

#[test]
fn a_broken_model_is_named_with_its_file() {
    let place = Place::new();
    std::fs::create_dir(place.path("broken")).unwrap();
    let args = ["generate", "--prompt", "a cat", "-o", "out.png", "--model", "broken"];
    place.execute(&args).refused(&["model_index.json"]);
    std::fs::write(place.path("broken/model_index.json"), "{\n\"\u{1b}[2J\n").unwrap();
    place.execute(&args).refused(&["model_index.json", "not JSON"]);
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let place = Place::new();
    std::fs::write(place.path("file"), "").unwrap();
    let model = tiny("tiny-sd1");
    let args = ["generate", "--model", &model, "--prompt", "a cat", "--steps", "1"];
    place.execute(&[&args[..], &["-o", "file/a.png"]].concat()).refused(&["file/a.png"]);
    assert_eq!(place.files(""), ["file".to_owned()].into());
}

#[cfg(unix)]
#[test]
fn a_pipe_is_no_picture_and_is_not_waited_for() {
    let place = Place::new();
    let made = std::process::Command::new("mkfifo").arg(place.path("in.png")).status();
    assert!(made.unwrap().success());
    execute(&place, &["--init-image", "in.png"]).refused(&["in.png", "not a regular file"]);
}

#[test]
fn a_folder_that_is_no_model_is_told_what_is_missing() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    let args = ["generate", "--model", "empty", "--prompt", "a cat", "-o", "out.png"];
    place.execute(&args).refused(&["empty", "no model_index.json", "diffusers"]);
}

#[test]
fn what_is_asked_of_prompts_and_noise_in_vain_is_named() {
    let place = Place::new();
    let read = |prompt: &str| execute(&place, &["--syntax", "a1111", "--negative", prompt]);
    read("(a:1.2.3)").refused(&["negative_prompt", "1.2.3"]);
    execute(&place, &["--syntax", "html"]).refused(&["html", "plain, long or a1111"]);
    execute(&place, &["--clip-skip", "4"]).refused(&["clip_skip 4", "3 layers"]);
    execute(&place, &["--clip-skip", "0"]).refused(&["clip_skip 0"]);
    execute(&place, &["--variation-seed", "1"]).refused(&["--variation-strength"]);
    execute(&place, &["--variation-strength", "0.1"]).refused(&["--variation-seed"]);
    execute(&place, &["--variation-seed", "1", "--variation-strength", "1.5"])
        .refused(&["variation_strength 1.5", "from 0 to 1"]);
}

#[test]
fn what_the_machine_has_no_memory_for_is_refused() {
    let place = Place::new();
    let huge = ["--width", "8192", "--height", "8192", "--memory"];
    execute(&place, &[&huge[..], &["1GB"]].concat()).refused(&["memory", "MiB"]);
}
