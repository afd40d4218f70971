//! `run` with pictures, names and settings that are broken.

use crate::run::{check_page, run};
use crate::support::{Place, tiny};

#[test]
fn a_broken_picture_costs_only_itself() {
    let place = Place::new();
    place.picture("in/a.jpg", 64, 64);
    place.picture("in/c.png", 64, 64);
    std::fs::write(place.path("in/b.png"), "<b>no picture</b>").unwrap();
    std::fs::write(place.path("in/notes.txt"), "nor a picture").unwrap();
    let outcome = run(&place, &["--seed", "7"]).ended(1);
    assert!(outcome.stdout.contains("2 of 3 images"), "{}", outcome.stdout);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.starts_with("[2/3] in/b.png: "), "{}", outcome.stderr);

    let summary = place.json("out/summary.json");
    for key in ["total_seconds", "seconds_per_image", "peak_memory_mb"] {
        assert!(summary[key].as_f64().unwrap() > 0.0, "{key} of {summary}");
    }
    let images = summary["images"].as_array().unwrap();
    assert_eq!(images.len(), 3, "{summary}");
    for image in images {
        let is_broken = image["input"] == "in/b.png";
        assert_eq!(image["error"].is_string(), is_broken, "{image}");
        assert_eq!(image["output"].is_string(), !is_broken, "{image}");
        for key in ["input", "model", "prompt"] {
            assert!(image[key].is_string(), "{key} of {image}");
        }
        assert!(image["seed"].is_u64(), "{image}");
    }
    check_page(&place, "out", 2);
    let page = String::from_utf8(place.read("out/index.html")).unwrap();
    assert!(page.contains("in/b.png") && !page.contains("<b>"), "{page}");
    assert!(!place.files("out").contains("b-diffusion.png"));
}

#[test]
fn a_broken_picture_does_not_change_the_others() {
    let place = Place::new();
    for name in ["in/a.png", "in/b.png", "in/c.png"] {
        place.picture(name, 64, 64);
    }
    run(&place, &["--seed", "7", "--out", "whole"]).succeeded();
    std::fs::write(place.path("in/b.png"), "").unwrap();
    run(&place, &["--seed", "7", "--out", "broken"]).ended(1);
    for name in ["a-diffusion.png", "c-diffusion.png"] {
        assert_eq!(place.read(&format!("whole/{name}")), place.read(&format!("broken/{name}")));
    }
}

#[test]
fn where_all_pictures_are_broken_there_is_still_a_summary() {
    let place = Place::new();
    std::fs::create_dir(place.path("in")).unwrap();
    std::fs::write(place.path("in/a.png"), "").unwrap();
    run(&place, &[]).ended(1);
    assert_eq!(place.json("out/summary.json")["seconds_per_image"], serde_json::Value::Null);
    check_page(&place, "out", 0);
}

#[cfg(unix)]
#[test]
fn hostile_file_names_stay_names() {
    let place = Place::new();
    let names = [
        "a\"<b>.png",
        "&amp;'<script>alert(1)</script>",
        "%2e%2e%2fx.png",
        " space #?.png",
        "üñ日本.png",
        "-o.png",
        "..png.png",
        "x-diffusion.png.png",
    ];
    let good = std::fs::read(place.picture("good.png", 16, 16)).unwrap();
    std::fs::create_dir(place.path("in")).unwrap();
    for name in names {
        let name = name.replace('/', "∕");
        let name = if name.ends_with(".png") { name } else { name + ".png" };
        std::fs::write(place.path("in").join(name), &good).unwrap();
    }
    std::fs::write(place.path("in/broken<img src=x onerror=alert(1)>.png"), "").unwrap();
    run(&place, &["--seed", "7", "--prompt", "</title><script>\"&"]).ended(1);
    let files = place.files("out");
    // One of them is hidden.
    let seen = names.len() - 1;
    assert_eq!(files.len(), 2 + 2 * seen, "{files:?}");
    check_page(&place, "out", seen);

    let page = String::from_utf8(place.read("out/index.html")).unwrap();
    let tags: std::collections::BTreeSet<&str> = page
        .split('<')
        .skip(1)
        .map(|rest| rest.split([' ', '>', '\n']).next().unwrap().trim_start_matches('/'))
        .collect();
    let known = [
        "!doctype",
        "html",
        "meta",
        "title",
        "style",
        "header",
        "h1",
        "p",
        "main",
        "figure",
        "div",
        "img",
        "figcaption",
        "small",
    ];
    assert!(tags.iter().all(|tag| known.contains(tag)), "{tags:?}");
    assert!(page.contains("a&quot;&lt;b&gt;.png"), "{page}");
}

