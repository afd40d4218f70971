//! Asking for jobs.

use serde_json::{Value, json};

use super::{JOBS, begun, each, ended, long, made, only, path, sent, small, submitted};
use crate::support::{Answer, Data, Server, execute};

#[test]
fn an_image_is_made_and_told() {
    let server = Server::start(&[]);
    let asked = small(json!({"negative_prompt": "a dog", "guidance": 3.5, "scheduler": "ddim"}));
    let job = made(&server, &asked);
    assert_eq!((&job["kind"], &job["state"]), (&json!("txt2img"), &json!("succeeded")), "{job}");
    assert_eq!((&job["priority"], &job["progress"]), (&json!("normal"), &json!(1.0)));
    assert!(job["created_at"].as_str() <= job["started_at"].as_str());
    assert!(job["started_at"].as_str() <= job["finished_at"].as_str());
    let request = &job["request"];
    for member in ["negative_prompt", "guidance", "scheduler", "width", "height", "steps", "seed"] {
        assert_eq!(request[member], asked[member], "{member}");
    }
    let [image] = &job["images"].as_array().unwrap()[..] else { panic!("{job}") };
    assert_eq!((&image["index"], &image["state"]), (&json!(0), &json!("succeeded")));
    assert_eq!((&image["width"], &image["height"]), (&json!(64), &json!(64)));
    assert_eq!((&image["prompt"], &image["seed"]), (&json!("a cat"), &json!(7)));
    assert!(image["model"].is_string() && image["error"].is_null(), "{image}");
    assert!(image["seconds"].as_f64().unwrap() > 0.0, "{image}");

    let png = server.get(image["url"].as_str().unwrap());
    assert_eq!((png.status, png.header("content-type")), (200, Some("image/png")));
    assert_eq!(image["bytes"], png.body.len());
    let pixels = image::load_from_memory(&png.body).unwrap();
    assert_eq!((pixels.width(), pixels.height()), (64, 64));
}

#[test]
fn what_is_cut_off_a_prompt_is_told_and_can_be_kept() {
    let server = Server::start(&[]);
    let prompt = format!("{}and a dog", "a boat, ".repeat(40));
    let job = |syntax: &str| {
        let job = made(&server, &small(json!({"prompt": prompt, "syntax": syntax, "count": 2})));
        (job["warnings"].clone(), job["images"][0]["sha256"].clone())
    };
    let (told, cut) = job("plain");
    let [warning] = &told.as_array().unwrap()[..] else { panic!("{told}") };
    let warning = warning.as_str().unwrap();
    assert!(warning.contains("cut off") && warning.ends_with("and a dog\""), "{warning}");
    let (none, whole) = job("long");
    assert_eq!((none, cut == whole), (json!([]), false));
}

#[test]
fn the_bytes_are_those_of_the_command_line() {
    let data = Data::new();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0"], &[]);
    let asked =
        small(json!({"steps": 3, "scheduler": "dpmpp-2m-karras", "negative_prompt": "a dog"}));
    let job = made(&server, &asked);
    let file = data.path().join("out.png");
    let args = [
        "generate",
        "--prompt",
        "a cat",
        "--negative",
        "a dog",
        "--width",
        "64",
        "--height",
        "64",
        "--steps",
        "3",
        "--seed",
        "7",
        "--scheduler",
        "dpmpp-2m-karras",
        "-o",
        file.to_str().unwrap(),
    ];
    let output = execute(&args, &[]);
    assert!(output.status.success(), "{output:?}");
    let png = server.get(job["images"][0]["url"].as_str().unwrap());
    assert!(png.body == std::fs::read(file).unwrap(), "other bytes");
}

#[test]
fn each_prompt_with_each_model_as_often_as_asked() {
    let server = Server::start(&[]);
    let models = server.get("/api/v1/models").json();
    let model = &models["models"][0];
    // By its name and by its id: two models, as far as the request goes.
    let asked = json!({
        "prompt": null, "prompts": ["a cat", "a dog"], "models": [model["name"], model["id"]],
        "count": 2, "priority": "low"
    });
    let job = made(&server, &small(asked));
    let pairs: Vec<(Value, Value)> =
        each(&job, "prompt").into_iter().zip(each(&job, "seed")).collect();
    let expected = [("a cat", 7), ("a cat", 8), ("a dog", 7), ("a dog", 8)].repeat(2);
    let expected: Vec<_> = expected.into_iter().map(|(p, s)| (json!(p), json!(s))).collect();
    assert_eq!(pairs, expected);
    assert_eq!(job["priority"], "low");
    assert_eq!(each(&job, "sha256")[..4], each(&job, "sha256")[4..]);

    // Each is as if made alone.
    let alone = json!({"prompt": "a dog", "seed": 8, "model": model["name"]});
    let alone = made(&server, &small(alone));
    assert_eq!(alone["images"][0]["sha256"], job["images"][3]["sha256"]);
}

