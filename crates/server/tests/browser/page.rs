//! What people do with the page.

use diffusion_engine::images::{RgbImage, encode_png};
use serde_json::json;

use crate::chromium::Browser;
use crate::support::{Data, Server, execute};

/// A server and a browser that shows its page, once that is filled in.
fn opened() -> Option<(Server, Browser)> {
    let browser = Browser::start()?;
    let server = Server::start(&[]);
    browser.open(&format!("http://{}/", server.address()));
    browser.wait("document.querySelectorAll('#model option').length > 0");
    Some((server, browser))
}

/// Sets fields that are not what a test is about.
fn set(browser: &Browser, field: &str, value: &str) {
    browser.eval(&format!("document.getElementById('{field}').value = '{value}'"));
}

/// Makes a small picture of a prompt by keyboard, and waits for it.
fn make(browser: &Browser, prompt: &str) {
    set(browser, "steps", "3");
    set(browser, "seed", "7");
    set(browser, "prompt", "");
    browser.eval("document.getElementById('said').textContent = ''");
    browser.eval("document.getElementById('prompt').focus()");
    browser.write(prompt);
    browser.press("Enter");
    browser.wait("document.getElementById('said').textContent === 'The picture is there.'");
}

/// Saves what a link leads to, and gives the file.
fn save(browser: &Browser, link: &str) -> (String, Vec<u8>) {
    let folder = Data::new();
    browser.save_into(folder.as_str());
    browser.eval(&format!("{link}.click()"));
    browser.wait_for("Browser.downloadProgress", |params| params["state"] == "completed");
    let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
    (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())
}

#[test]
fn empty_fields_show_what_the_model_would_take() {
    let Some((_server, browser)) = opened() else { return };
    let shown = |model: &str| {
        set(&browser, "model", model);
        browser.eval("document.getElementById('model').dispatchEvent(new Event('change'))");
        ["width", "steps", "guidance"].map(|field| {
            let field = format!("document.getElementById('{field}').placeholder");
            browser.eval(&field).as_str().unwrap().to_owned()
        })
    };
    assert_eq!(shown("pocket-paper-sd1"), ["128", "30", "5"]);
    assert_eq!(shown("pocket-paper-lightning"), ["128", "4", "1"]);
    assert_eq!(shown("pocket-neon-sd2"), ["128", "30", "5"]);
}