#[cfg(unix)]
#[test]
fn file_names_cannot_steer_the_terminal() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let good = std::fs::read(place.picture("good.png", 16, 16)).unwrap();
    std::fs::create_dir(place.path("in")).unwrap();
    for name in [&b"\xff\xfe.png"[..], b"line\nline.png", b"\x1b[2J.png"] {
        let name = std::ffi::OsStr::from_bytes(name);
        std::fs::write(place.path("in").join(name), &good).unwrap();
    }
    std::fs::write(place.path("in/broken\n\u{1b}[2J.png"), "").unwrap();
    let outcome = run(&place, &["--seed", "7", "--prompt", "two\nlines"]).ended(1);
    assert_eq!(outcome.stdout.lines().count(), 4, "{}", outcome.stdout);
    assert_eq!(outcome.stderr.lines().count(), 1, "{}", outcome.stderr);
    assert!(!(outcome.stdout + &outcome.stderr).contains('\u{1b}'));
    check_page(&place, "out", 3);
    run(&place, &["--images", "no\nsuch\u{1b}[2J.png"]).refused(&["no\\nsuch"]);
}

#[test]
fn settings_out_of_range_are_refused_before_anything_is_written() {
    let place = Place::new();
    place.picture("in/a.png", 64, 64);
    for (more, words) in [
        (&["--strength", "0"][..], "strength 0"),
        (&["--strength", "1.5"], "strength 1.5"),
        (&["--strength", "NaN"], "strength NaN"),
        (&["--steps", "0"], "steps 0"),
        (&["--guidance", "NaN"], "guidance NaN"),
        (&["--size", "100x64"], "width 100"),
        (&["--size", "64x8200"], "height 8200"),
        (&["--memory", "1MB"], "memory limit"),
        (&["--model", "no-such-model"], "no-such-model"),
        (&["--models-dir", "no-such-folder"], "no-such-folder"),
        (&["--images", "no-such.png"], "no-such.png"),
    ] {
        run(&place, more).refused(&[words]);
        assert!(!place.path("out").exists(), "{more:?} left a folder");
    }
    for more in [
        &["--scheduler", "none"][..],
        &["--size", "64"],
        &["--resize", "stretch"],
        &["--seed", "4294967296"],
    ] {
        run(&place, more).refused(&[more[0], more[1]]);
        assert!(!place.path("out").exists(), "{more:?} left a folder");
    }
}

#[test]
fn a_folder_without_pictures_is_an_error() {
    let place = Place::new();
    std::fs::create_dir_all(place.path("in/sub.png")).unwrap();
    std::fs::write(place.path("in/notes.txt"), "").unwrap();
    run(&place, &[]).refused(&["no pictures", "in"]);
    assert!(!place.path("out").exists());
}

#[test]
fn a_broken_model_is_told_before_anything_is_written() {
    let place = Place::new();
    place.picture("in/a.png", 64, 64);
    std::fs::create_dir(place.path("broken")).unwrap();
    std::fs::write(place.path("broken/model_index.json"), "{}").unwrap();
    run(&place, &["--model", "broken"]).refused(&["model broken", "model_index.json"]);
    assert!(!place.path("out").exists());
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let place = Place::new();
    place.picture("in/a.png", 64, 64);
    std::fs::write(place.path("file"), "").unwrap();
    run(&place, &["--model", &tiny("tiny-sd1"), "--out", "file"]).refused(&["file"]);
}

#[cfg(unix)]
#[test]
fn what_only_looks_like_a_picture_is_told_of() {
    let place = Place::new();
    place.picture("in/a.png", 64, 64);
    std::os::unix::fs::symlink("nowhere", place.path("in/b.png")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(place.path("in/c.png")).status();
    assert!(made.unwrap().success());
    std::fs::write(place.path("in/._a.png"), "what another system left").unwrap();
    let outcome = run(&place, &["--seed", "7"]).ended(1);
    assert!(outcome.stdout.contains("1 of 3 images"), "{}", outcome.stdout);
    let images = place.json("out/summary.json");
    let errors: Vec<_> = images["images"].as_array().unwrap().iter().map(|i| &i["error"]).collect();
    assert!(errors[1].as_str().unwrap().contains("b.png"), "{errors:?}");
    assert!(errors[2].as_str().unwrap().contains("not a regular file"), "{errors:?}");
}