#[test]
fn without_a_seed_images_differ_and_tell_theirs() {
    let server = Server::start(&[]);
    let jobs = [(); 2].map(|()| made(&server, &small(json!({"seed": null}))));
    assert_ne!(jobs[0]["images"][0]["sha256"], jobs[1]["images"][0]["sha256"]);
    let again = made(&server, &small(json!({"seed": jobs[0]["images"][0]["seed"]})));
    assert_eq!(jobs[0]["images"][0]["sha256"], again["images"][0]["sha256"]);
}

#[test]
fn what_is_not_valid_is_refused_by_field() {
    let server = Server::start(&[]);
    for (wrong, field) in [
        (json!({"kind": "txt2vid"}), "kind"),
        (json!({"prompt": null}), "prompt"),
        (json!({"prompt": 3}), "prompt"),
        (json!({"prompt": "a\0b"}), "prompt"),
        (json!({"prompt": "x".repeat(70_000)}), "prompt"),
        (json!({"negative_prompt": "x".repeat(70_000)}), "negative_prompt"),
        (json!({"prompts": ["b"]}), "prompt"),
        (json!({"prompt": null, "prompts": []}), "prompt"),
        (json!({"prompt": null, "prompts": ["a", 1]}), "prompts[1]"),
        (json!({"model": "no-such-model"}), "model"),
        (json!({"models": ["no-such-model"]}), "models[0]"),
        (json!({"model": "a", "models": []}), "model"),
        (json!({"kind": "img2img"}), "init_image"),
        (json!({"kind": "img2img", "init_image": "no-such-image"}), "init_image"),
        (json!({"kind": "img2img", "images": ["no-such-image"]}), "images[0]"),
        (json!({"kind": "img2img", "init_image": "data:image/png;base64,AAAA"}), "init_image"),
        (json!({"kind": "img2img", "init_image": "data:image/png;base64,?"}), "init_image"),
        (json!({"init_image": "a"}), "init_image"),
        (json!({"strength": 0.5}), "strength"),
        (json!({"steps": 0}), "steps"),
        (json!({"steps": -1}), "steps"),
        (json!({"steps": 1001}), "steps"),
        // The last of so many steps would lie outside of what the model was trained on.
        (json!({"steps": 1000, "scheduler": "ddim"}), "steps"),
        (json!({"guidance": 5000}), "guidance"),
        (json!({"guidance": "x"}), "guidance"),
        (json!({"scheduler": "no-such-scheduler"}), "scheduler"),
        (json!({"width": 100}), "width"),
        (json!({"height": 0}), "height"),
        (json!({"height": 8200}), "height"),
        (json!({"seed": -1}), "seed"),
        (json!({"count": 0}), "count"),
        (json!({"count": 1001}), "count"),
        (json!({"prompt": null, "prompts": vec!["a"; 600], "count": 2}), "count"),
        (json!({"priority": "highest"}), "priority"),
        (json!({"mask": "a"}), "mask"),
        (json!({"mask_padding": 8}), "mask_padding"),
        (json!({"mask_fill": "white"}), "mask_fill"),
        (json!({"resize": "shrink"}), "resize"),
        (json!({"syntax": "c++"}), "syntax"),
        (json!({"clip_skip": -1}), "clip_skip"),
        (json!({"variation_seed": 1}), "variation_seed"),
        (json!({"variation_seed": 1, "variation_strength": 2}), "variation_strength"),
    ] {
        let details = server.post(JOBS, &small(wrong.clone())).problem(422);
        assert_eq!(details["field"], field, "{} of {wrong}", details["detail"]);
    }
    let details = server.post(JOBS, &small(json!({"sed": 7}))).problem(422);
    assert!(details["detail"].as_str().unwrap().contains("sed"), "{details}");
    assert_eq!(server.get(JOBS).json()["jobs"], json!([]));
}

