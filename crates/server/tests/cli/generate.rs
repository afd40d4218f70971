//! `generate` makes pictures.

use serde_json::Value;

use crate::support::{Place, goldens, tiny};

/// `generate` with few steps, and the further arguments.
pub(crate) fn generate(more: &[&str]) -> Vec<String> {
    let start = ["generate", "--prompt", "a cat", "--steps", "2"];
    start.iter().chain(more).map(|&arg| arg.to_owned()).collect()
}

fn execute(place: &Place, model: &str, more: &[&str]) -> crate::support::Outcome {
    let model = tiny(model);
    let args = generate(&[&["--model", &model], more].concat());
    place.execute(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_picture_has_the_models_size_and_is_named_on_stdout() {
    let place = Place::new();
    let outcome = execute(&place, "tiny-sd1", &["--seed", "7", "-o", "cat.png"]).succeeded();
    assert_eq!(outcome.stdout, "cat.png\n");
    assert_eq!(outcome.stderr, "");
    assert_eq!(place.pixels("cat.png").dimensions(), (64, 64));
    assert_eq!(place.files(""), ["cat.png".to_owned()].into());
}

#[test]
fn a_size_asked_for_is_the_pictures() {
    let place = Place::new();
    let size = ["--width", "48", "--height", "32", "-o", "cat.png"];
    for model in ["tiny-sd1", "tiny-sd2"] {
        execute(&place, model, &size).succeeded();
        assert_eq!(place.pixels("cat.png").dimensions(), (48, 32));
    }
    execute(&place, "tiny-sd1", &["--width", "48", "-o", "cat.png"]).succeeded();
    assert_eq!(place.pixels("cat.png").dimensions(), (48, 64));
}

#[test]
fn the_seed_decides_the_bytes() {
    let place = Place::new();
    for (name, seed) in [("a.png", "7"), ("b.png", "7"), ("c.png", "8")] {
        execute(&place, "tiny-sd1", &["--seed", seed, "-o", name]).succeeded();
    }
    assert_eq!(place.read("a.png"), place.read("b.png"));
    assert_ne!(place.pixels("a.png"), place.pixels("c.png"));
}

#[test]
fn without_a_seed_pictures_differ_and_tell_theirs() {
    let place = Place::new();
    for name in ["a.png", "b.png"] {
        execute(&place, "tiny-sd1", &["-o", name]).succeeded();
    }
    assert_ne!(place.pixels("a.png"), place.pixels("b.png"));
    let record: Value = serde_json::from_str(&place.png_text("a.png", "diffusion-server")).unwrap();
    let seed = record["plan"]["seed"].as_u64().unwrap().to_string();
    execute(&place, "tiny-sd1", &["--seed", &seed, "-o", "again.png"]).succeeded();
    assert_eq!(place.read("a.png"), place.read("again.png"));
}

#[test]
fn a_count_is_as_many_single_runs() {
    let place = Place::new();
    let outcome =
        execute(&place, "tiny-sd1", &["--seed", "41", "--count", "3", "-o", "cat.png"]).succeeded();
    assert_eq!(outcome.stdout, "cat-41.png\ncat-42.png\ncat-43.png\n");
    for seed in ["41", "42", "43"] {
        execute(&place, "tiny-sd1", &["--seed", seed, "-o", "single.png"]).succeeded();
        assert_eq!(place.read(&format!("cat-{seed}.png")), place.read("single.png"), "{seed}");
    }
}

#[test]
fn without_a_name_the_file_is_called_by_model_and_seed() {
    let place = Place::new();
    let outcome = execute(&place, "tiny-sd1", &["--seed", "7"]).succeeded();
    assert_eq!(outcome.stdout, "tiny-sd1-7.png\n");
    std::fs::create_dir(place.path("folder")).unwrap();
    execute(&place, "tiny-sd1", &["--seed", "7", "-o", "folder"]).succeeded();
    assert_eq!(place.read("folder/tiny-sd1-7.png"), place.read("tiny-sd1-7.png"));
}

#[test]
fn a_file_is_replaced_and_missing_folders_are_made() {
    let place = Place::new();
    std::fs::write(place.path("cat.png"), "old").unwrap();
    execute(&place, "tiny-sd1", &["--seed", "7", "-o", "cat.png"]).succeeded();
    execute(&place, "tiny-sd1", &["--seed", "7", "-o", "new/folder/cat.png"]).succeeded();
    assert_eq!(place.read("cat.png"), place.read("new/folder/cat.png"));
}

#[test]
fn a_picture_tells_how_it_was_made() {
    let place = Place::new();
    let args = ["--seed", "7", "--negative", "rain", "--guidance", "3.5", "-o", "cat.png"];
    execute(&place, "tiny-sd1", &[&args[..], &["--scheduler", "dpmpp-2m-karras"]].concat())
        .succeeded();
    let parameters = place.png_text("cat.png", "parameters");
    for part in [
        "a cat\nNegative prompt: rain\nSteps: 2, Sampler: DPM++ 2M, Schedule type: Karras, ",
        "CFG scale: 3.5, Seed: 7, Size: 64x64, Model hash: ",
        ", Model: tiny-sd1, RNG: CPU, Version: diffusion-server ",
    ] {
        assert!(parameters.contains(part), "{parameters}");
    }
    let record: Value =
        serde_json::from_str(&place.png_text("cat.png", "diffusion-server")).unwrap();
    assert_eq!(record["model"], "tiny-sd1");
    for (key, value) in [
        ("prompt", Value::from("a cat")),
        ("negative_prompt", "rain".into()),
        ("width", 64.into()),
        ("height", 64.into()),
        ("steps", 2.into()),
        ("guidance", 3.5.into()),
        ("seed", 7.into()),
        ("strength", Value::Null),
    ] {
        assert_eq!(record["plan"][key], value, "{key} of {record}");
    }
    // Where none is asked for, the text names the model's own.
    execute(&place, "tiny-sd1", &["--seed", "7", "-o", "cat.png"]).succeeded();
    let parameters = place.png_text("cat.png", "parameters");
    assert!(parameters.contains("Steps: 2, Sampler: PLMS, CFG scale: "), "{parameters}");
    let record: Value =
        serde_json::from_str(&place.png_text("cat.png", "diffusion-server")).unwrap();
    assert_eq!(record["plan"]["scheduler"], Value::Null);
}

#[test]
fn every_option_that_should_matter_does() {
    let place = Place::new();
    let base = ["--seed", "7", "-o", "cat.png"];
    execute(&place, "tiny-sd1", &base).succeeded();
    let plain = place.pixels("cat.png");
    for more in [
        &["--negative", "rain"][..],
        &["--guidance", "1"],
        &["--steps", "3"],
        &["--scheduler", "euler-a"],
        &["--prompt", "a dog"],
    ] {
        let mut args = vec!["generate", "--model"];
        let model = tiny("tiny-sd1");
        args.push(&model);
        if !more.contains(&"--prompt") {
            args.extend(["--prompt", "a cat"]);
        }
        if !more.contains(&"--steps") {
            args.extend(["--steps", "2"]);
        }
        args.extend(base);
        args.extend(more);
        place.execute(&args).succeeded();
        assert_ne!(place.pixels("cat.png"), plain, "{more:?} changes nothing");
    }
}

#[test]
fn threads_do_not_change_the_picture() {
    let place = Place::new();
    for (name, threads) in [("one.png", "1"), ("three.png", "3")] {
        execute(&place, "tiny-sd1", &["--seed", "7", "--threads", threads, "-o", name]).succeeded();
    }
    assert_eq!(place.read("one.png"), place.read("three.png"));
}

#[test]
fn a_picture_to_start_from_gives_shape_and_content() {
    let place = Place::new();
    place.picture("in.jpg", 120, 60);
    let base = ["--init-image", "in.jpg", "--seed", "7"];
    execute(&place, "tiny-sd1", &[&base[..], &["-o", "out.png"]].concat()).succeeded();
    // Twice as wide as high, at about 64 · 64 pixels.
    assert_eq!(place.pixels("out.png").dimensions(), (88, 48));
    let record: Value =
        serde_json::from_str(&place.png_text("out.png", "diffusion-server")).unwrap();
    assert_eq!(record["plan"]["strength"], 0.8);

    for (name, strength) in [("weak.png", "0.5"), ("full.png", "1")] {
        execute(&place, "tiny-sd1", &[&base[..], &["--strength", strength, "-o", name]].concat())
            .succeeded();
    }
    assert_ne!(place.pixels("weak.png"), place.pixels("full.png"));
    place.picture("other.png", 60, 30);
    let other = ["--init-image", "other.png", "--seed", "7", "--strength", "0.5", "-o", "o.png"];
    execute(&place, "tiny-sd1", &other).succeeded();
    assert_ne!(place.pixels("weak.png"), place.pixels("o.png"));

    let sized = [&base[..], &["--width", "32", "--height", "64", "-o", "sized.png"]].concat();
    execute(&place, "tiny-sd1", &sized).succeeded();
    assert_eq!(place.pixels("sized.png").dimensions(), (32, 64));
}

#[test]
fn models_are_found_by_name_in_a_folder_of_models() {
    let place = Place::new();
    let models = goldens();
    let args = ["generate", "--prompt", "a cat", "--steps", "1", "--seed", "1", "--model"];
    let mut commands = [
        place.command(&[&args[..], &["tiny-sd2", "-o", "named.png"]].concat()),
        place.command(&[&args[..], &["tiny-sd2", "-o", "variable.png"]].concat()),
        place.command(&[&args[..], &[&*tiny("tiny-sd2"), "-o", "folder.png"]].concat()),
    ];
    commands[0].arg("--models-dir").arg(&models);
    commands[1].env("DIFFUSION_SERVER_MODELS", &models);
    for command in &mut commands {
        assert!(command.output().unwrap().status.success());
    }
    assert_eq!(place.read("named.png"), place.read("folder.png"));
    assert_eq!(place.read("variable.png"), place.read("folder.png"));
}

#[test]
fn every_scheduler_is_named_wherever_one_is_chosen() {
    let help = Place::new().execute(&["generate", "--help"]).succeeded().stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let page = include_str!("../../src/http/page/index.html");
    for kind in diffusion_engine::SchedulerKind::ALL {
        assert!(
            help.contains(&format!(" {kind}, ")) || help.contains(&format!(" {kind} ")),
            "{kind}"
        );
        assert!(page.contains(&format!("<option>{kind}</option>")), "{kind}");
    }
}

#[test]
fn a_prompt_that_is_cut_off_is_told_once() {
    let place = Place::new();
    let prompt = "very ".repeat(100) + "last";
    let model = tiny("tiny-sd1");
    let args = ["generate", "--model", &model, "--prompt", &prompt, "--steps", "1"];
    let outcome = place.execute(&[&args[..], &["--count", "2", "-o", "cat.png"]].concat());
    let outcome = outcome.succeeded();
    assert_eq!(outcome.stderr.matches("warning: ").count(), 1, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("cut off: \"very very"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("very …\""), "long parts are shortened: {}", outcome.stderr);
}

#[test]
fn the_precision_is_told_and_wrong_ones_are_refused() {
    let place = Place::new();
    for precision in ["f32", "int8"] {
        let name = format!("{precision}.png");
        let more = ["--seed", "7", "--precision", precision, "-o", &name];
        execute(&place, "tiny-sd1", &more).succeeded();
        let record: Value =
            serde_json::from_str(&place.png_text(&name, "diffusion-server")).unwrap();
        assert_eq!(record["precision"], precision);
        let told = place.png_text(&name, "parameters").contains("Precision: int8");
        assert_eq!(told, precision == "int8");
    }
    assert_ne!(place.pixels("f32.png"), place.pixels("int8.png"));
    execute(&place, "tiny-sd1", &["--precision", "int4"]).refused(&["--precision", "int8"]);
}

/// White to the right of the middle.
fn right_half(place: &Place, name: &str, width: u32, height: u32) {
    let picture = image::GrayImage::from_fn(width, height, |x, _| {
        image::Luma([255 * u8::from(x >= width / 2)])
    });
    picture.save(place.path(name)).unwrap();
}

#[test]
fn a_mask_says_what_is_repainted() {
    let place = Place::new();
    place.picture("in.png", 64, 64);
    right_half(&place, "mask.png", 64, 64);
    let args = ["--init-image", "in.png", "--mask", "mask.png", "--mask-blur", "0", "--seed", "7"];
    for (name, more, kept) in
        [("a.png", &[][..], 0..32), ("b.png", &["--mask-invert"], 32..64), ("c.png", &[], 0..32)]
    {
        execute(&place, "tiny-sd1", &[&args[..], more, &["-o", name]].concat()).succeeded();
        let (before, after) = (place.pixels("in.png"), place.pixels(name));
        for (x, y, pixel) in after.enumerate_pixels().filter(|(x, ..)| kept.contains(x)) {
            assert_eq!(pixel, before.get_pixel(x, y), "{x}, {y} of {name}");
        }
        assert_ne!(before, after);
    }
    assert_eq!(place.read("a.png"), place.read("c.png"));
    assert_ne!(place.read("a.png"), place.read("b.png"));
}

#[test]
fn the_masked_part_alone_is_drawn_into_the_picture() {
    let place = Place::new();
    place.picture("in.png", 150, 90);
    right_half(&place, "mask.png", 150, 90);
    let args = ["--init-image", "in.png", "--mask", "mask.png", "--mask-padding", "5"];
    execute(&place, "tiny-sd1", &[&args[..], &["-o", "out.png"]].concat()).succeeded();
    let (before, after) = (place.pixels("in.png"), place.pixels("out.png"));
    assert_eq!(after.dimensions(), (150, 90));
    // The mask is softened where nothing else is asked for.
    let kept = after.enumerate_pixels().filter(|(x, ..)| *x < 75 - 16);
    assert!(kept.into_iter().all(|(x, y, pixel)| pixel == before.get_pixel(x, y)));
    assert_ne!(before, after);
}

#[test]
fn prompts_are_read_as_the_syntax_says() {
    let place = Place::new();
    let prompt = "a ".repeat(80) + "(dog:1.4)";
    let draw = |name: &str, more: &[&str]| {
        let args = [&["--seed", "7", "-o", name, "--prompt", &prompt], more].concat();
        let model = tiny("tiny-sd1");
        let start = ["generate", "--steps", "2", "--model", &model];
        place.execute(&[&start[..], &args].concat()).succeeded().stderr
    };
    assert!(draw("plain.png", &["--syntax", "plain"]).contains("too long"));
    assert!(draw("default.png", &[]).contains("too long"));
    assert_eq!(draw("read.png", &["--syntax", "a1111"]), "");
    assert_eq!(draw("skipped.png", &["--syntax", "a1111", "--clip-skip", "2"]), "");
    assert_eq!(place.read("plain.png"), place.read("default.png"));
    assert_ne!(place.pixels("plain.png"), place.pixels("read.png"));
    assert_ne!(place.pixels("skipped.png"), place.pixels("read.png"));
}

#[test]
fn variations_begin_with_other_noise() {
    let place = Place::new();
    let vary = ["--variation-seed", "3", "--variation-strength"];
    let draw = |name: &str, seed: &str, more: &[&str]| {
        execute(&place, "tiny-sd1", &[&["--seed", seed, "-o", name], more].concat()).succeeded();
    };
    draw("own.png", "7", &[]);
    draw("none.png", "7", &[&vary[..], &["0"]].concat());
    draw("varied.png", "7", &[&vary[..], &["0.4", "--count", "2"]].concat());
    draw("second.png", "8", &["--variation-seed", "4", "--variation-strength", "0.4"]);
    assert_eq!(place.pixels("own.png"), place.pixels("none.png"));
    assert_ne!(place.pixels("own.png"), place.pixels("varied-7.png"));
    assert_eq!(place.read("second.png"), place.read("varied-8.png"));
}
