//! `run` makes a new image of each picture of a folder.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Outcome, Place, tiny};

/// `run` on the folder `in` with few steps, and the further arguments.
pub(crate) fn run(place: &Place, more: &[&str]) -> Outcome {
    let models = [tiny("tiny-sd1"), tiny("tiny-sd2")];
    let mut args = vec!["run", "--images", "in"];
    if !more.contains(&"--steps") {
        args.extend(["--steps", "2"]);
    }
    if !more.contains(&"--model") {
        models.iter().for_each(|model| args.extend(["--model", model]));
    }
    args.extend(more);
    place.execute(&args)
}

/// Fails unless the page shows all pictures with files that exist, and has no other address.
pub(crate) fn check_page(place: &Place, out: &str, pictures: usize) {
    let page = String::from_utf8(place.read(&format!("{out}/index.html"))).unwrap();
    let sources: Vec<&str> =
        page.split(" src=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(sources.len(), 2 * pictures, "{page}");
    for source in sources {
        place.pixels(&format!("{out}/{}", decoded(source)));
    }
    assert!(!page.contains("://") && !page.contains("<script"), "{page}");
}

/// A relative address as a path.
fn decoded(address: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = address.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let digits = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &after[2..];
        } else {
            assert!(byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte), "{address}");
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The summary without times, and without the folder of the outputs.
fn timeless(mut summary: Value) -> Value {
    for key in ["total_seconds", "seconds_per_image", "peak_memory_mb"] {
        assert!(summary[key].as_f64().unwrap() > 0.0, "{key} of {summary}");
        summary[key] = Value::Null;
    }
    for image in summary["images"].as_array_mut().unwrap() {
        assert!(image["seconds"].as_f64().unwrap() > 0.0, "{image}");
        image["seconds"] = Value::Null;
        let file = image["output"].as_str().and_then(|path| path.rsplit('/').next());
        image["output"] = file.map_or(Value::Null, Value::from);
    }
    summary
}

#[test]
fn every_picture_gets_an_image_and_a_place_in_summary_and_page() {
    let place = Place::new();
    for name in ["in/a.png", "in/b.jpg", "in/c.webp", "in/d.gif", "in/e.bmp", "in/f.tiff"] {
        place.picture(name, 50, 40);
    }
    let outcome = run(&place, &["--seed", "7", "--prompt", "a cat", "--prompt", "a dog"]);
    let outcome = outcome.succeeded();
    assert_eq!(outcome.stderr, "");
    assert_eq!(outcome.stdout.lines().count(), 7, "{}", outcome.stdout);
    assert!(outcome.stdout.contains("6 of 6 images in "), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("(seed 7)"), "{}", outcome.stdout);

    let names = ["a", "b", "c", "d", "e", "f"];
    let mut files: BTreeSet<String> = ["index.html".into(), "summary.json".into()].into();
    files.extend(names.map(|name| format!("{name}-diffusion.png")));
    files.extend(names.map(|name| format!("inputs/{name}.png")));
    assert_eq!(place.files("out"), files);
    check_page(&place, "out", 6);

    let summary = place.json("out/summary.json");
    assert_eq!(summary["seed"], 7);
    let images = summary["images"].as_array().unwrap();
    assert_eq!(images.len(), 6);
    for (i, (image, name)) in images.iter().zip(names).enumerate() {
        assert!(image["input"].as_str().unwrap().contains(name), "{image}");
        assert_eq!(image["output"], format!("out/{name}-diffusion.png"));
        assert_eq!(image["seed"], 7 + i);
        assert!(["a cat", "a dog"].contains(&image["prompt"].as_str().unwrap()), "{image}");
        assert!(["tiny-sd1", "tiny-sd2"].contains(&image["model"].as_str().unwrap()), "{image}");
        assert!(image.get("error").is_none(), "{image}");
    }
    timeless(summary);
}

#[test]
fn a_seed_reproduces_the_run() {
    let place = Place::new();
    for name in ["in/a.png", "in/b.png", "in/c.png", "in/d.png"] {
        place.picture(name, 64, 64);
    }
    for (out, seed) in [("one", "7"), ("two", "7"), ("other", "8")] {
        run(&place, &["--seed", seed, "--out", out]).succeeded();
    }
    let summary = |out: &str| timeless(place.json(&format!("{out}/summary.json")));
    assert_eq!(summary("one"), summary("two"));
    assert_ne!(summary("one")["images"], summary("other")["images"]);
    for file in place.files("one").iter().filter(|file| file.ends_with(".png")) {
        let bytes = place.read(&format!("one/{file}"));
        assert_eq!(bytes, place.read(&format!("two/{file}")), "{file}");
        if !file.starts_with("inputs/") {
            assert_ne!(bytes, place.read(&format!("other/{file}")), "{file}");
        }
    }
}

#[test]
fn without_a_seed_a_run_tells_the_one_it_drew() {
    let place = Place::new();
    place.picture("in/a.png", 64, 64);
    run(&place, &["--out", "one"]).succeeded();
    let seed = place.json("one/summary.json")["seed"].to_string();
    run(&place, &["--out", "two", "--seed", &seed]).succeeded();
    assert_eq!(place.read("one/a-diffusion.png"), place.read("two/a-diffusion.png"));
}

#[test]
fn images_come_in_the_format_that_is_asked_for() {
    let place = Place::new();
    place.picture("in/a.png", 64, 64);
    let model = tiny("tiny-sd1");
    let args = ["run", "--images", "in", "--model", &model, "--steps", "2", "--seed", "7"];
    for ending in ["jpg", "webp"] {
        place.execute(&[&args[..], &["--format", ending, "-o", "in"]].concat()).succeeded();
        let name = format!("a-diffusion.{ending}");
        let summary = place.json("in/summary.json");
        // Results of earlier runs are no pictures to start from, whatever their format.
        assert_eq!(summary["inputs"], 1);
        assert!(summary["images"][0]["output"].as_str().unwrap().ends_with(&name));
        assert_eq!(place.pixels(&format!("in/{name}")).dimensions(), (64, 64));
        let sheet = String::from_utf8(place.read("in/index.html")).unwrap();
        assert!(sheet.contains(&name) && sheet.contains("inputs/a.png"));
    }
    assert_eq!(&place.read("in/a-diffusion.webp")[8..12], b"WEBP");
    place.execute(&[&args[..], &["--format", "gif"]].concat()).refused(&["gif", "webp"]);
}

#[test]
fn each_image_is_the_one_that_generate_makes() {
    let place = Place::new();
    for (name, width, height) in
        [("in/a.png", 90, 40), ("in/b.png", 40, 90), ("in/c.jpg", 64, 64), ("in/d.jpg", 9, 8)]
    {
        place.picture(name, width, height);
    }
    let common = ["--strength", "0.6", "--steps", "4", "--guidance", "4", "--negative", "rain"];
    let models = [tiny("tiny-sd1"), tiny("tiny-sd2")];
    let mut args = vec!["run", "--images", "in", "--seed", "7", "--scheduler", "heun"];
    models.iter().for_each(|model| args.extend(["--model", model]));
    args.extend(common);
    place.execute(&args).succeeded();

    for image in place.json("out/summary.json")["images"].as_array().unwrap() {
        let text = |key: &str| image[key].as_str().unwrap();
        let output = text("output").to_owned();
        let input = output.replace("out/", "out/inputs/").replace("-diffusion", "");
        let seed = image["seed"].to_string();
        let (width, height) = place.pixels(&output).dimensions();
        let (model, width, height) = (tiny(text("model")), width.to_string(), height.to_string());
        let mut args = vec!["generate", "--model", &model, "--prompt", text("prompt")];
        args.extend(["--init-image", &input, "--width", &width, "--height", &height]);
        args.extend(["--seed", &seed, "--scheduler", "heun", "-o", "single.png"]);
        args.extend(common);
        place.execute(&args).succeeded();
        // They differ in the hash of the file that they are drawn from.
        assert!(place.pixels(&output) == place.pixels("single.png"), "{output}");
        let told = |name: &str| place.png_text(name, "parameters");
        assert_eq!(told(&output), told("single.png"));
    }
}

#[test]
fn a_model_that_names_its_steps_and_guidance_gets_them() {
    let place = Place::new();
    place.picture("in/a.png", 64, 64);
    place.copy_model("tiny-sd1", "quick");
    let usual = r#"{"num_inference_steps": 3, "guidance_scale": 1}"#;
    std::fs::write(place.path("quick/generation_config.json"), usual).unwrap();
    let made = |more: &[&str]| {
        let args = ["run", "--images", "in", "--model", "quick", "--seed", "7"];
        place.execute(&[&args[..], more].concat()).succeeded();
        let summary = place.json("out/summary.json");
        [&summary, &summary["images"][0]]
            .map(|of| ["steps", "guidance"].map(|name| of[name].clone()))
    };
    let own = [json!(3), json!(1.0)];
    assert_eq!(made(&[]), [[Value::Null, Value::Null], own]);
    let asked = [json!(2), json!(5.0)];
    assert_eq!(made(&["--steps", "2", "--guidance", "5"]), [asked.clone(), asked]);

    let args = ["generate", "--model", "quick", "--prompt", "a cat", "-o", "cat.png"];
    place.execute(&args).succeeded();
    let told = place.png_text("cat.png", "parameters");
    assert!(told.contains("Steps: 3,") && told.contains("CFG scale: 1,"), "{told}");
}

#[test]
fn models_that_share_a_name_are_told_apart() {
    let place = Place::new();
    for name in ["in/a.png", "in/b.png", "in/c.png", "in/d.png", "in/e.png"] {
        place.picture(name, 64, 64);
    }
    place.copy_model("tiny-sd1", "one/tiny");
    place.copy_model("tiny-sd2", "two/tiny");
    run(&place, &["--seed", "7", "--out", "want"]).succeeded();
    run(&place, &["--seed", "7", "--model", "one/tiny", "--model", "two/tiny"]).succeeded();
    let models = place.json("want/summary.json");
    let models = models["images"].as_array().unwrap().iter().map(|image| image["model"].clone());
    assert_eq!(models.map(|m| m.to_string()).collect::<BTreeSet<_>>().len(), 2, "both are drawn");
    for name in ["a", "b", "c", "d", "e"] {
        let image = |out: &str| place.pixels(&format!("{out}/{name}-diffusion.png"));
        assert_eq!(image("want"), image("out"), "{name}");
    }
}

#[test]
fn a_model_that_cannot_be_used_is_not_drawn() {
    let place = Place::new();
    for name in ["in/a.png", "in/b.png", "in/c.png", "in/d.png", "in/e.png"] {
        place.picture(name, 64, 64);
    }
    place.copy_model("tiny-sd1", "models/good");
    place.copy_model("tiny-sd1", "models/a-broken");
    std::fs::write(place.path("models/a-broken/unet/config.json"), "{").unwrap();
    let args = ["run", "--images", "in", "--models-dir", "models", "--steps", "2", "--seed", "7"];
    let outcome = place.execute(&args).succeeded();
    let warnings: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("warning: model a-broken is left out: "), "{warnings:?}");
    // Named, it is an error.
    let args = [&args[..], &["--model", "a-broken"]].concat();
    place.execute(&args).refused(&["a-broken", "unet/config.json"]);
}

#[test]
fn pictures_are_named_one_by_one_too() {
    let place = Place::new();
    place.picture("in/a.png", 64, 64);
    place.picture("a.png", 64, 64);
    let outcome = run(&place, &["--images", "a.png", "--seed", "1"]).succeeded();
    assert!(outcome.stdout.contains("2 of 2"), "{}", outcome.stdout);
    let outputs = place.files("out");
    assert!(outputs.contains("a-diffusion.png") && outputs.contains("a-2-diffusion.png"));
    check_page(&place, "out", 2);
}
