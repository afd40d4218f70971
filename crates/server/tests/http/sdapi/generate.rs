//! `txt2img` and `img2img`.

use serde_json::{Value, json};

use super::{files, info, made, picture, plain, refusal, route, running, small};
use crate::jobs::{JOBS, only};
use crate::support::{Data, Server};

/// The text chunks of a PNG, one `keyword\0text` after another, as far as tests look into them.
fn parameters(png: &[u8]) -> String {
    let key = b"parameters\0";
    let start = png.windows(key.len()).position(|part| part == key).unwrap();
    // The length stands before the chunk's name: 4 bytes each.
    let length = u32::from_be_bytes(png[start - 8..start - 4].try_into().unwrap()) as usize;
    let chunk = &png[start..start + length];
    let text: Vec<u8> = match &png[start - 4..start] {
        b"tEXt" => chunk[key.len()..].to_vec(),
        b"iTXt" => chunk[key.len() + 4..].to_vec(),
        name => panic!("{name:?}"),
    };
    String::from_utf8(text).unwrap()
}

#[test]
fn an_answer_has_the_images_and_how_they_were_made() {
    let server = Server::start(&[]);
    let body = small(json!({
        "negative_prompt": "rain", "batch_size": 1, "n_iter": 2, "sampler_name": "Euler a",
        "scheduler": "Automatic", "cfg_scale": 6.5
    }));
    let answer = made(&server, "txt2img", &body);
    let (files, info) = (files(&answer), info(&answer));
    assert_eq!(files.len(), 2);
    for (file, text) in files.iter().zip(info["infotexts"].as_array().unwrap()) {
        assert_eq!(image::load_from_memory(file).unwrap().width(), 64);
        assert_eq!(parameters(file), text.as_str().unwrap());
    }
    assert_ne!(files[0], files[1]);
    for (name, value) in [
        ("prompt", json!("a cat")),
        ("all_prompts", json!(["a cat", "a cat"])),
        ("negative_prompt", json!("rain")),
        ("seed", json!(7)),
        ("all_seeds", json!([7, 8])),
        ("subseed_strength", json!(0.0)),
        ("width", json!(64)),
        ("height", json!(64)),
        ("sampler_name", json!("Euler a")),
        ("cfg_scale", json!(6.5)),
        ("steps", json!(2)),
        ("batch_size", json!(1)),
        ("denoising_strength", Value::Null),
        ("clip_skip", json!(1)),
        ("index_of_first_image", json!(0)),
        ("interrupted", json!(false)),
    ] {
        assert_eq!(info[name], value, "{name}: {info}");
    }
    let model = info["sd_model_name"].as_str().unwrap();
    let known = server.get(&route("sd-models")).json();
    let known = known.as_array().unwrap().iter().find(|known| known["model_name"] == model);
    assert_eq!(info["sd_model_hash"], known.unwrap()["hash"]);
    let timestamp = info["job_timestamp"].as_str().unwrap();
    assert!(timestamp.len() == 14 && timestamp.bytes().all(|b| b.is_ascii_digit()), "{timestamp}");
    let text = info["infotexts"][0].as_str().unwrap();
    for part in [
        "a cat\nNegative prompt: rain\nSteps: 2, Sampler: Euler a, ",
        "CFG scale: 6.5, Seed: 7, Size: 64x64, ",
        &format!("Model hash: {}, Model: {model}", info["sd_model_hash"].as_str().unwrap()),
        ", RNG: CPU, Version: ",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The request comes back with its defaults.
    let repeated = &answer["parameters"];
    for (name, value) in body.as_object().unwrap() {
        assert_eq!(&repeated[name], value, "{name}");
    }
    assert_eq!(
        (&repeated["sampler_index"], &repeated["enable_hr"]),
        (&json!("Euler"), &json!(false))
    );

    // It is a job like any other.
    let job = only(&server);
    assert_eq!((&job["kind"], &job["state"]), (&json!("txt2img"), &json!("succeeded")));
    let native = server.get(job["images"][0]["url"].as_str().unwrap());
    assert_eq!(native.body, files[0]);
    // And the same once more.
    assert_eq!(made(&server, "txt2img", &body)["images"], answer["images"]);
}

#[test]
fn sizes_are_rounded_down_and_seeds_are_drawn() {
    let server = Server::start(&[]);
    let body = small(json!({"width": 71, "height": 79.0, "seed": -1}));
    let (one, other) = (made(&server, "txt2img", &body), made(&server, "txt2img", &body));
    let seeds = [&one, &other].map(|answer| info(answer)["seed"].as_u64().unwrap());
    assert_ne!(seeds[0], seeds[1]);
    let file = image::load_from_memory(&files(&one)[0]).unwrap();
    assert_eq!((file.width(), file.height()), (64, 72));
    assert_eq!(one["parameters"]["seed"], json!(-1), "as it was asked");
}

#[test]
fn without_images_the_answer_tells_of_them() {
    let server = Server::start(&[]);
    let answer = made(&server, "txt2img", &small(json!({"send_images": false})));
    assert_eq!(answer["images"], json!([]));
    assert_eq!(info(&answer)["infotexts"].as_array().unwrap().len(), 1);
}

#[test]
fn variations_are_of_one_seed() {
    let server = Server::start(&[]);
    let body = small(json!({"subseed": 3, "subseed_strength": 0.5, "batch_size": 2}));
    let answer = made(&server, "txt2img", &body);
    let info = info(&answer);
    assert_eq!(info["all_seeds"], json!([7, 7]));
    assert_eq!((&info["subseed"], &info["all_subseeds"]), (&json!(3), &json!([3, 4])));
    assert_eq!(info["subseed_strength"], json!(0.5));
}

#[test]
fn a_variation_of_no_strength_is_told_with_its_seeds() {
    let server = Server::start(&[]);
    let told = |more| info(&made(&server, "txt2img", &small(more)));
    let given = told(json!({"subseed": 5, "batch_size": 2}));
    assert_eq!((&given["subseed"], &given["all_subseeds"]), (&json!(5), &json!([5, 6])));
    assert_eq!((&given["all_seeds"], &given["subseed_strength"]), (&json!([7, 8]), &json!(0.0)));
    let drawn = [told(json!({"batch_size": 2})), told(json!({"batch_size": 2}))];
    let seeds = drawn.each_ref().map(|drawn| drawn["subseed"].as_u64().unwrap());
    assert_ne!(seeds[0], seeds[1]);
    assert_eq!(drawn[0]["all_subseeds"], json!([seeds[0], seeds[0] + 1]));
}

#[test]
fn networks_in_comments_and_negative_prompts_are_text() {
    let server = Server::start(&[]);
    let body = small(json!({
        "prompt": "# <lora:x:1>\na cat", "negative_prompt": "<lora:x:1>"
    }));
    let info = info(&made(&server, "txt2img", &body));
    assert_eq!(
        (&info["prompt"], &info["negative_prompt"]),
        (&body["prompt"], &body["negative_prompt"])
    );
}

#[test]
fn of_a_call_that_fails_in_part_the_rest_is_answered() {
    let data = Data::new();
    let variables = [("DIFFUSION_SERVER_MAX_BATCH", "1")];
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0"], &variables);
    let body = small(json!({
        "init_images": [plain(64, 64, [9; 3])], "n_iter": 24, "steps": 40,
        "denoising_strength": 1.0, "force_task_id": "t"
    }));
    std::thread::scope(|scope| {
        let call = scope.spawn(|| server.post(&route("img2img"), &body));
        running(&server, "t", 1);
        // Images that are not begun yet find no picture to begin with.
        std::fs::remove_dir_all(data.path().join("artifacts/inputs")).unwrap();
        let answer = call.join().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (answer, made) = (answer.json(), files(&answer.json()).len());
        let info = info(&answer);
        let failures = info["failures"].as_array().unwrap();
        assert!(made > 0 && !failures.is_empty() && made + failures.len() == 24, "{info}");
        assert!(failures[0].as_str().unwrap().starts_with("image "), "{info}");
        assert_eq!(info["infotexts"].as_array().unwrap().len(), made);
        assert_eq!(info["interrupted"], false);
    });
}

#[test]
fn a_picture_is_drawn_from() {
    let server = Server::start(&[]);
    let picture = picture(&server);
    let raw = small(json!({"init_images": [picture], "denoising_strength": 0.5}));
    let url = small(json!({
        "init_images": [format!("data:image/png;base64,{picture}")], "denoising_strength": 0.5,
        "include_init_images": true
    }));
    let (raw, url) = (made(&server, "img2img", &raw), made(&server, "img2img", &url));
    assert_eq!(files(&raw).len(), 1);
    assert_eq!(raw["images"], url["images"]);
    assert_eq!(info(&raw)["denoising_strength"], json!(0.5));
    assert!(info(&raw)["infotexts"][0].as_str().unwrap().contains("Denoising strength: 0.5"));
    assert_eq!(raw["parameters"]["init_images"], Value::Null);
    assert!(url["parameters"]["init_images"][0].as_str().unwrap().starts_with("data:"));
    // A strength that leaves no step runs the last, and is told as it was run.
    let still = small(json!({"init_images": [picture], "denoising_strength": 0, "steps": 4}));
    let still = made(&server, "img2img", &still);
    assert_eq!(files(&still).len(), 1);
    let told = info(&still);
    assert!(told["infotexts"][0].as_str().unwrap().contains("Denoising strength: 0.25,"), "{told}");
    for strength in [&told["denoising_strength"], &still["parameters"]["denoising_strength"]] {
        assert_eq!(strength, 0.25);
    }
    // An empty mask is none.
    let unmasked = small(json!({
        "init_images": [picture], "denoising_strength": 0.5, "mask": "", "mask_blur": 4
    }));
    assert_eq!(made(&server, "img2img", &unmasked)["images"], raw["images"]);
}

#[test]
fn the_same_request_under_the_same_key_is_one_job() {
    let server = Server::start(&[]);
    let body = small(json!({"seed": -1})).to_string();
    let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
    let ask = |body: &str| server.send("POST", &route("txt2img"), &headers, body.as_bytes());
    let (first, again) = (ask(&body).json(), ask(&body).json());
    assert_eq!((&first["images"], &first["info"]), (&again["images"], &again["info"]));
    assert_eq!(server.get(JOBS).json()["jobs"].as_array().unwrap().len(), 1);
    refusal(&ask(&small(json!({"seed": 1})).to_string()), 409);
}

#[test]
fn a_body_without_a_type_is_read() {
    let server = Server::start(&[]);
    let body = small(json!({})).to_string();
    let answer = server.send("POST", &route("txt2img"), &[], body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn the_parameters_of_another_image_stand_in() {
    let server = Server::start(&[]);
    let body = small(json!({"sampler_name": "DPM++ 2M", "scheduler": "Karras", "steps": 4}));
    let answer = made(&server, "txt2img", &body);
    let text = info(&answer)["infotexts"][0].clone();
    let again = made(&server, "txt2img", &json!({"infotext": text}));
    assert_eq!(again["images"], answer["images"]);
    let other = made(&server, "txt2img", &json!({"infotext": text, "seed": 8}));
    assert_eq!(info(&other)["seed"], 8);
    let elsewhere = json!({"infotext": "a\nSteps: 2, Seed: 1, Size: 64x64, Model: none such"});
    refusal(&server.post(&route("txt2img"), &elsewhere), 404);
}