#[test]
fn a_picture_is_made_saved_and_found_again_by_keyboard() {
    let Some((server, browser)) = opened() else { return };
    assert_eq!(browser.eval("document.activeElement.id"), "prompt");
    browser.screenshot("desktop-empty");
    make(&browser, "a lighthouse in a storm");
    assert_eq!(
        browser.eval("document.getElementById('said').textContent"),
        "The picture is there."
    );
    assert_eq!(browser.eval("document.getElementById('picture').alt"), "a lighthouse in a storm");
    let shown = "document.getElementById('picture')";
    assert!(browser.eval(&format!("{shown}.naturalWidth")).as_u64() >= Some(64));
    assert_eq!(browser.eval(&format!("{shown}.classList.contains('forming')")), false);

    // The link saves what the server has, under its name.
    let link = "document.querySelector('#save a')";
    let saved = browser.eval(&format!("{link}.getAttribute('href')"));
    let file = server.get(saved.as_str().unwrap());
    assert_eq!(file.header("content-type"), Some("image/png"));
    let name = browser.eval(&format!("{link}.download"));
    let disposition = format!("inline; filename=\"{}\"", name.as_str().unwrap());
    assert_eq!(file.header("content-disposition"), Some(&*disposition));
    assert_eq!(save(&browser, link), (name.as_str().unwrap().to_owned(), file.body));
    let download = "document.querySelectorAll('#save a')[2]";
    assert!(browser.eval(&format!("{download}.download")).as_str().unwrap().ends_with(".webp"));

    // It is the newest of the recent ones, and tells its settings.
    browser.wait("document.querySelectorAll('#recent li').length === 1");
    browser.wait("document.querySelector('#recent img').naturalWidth > 0");
    browser.screenshot("desktop");
    browser.eval("document.querySelector('#recent button').focus()");
    browser.press("Enter");
    browser.wait("document.getElementById('shown').open");
    let told = browser.eval("document.getElementById('shown-settings').innerText");
    assert!(told.as_str().unwrap().replace('\n', " ").contains("Steps 3"), "{told}");
    browser.wait("document.getElementById('shown-picture').naturalWidth > 0");
    browser.screenshot("desktop-shown");
    browser.press("Escape");
    browser.wait("!document.getElementById('shown').open");
    browser.eval("document.querySelector('#recent button').click()");
    browser.wait("document.getElementById('shown').open");
    set(&browser, "prompt", "");
    set(&browser, "steps", "");
    browser.eval("document.getElementById('shown-use').click()");
    assert_eq!(browser.eval("document.getElementById('prompt').value"), "a lighthouse in a storm");
    assert_eq!(browser.eval("document.getElementById('steps').value"), "3");
    assert_eq!(browser.eval("document.getElementById('more').open"), true);

    // After a reload it is still there.
    browser.open(&format!("http://{}/", server.address()));
    browser.wait("document.querySelectorAll('#recent li').length === 1");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn what_is_wrong_is_said_beside_its_field() {
    let Some((_server, browser)) = opened() else { return };
    browser.press("Enter");
    let error = |field: &str| {
        browser.wait(&format!("document.getElementById('{field}-error').textContent !== ''"));
        assert_eq!(browser.eval("document.activeElement.id"), field);
        assert_eq!(browser.eval("document.activeElement.ariaInvalid"), "true");
        browser.eval(&format!("document.getElementById('{field}-error').innerText"))
    };
    assert_eq!(error("prompt"), "Say what it should show.");
    browser.write("a cat");
    assert_eq!(browser.eval("document.getElementById('prompt-error').innerText"), "");

    // What only the server knows is said in its words; the field is shown if it was folded away.
    set(&browser, "width", "100");
    browser.press("Enter");
    assert!(error("width").as_str().unwrap().contains("multiples of 8"));
    assert_eq!(browser.eval("document.getElementById('more').open"), true);
    browser.screenshot("desktop-error");
    set(&browser, "width", "");
    set(&browser, "seed", "x");
    browser.eval("document.getElementById('prompt').focus()");
    browser.press("Enter");
    error("seed");
    // The browser itself notes each answer that is an error.
    let ours = |text: &String| !text.contains("422");
    assert_eq!(
        browser.complaints().into_iter().filter(ours).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
}

#[test]
fn what_is_made_can_be_watched_and_stopped() {
    let Some((server, browser)) = opened() else { return };
    set(&browser, "steps", "900");
    set(&browser, "width", "256");
    set(&browser, "height", "256");
    browser.write("a cat");
    browser.press("Enter");
    browser.wait("document.getElementById('picture').classList.contains('forming')");
    browser.wait("document.getElementById('progress').value > 0");
    browser.wait(r"/^Step \d+ of 90\d/.test(document.getElementById('status').innerText)");
    browser.screenshot("desktop-forming");
    // A page that is opened again goes on with it.
    browser.open(&format!("http://{}/", server.address()));
    browser.wait("!document.getElementById('stop').hidden");
    browser.eval("document.getElementById('stop').focus()");
    browser.press("Enter");
    browser.wait("document.getElementById('empty').innerText === 'It was stopped.'");
    assert_eq!(browser.eval("document.activeElement.id"), "make");
    assert_eq!(server.get("/api/v1/jobs").json()["jobs"][0]["state"], "cancelled");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_picture_can_be_started_from_or_made_alike() {
    let Some((server, browser)) = opened() else { return };
    make(&browser, "a lighthouse");
    let link = browser.eval("document.querySelector('#save a').getAttribute('href')");
    let folder = Data::new();
    let file = folder.path().join("mine.png");
    std::fs::write(&file, server.get(link.as_str().unwrap()).body).unwrap();
    set(&browser, "prompt", "");
    set(&browser, "seed", "");
    browser.choose("#file", file.to_str().unwrap());
    browser.wait("!document.getElementById('offer').hidden");
    let offer = browser.eval("document.getElementById('offer-text').innerText");
    assert!(offer.as_str().unwrap().contains("this server"), "{offer}");
    browser.screenshot("desktop-offer");
    browser.eval("document.getElementById('offer-use').click()");
    assert_eq!(browser.eval("document.getElementById('prompt').value"), "a lighthouse");
    assert_eq!(browser.eval("document.getElementById('seed').value"), "7");
    assert_eq!(browser.eval("document.getElementById('chosen').hidden"), true);

    browser.choose("#file", file.to_str().unwrap());
    browser.wait("!document.getElementById('chosen').hidden");
    set(&browser, "prompt", "");
    make(&browser, "a cat");
    let job = &server.get("/api/v1/jobs").json()["jobs"][0];
    assert_eq!((&job["kind"], &job["state"]), (&json!("img2img"), &json!("succeeded")));
    assert_eq!(job["request"]["strength"], 0.8);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn what_another_program_says_is_asked_for_or_named() {
    let Some((server, browser)) = opened() else { return };
    let text = "a (cat:1.2) <lora:fur:0.8>\nSteps: 3, Sampler: Euler a, CFG scale: 4, \
                Seed: 9007199254740993, Size: 64x64, Variation seed: 9007199254740995, \
                Variation seed strength: 0.25, Denoising strength: 0.63, Clip skip: 2, \
                Mask blur: 4, Tiling: True";
    let folder = Data::new();
    let file = folder.path().join("theirs.png");
    let png = encode_png(&RgbImage::new(64, 64), &[("parameters", text)]).unwrap();
    std::fs::write(&file, png).unwrap();
    let choose = || {
        browser.choose("#file", file.to_str().unwrap());
        browser.wait("!document.getElementById('offer').hidden");
    };
    choose();
    browser.eval("document.getElementById('offer-use').click()");
    let told = browser.eval("document.getElementById('error').innerText");
    for words in ["the picture that it started from", "the mask", "LoRA", "not here: Tiling"] {
        assert!(told.as_str().unwrap().contains(words), "{told}");
    }
    browser.screenshot("desktop-taken");
    let ask = || {
        browser.eval("document.getElementById('said').textContent = ''");
        browser.eval("document.getElementById('prompt').focus()");
        browser.press("Enter");
        browser.wait("document.getElementById('said').textContent === 'The picture is there.'");
        let jobs = server.get("/api/v1/jobs").json();
        let id = jobs["jobs"][0]["id"].as_str().unwrap();
        server.get(&format!("/api/v1/jobs/{id}/plan")).json()["images"][0].clone()
    };
    let plan = ask();
    for (field, value) in [
        ("prompt", json!("a (cat:1.2)")),
        ("text", json!({"syntax": "a1111", "clip_skip": 2})),
        ("scheduler", json!("euler-a")),
        ("seed", json!(9_007_199_254_740_993_u64)),
        ("variation", json!({"seed": 9_007_199_254_740_995_u64, "strength": 0.25})),
    ] {
        assert_eq!(plan[field], value, "{field}");
    }
    // What the slider cannot stand at is kept, until it is moved.
    choose();
    assert_eq!(browser.eval("document.getElementById('strength-shown').innerText"), "0.63");
    let high = "document.getElementById('strength').getBoundingClientRect().height >= 44";
    assert_eq!(browser.eval(high), true);
    browser.eval("document.getElementById('offer-no').click()");
    set(&browser, "resize", "crop");
    let plan = ask();
    assert_eq!((&plan["strength"], &plan["resize"]), (&json!(0.63), &json!("crop")));

    // Images of ours are taken over from what is listed, too.
    set(&browser, "syntax", "long");
    set(&browser, "seed", "");
    browser.eval("document.querySelector('#recent button').click()");
    browser.wait("document.getElementById('shown').open");
    browser.eval("document.getElementById('shown-use').click()");
    for (field, value) in [
        ("syntax", "a1111"),
        ("clip_skip", "2"),
        ("seed", "9007199254740993"),
        ("variation_seed", "9007199254740995"),
        ("resize", "crop"),
    ] {
        assert_eq!(browser.eval(&format!("document.getElementById('{field}').value")), value);
    }
    set(&browser, "seed", "18446744073709551616");
    browser.press("Enter");
    browser
        .wait("document.getElementById('seed-error').textContent.includes('18446744073709551615')");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_button_is_at_hand_with_all_fields_open() {
    let Some((_server, browser)) = opened() else { return };
    browser.eval("document.getElementById('more').open = true");
    let button = "document.getElementById('make').getBoundingClientRect()";
    assert_eq!(browser.eval(&format!("{button}.bottom <= innerHeight && {button}.top > 0")), true);
    browser.screenshot("desktop-more");
    browser.eval("scrollTo(0, document.body.scrollHeight)");
    browser.screenshot("desktop-more-end");
}

#[test]
fn pictures_are_dropped_and_pasted() {
    let Some((_server, browser)) = opened() else { return };
    let with = |event: &str, bytes: &str, name: &str, kind: &str| {
        browser.eval(&format!(
            "{{ const data = new DataTransfer(); data.items.add(new File([new Uint8Array({bytes})], \
             '{name}', {{type: '{kind}'}})); dispatchEvent({event}); }}"
        ));
    };
    let drop = "new DragEvent('drop', {dataTransfer: data, cancelable: true})";
    with("new DragEvent('dragover', {dataTransfer: data})", "[]", "a.png", "image/png");
    assert_eq!(browser.eval("document.getElementById('veil').hidden"), false);
    with(drop, "[1]", "notes.txt", "text/plain");
    browser.wait("document.getElementById('init_image-error').innerText.includes('notes.txt')");
    assert_eq!(browser.eval("document.getElementById('veil').hidden"), true);

    // What only looks like a picture is refused by the server, beside the picture.
    let paste = "new ClipboardEvent('paste', {clipboardData: data, cancelable: true})";
    with(paste, "Array(600).fill(7)", "broken.bmp", "image/bmp");
    browser.wait("!document.getElementById('chosen').hidden");
    browser.write("a cat");
    browser.press("Enter");
    browser.wait("document.getElementById('init_image-error').innerText !== ''");
    browser.eval("document.getElementById('unchoose').click()");
    assert_eq!(browser.eval("document.getElementById('chosen').hidden"), true);
    assert_eq!(browser.eval("document.activeElement.id"), "choose");
}

#[test]
fn a_phone_shows_all_of_it_in_its_width() {
    let Some((server, browser)) = opened() else { return };
    browser.size(360, 740, true);
    // Nothing that raises a keyboard has the focus.
    browser.open(&format!("http://{}/", server.address()));
    browser.wait("document.querySelectorAll('#model option').length > 0");
    assert_eq!(browser.eval("document.activeElement.tagName"), "BODY");
    let fits = |what: &str| {
        let width = browser.eval("document.documentElement.scrollWidth");
        assert!(width.as_u64().unwrap() <= 360, "{what}: {width}");
    };
    fits("at first");
    browser.screenshot("phone-empty");
    browser.eval("document.getElementById('more').open = true");
    fits("with more");
    browser.screenshot("phone-more");
    make(&browser, &"a very long prompt-without-a-place-to-break-".repeat(4));
    browser.wait("document.querySelectorAll('#recent img').length === 1");
    fits("with a picture");
    browser.screenshot("phone");
    browser.eval("document.querySelector('#recent button').click()");
    browser.wait("document.getElementById('shown').open");
    browser.wait("document.getElementById('shown-picture').naturalWidth > 0");
    fits("with its settings");
    browser.screenshot("phone-shown");
    let wide = browser.eval("document.getElementById('shown').scrollWidth > document.getElementById('shown').clientWidth");
    assert_eq!(wide, false);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn colours_follow_what_people_prefer() {
    let Some((_server, browser)) = opened() else { return };
    let colour = "getComputedStyle(document.body).backgroundColor";
    browser.prefer("prefers-color-scheme", "light");
    let light = browser.eval(colour);
    browser.prefer("prefers-color-scheme", "dark");
    assert_ne!(browser.eval(colour), light);
    make(&browser, "a lighthouse");
    browser.wait("document.querySelectorAll('#recent img').length === 1");
    browser.screenshot("dark");
    browser.prefer("prefers-reduced-motion", "reduce");
    let moves =
        browser.eval("getComputedStyle(document.getElementById('picture')).transitionDuration");
    assert_eq!(moves, "0s");
}

#[test]
fn every_field_has_a_name_and_every_picture_a_text() {
    let Some((_server, browser)) = opened() else { return };
    make(&browser, "a lighthouse");
    browser.wait("document.querySelectorAll('#recent img').length === 1");
    let nameless = browser.eval(
        "[...document.querySelectorAll('input, select, textarea')]\
         .filter((field) => field.id !== 'file' && field.labels.length === 0).map((field) => field.id)",
    );
    assert_eq!(nameless, json!([]));
    let textless = browser.eval(
        "[...document.querySelectorAll('main img')].filter((image) => !image.hidden && \
         image.offsetParent && !image.alt).length",
    );
    assert_eq!(textless, 0);
    let wordless = browser.eval(
        "[...document.querySelectorAll('button, a')].filter((button) => !button.innerText && \
         !button.querySelector('img[alt]') && button.offsetParent).map((button) => button.id)",
    );
    assert_eq!(wordless, json!([]));
}

#[test]
fn a_key_is_asked_for_where_one_is_demanded() {
    let Some(browser) = Browser::start() else { return };
    let data = Data::new();
    let created =
        execute(&["keys", "create", "page", "--scope", "generate", "--data", data.as_str()], &[]);
    let key = String::from_utf8(created.stdout).unwrap();
    let key = key.split_whitespace().find(|word| word.starts_with("dsk_")).unwrap().to_owned();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--demand-keys"], &[]);
    browser.open(&format!("http://{}/", server.address()));
    browser.wait("document.getElementById('key').open");
    browser.write("dsk_wrong");
    browser.press("Enter");
    browser.wait("document.getElementById('key-error').innerText !== ''");
    browser.screenshot("desktop-key");
    browser.eval("document.getElementById('key-value').select()");
    browser.write(&key);
    browser.press("Enter");
    browser.wait("document.querySelectorAll('#model option').length > 0");
    make(&browser, "a lighthouse");
    browser.wait("document.getElementById('picture').src.startsWith('blob:')");
    browser.wait("document.querySelector('#recent img')?.naturalWidth > 0");
    assert_eq!(browser.eval("localStorage.length"), 0);
    let (name, saved) = save(&browser, "document.querySelectorAll('#save a')[1]");
    assert!(name.ends_with(".jpg") && saved.starts_with(b"\xff\xd8\xff"), "{name}");
    // Another key is looked at as the first was.
    browser.eval("document.getElementById('key-open').click()");
    browser.eval("document.getElementById('key-value').select()");
    browser.write("schlüssel");
    browser.press("Enter");
    browser.wait("document.getElementById('key-error').innerText !== ''");
    assert_eq!(browser.eval("sessionStorage.getItem('diffusion-server-key')"), key);
    let ours = |text: &String| !text.contains("401");
    assert_eq!(
        browser.complaints().into_iter().filter(ours).collect::<Vec<_>>(),
        Vec::<String>::new()
    );
}