#[test]
fn what_cannot_fit_is_refused_with_the_numbers() {
    let server = Server::start(&[("DIFFUSION_SERVER_MEMORY", "400MB")]);
    let details = server.post(JOBS, &small(json!({"width": 4096, "height": 4096}))).problem(422);
    let detail = details["detail"].as_str().unwrap();
    assert!(detail.contains("MiB") && detail.contains("memory limit"), "{detail}");
}

fn keyed(server: &Server, key: &str, job: &Value) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("prefer", "respond-async"),
        ("idempotency-key", key),
    ];
    server.send("POST", JOBS, &headers, job.to_string().as_bytes())
}

#[test]
fn the_same_request_under_the_same_key_is_the_same_job() {
    let server = Server::start(&[]);
    let (job, other) = (small(json!({"seed": null})), small(json!({"seed": 8})));
    let first = keyed(&server, "k", &job).json();
    for _ in 0..2 {
        assert_eq!(keyed(&server, "k", &job).json()["id"], first["id"]);
        ended(&server, &first);
    }
    let details = keyed(&server, "k", &other).problem(409);
    assert!(details["detail"].as_str().unwrap().contains("\"k\""), "{details}");
    assert_ne!(keyed(&server, "l", &other).json()["id"], first["id"]);
    assert_eq!(keyed(&server, "", &job).problem(422)["field"], "Idempotency-Key");
    assert_eq!(server.get(JOBS).json()["jobs"].as_array().unwrap().len(), 2);
}

#[test]
fn a_client_that_goes_away_cancels_its_job() {
    let server = Server::start(&[]);
    let client = sent(&server, "", &long(json!({})));
    let job = only(&server);
    begun(&server, &job, 1);
    drop(client);
    let job = ended(&server, &job);
    assert_eq!(job["state"], "cancelled", "{job}");
}

#[test]
fn with_a_key_of_its_own_the_job_goes_on() {
    let server = Server::start(&[]);
    let asked = small(json!({"steps": 100}));
    let client = sent(&server, "Idempotency-Key: k\r\n", &asked);
    let job = only(&server);
    begun(&server, &job, 1);
    drop(client);
    assert_eq!(ended(&server, &job)["state"], "succeeded");
    // Whoever asks again gets it.
    assert_eq!(keyed(&server, "k", &asked).json()["id"], job["id"]);
}

#[test]
fn a_full_backlog_says_when_to_come_back() {
    let variables = [("DIFFUSION_SERVER_BACKLOG", "3"), ("DIFFUSION_SERVER_MAX_BATCH", "1")];
    let server = Server::start(&variables);
    // One job may be larger than that, alone.
    let first = submitted(&server, &long(json!({"count": 12})));
    begun(&server, &first, 1);
    let refused = server.post(JOBS, &small(json!({})));
    let details = refused.problem(429);
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!((&details["limit"], details["waiting"].as_u64() >= Some(3)), (&json!(3), true));
    assert_eq!(server.post(&format!("{}/cancel", path(&first)), &json!({})).status, 200);
    assert_eq!(made(&server, &small(json!({})))["state"], "succeeded");
}

#[test]
fn what_cannot_be_done_in_time_is_refused_with_the_numbers() {
    let variables =
        [("DIFFUSION_SERVER_LONGEST_WAIT_SECONDS", "5"), ("DIFFUSION_SERVER_MAX_BATCH", "1")];
    let server = Server::start(&variables);
    // Nothing is known before the first image.
    let first = submitted(&server, &small(json!({"count": 250})));
    begun(&server, &first, 1);
    server.post(&format!("{}/cancel", path(&first)), &json!({}));
    let slow = made(&server, &small(json!({"steps": 100})));
    assert_eq!(slow["state"], "succeeded");
    assert_eq!(made(&server, &small(json!({})))["state"], "succeeded");
    let refused = server.post(JOBS, &small(json!({"count": 1000})));
    let details = refused.problem(429);
    assert_eq!((&details["limit_seconds"], &details["waiting"]), (&json!(5), &json!(0)));
    assert!(details["expected_seconds"].as_u64() > Some(5), "{details}");
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    // Trying again takes as long.
    let refused = server.post(&format!("{}/retry", path(&first)), &json!({}));
    assert!(refused.problem(429)["expected_seconds"].as_u64() > Some(5), "{}", refused.text());
}
