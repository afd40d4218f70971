use std::io::Write as _;

use serde_json::{Value, json};

use super::{GENERATIONS, decoded, files, made, quick, refused};
use crate::jobs::{JOBS, begun, ended, only};
use crate::support::Server;

#[test]
fn an_image_comes_by_its_url_with_what_is_true_of_it() {
    let server = Server::start(&[]);
    let asked = quick(json!({"user": "user-1", "quality": "hd", "negative_prompt": "a dog"}));
    let answer = made(&server.post(GENERATIONS, &asked));
    assert!(answer["created"].as_i64().unwrap() > 1_700_000_000, "{answer}");
    let [image] = &answer["data"].as_array().unwrap()[..] else { panic!("{answer}") };
    assert_eq!((&image["seed"], image.get("b64_json")), (&json!(7), None));
    for (member, value) in [
        ("background", "opaque"),
        ("output_format", "png"),
        ("quality", "high"),
        ("size", "128x128"),
    ] {
        assert_eq!(answer[member], value, "{member}");
    }
    let usage = json!({
        "input_tokens": 4, "output_tokens": 64, "total_tokens": 68,
        "input_tokens_details": {"image_tokens": 0, "text_tokens": 4},
        "output_tokens_details": {"image_tokens": 64, "text_tokens": 0}
    });
    assert_eq!(answer["usage"], usage);
    // The URL is absolute, and leads to the file.
    let url = image["url"].as_str().unwrap();
    let path = url.strip_prefix(&format!("http://{}", server.address())).unwrap();
    let file = server.get(path);
    assert_eq!((file.status, file.header("content-type")), (200, Some("image/png")));
    assert_eq!(decoded(&file.body).dimensions(), (128, 128));
    // It is a job like any other.
    let job = server.get(&format!("{JOBS}/{}", answer["job"].as_str().unwrap())).json();
    assert_eq!(job["request"]["dialect"], "openai");
    assert_eq!(job["request"]["label"], "user-1");
    assert_eq!(job["request"]["steps"], 2, "what is said exactly goes before the quality");
    assert_eq!(job["images"][0]["model"], answer["model"]);
    assert_eq!(server.get(job["images"][0]["url"].as_str().unwrap()).body, file.body);
}

#[test]
fn it_is_the_image_of_our_own_api() {
    let server = Server::start(&[]);
    let asked = quick(json!({"n": 2, "response_format": "b64_json", "guidance_scale": 5.0}));
    let answer = made(&server.post(GENERATIONS, &asked));
    assert_eq!(answer["data"][1]["seed"], 8);
    let own = json!({
        "kind": "txt2img", "prompt": "a cat", "steps": 2, "seed": 7, "count": 2, "guidance": 5.0,
        "syntax": "long"
    });
    let job = server.post(JOBS, &own).json();
    for (index, file) in files(&answer).iter().enumerate() {
        let own = server.get(job["images"][index]["url"].as_str().unwrap());
        assert!(own.body == *file, "image {index}");
    }
}

#[test]
fn a_model_that_names_its_steps_has_them_at_any_quality() {
    let server = Server::start(&[]);
    let steps = |more: Value| {
        let mut asked = json!({"prompt": "a cat", "model": "pocket-paper-lightning"});
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let job = made(&server.post(GENERATIONS, &asked))["job"].as_str().unwrap().to_owned();
        let plan = server.get(&format!("{JOBS}/{job}/plan")).json()["images"][0].take();
        (plan["steps"].clone(), plan["guidance"].clone())
    };
    assert_eq!(steps(json!({})), (json!(4), json!(1.0)));
    assert_eq!(steps(json!({"quality": "hd"})), (json!(4), json!(1.0)));
    assert_eq!(steps(json!({"num_inference_steps": 2})), (json!(2), json!(1.0)));
}

#[test]
fn the_end_of_a_long_prompt_counts() {
    let server = Server::start(&[]);
    let pixels = |end: &str| {
        let prompt = format!("{}{end}", "a quiet harbour with (many) boats, ".repeat(12));
        let asked = quick(json!({"prompt": prompt, "response_format": "b64_json"}));
        decoded(&files(&made(&server.post(GENERATIONS, &asked)))[0])
    };
    assert!(pixels("a red bicycle") != pixels("a black dog"));
    let asked = quick(json!({"prompt": "a ".repeat(2500)}));
    assert_eq!(refused(&server.post(GENERATIONS, &asked), 400).0, "prompt");
}

#[test]
fn formats_and_their_compression() {
    let server = Server::start(&[]);
    let file = |more: Value| {
        let asked = quick(json!({"response_format": "b64_json"}));
        let mut asked = asked.as_object().unwrap().clone();
        asked.extend(more.as_object().unwrap().clone());
        let answer = made(&server.post(GENERATIONS, &Value::Object(asked)));
        assert_eq!(answer["output_format"], more["output_format"]);
        files(&answer).pop().unwrap()
    };
    let png = decoded(&file(json!({"output_format": "png", "output_compression": 10})));
    for format in ["jpeg", "webp"] {
        let fine = file(json!({"output_format": format}));
        let coarse = file(json!({"output_format": format, "output_compression": 10}));
        let kind = image::guess_format(&fine).unwrap();
        assert_eq!(kind.to_mime_type(), format!("image/{format}"));
        assert!(coarse.len() < fine.len() / 2, "{format}: {} {}", coarse.len(), fine.len());
        let error = |file: &[u8]| -> f64 {
            let pairs = decoded(file).into_raw().into_iter().zip(png.as_raw());
            pairs.map(|(a, &b)| f64::from(a.abs_diff(b))).sum::<f64>() / png.len() as f64
        };
        assert!(error(&fine) < error(&coarse), "{format}");
    }
    // By URL they are the same.
    let asked = quick(json!({"output_format": "jpeg", "output_compression": 10}));
    let answer = made(&server.post(GENERATIONS, &asked));
    let url = answer["data"][0]["url"].as_str().unwrap();
    let path = url.split_once("/v1").map(|(_, path)| format!("/v1{path}")).unwrap();
    let linked = server.get(&path);
    assert_eq!(linked.header("content-type"), Some("image/jpeg"));
    assert_eq!(linked.body, file(json!({"output_format": "jpeg", "output_compression": 10})));
}

#[test]
fn sizes_are_those_that_the_model_can_do() {
    let server = Server::start(&[]);
    for (asked, drawn) in [
        ("auto", "128x128"),
        ("1024x1024", "128x128"),
        ("1792x1024", "168x96"),
        ("1024x1536", "104x160"),
        ("160x96", "160x96"),
    ] {
        let asked = quick(json!({"size": asked, "response_format": "b64_json"}));
        let answer = made(&server.post(GENERATIONS, &asked));
        assert_eq!(answer["size"], drawn);
        let (width, height) = decoded(&files(&answer)[0]).dimensions();
        assert_eq!(format!("{width}x{height}"), drawn);
    }
}

#[test]
fn names_that_clients_have_built_in_are_drawn_with_the_model_at_hand() {
    let server = Server::start(&[]);
    let first = server.get("/v1/models").json()["data"][0]["id"].clone();
    for (name, in_base64) in [("dall-e-2", false), ("dall-e-3", false), ("gpt-image-1", true)] {
        let answer = made(&server.post(GENERATIONS, &quick(json!({"model": name}))));
        assert_eq!(answer["model"], first);
        let image = &answer["data"][0];
        assert_eq!(image.get("b64_json").is_some(), in_base64, "{name}");
        assert_eq!(image.get("url").is_some(), !in_base64, "{name}");
    }
    let answer = made(&server.post(GENERATIONS, &quick(json!({"model": first}))));
    assert_eq!(answer["model"], first);
}

#[test]
fn what_would_change_nothing_is_ignored() {
    let server = Server::start(&[]);
    let asked = quick(json!({
        "style": "vivid", "moderation": "low", "background": "auto", "strength": 0.3,
        "partial_images": 0, "stream": false, "unknown": {"a": [1]}, "n": null, "size": null
    }));
    assert_eq!(made(&server.post(GENERATIONS, &asked))["data"].as_array().unwrap().len(), 1);
}

#[test]
fn the_same_under_the_same_key_is_made_once() {
    let server = Server::start(&[]);
    let keyed = |body: &Value| {
        let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
        server.send("POST", GENERATIONS, &headers, body.to_string().as_bytes())
    };
    let first = made(&keyed(&quick(json!({}))));
    assert_eq!(made(&keyed(&quick(json!({}))))["job"], first["job"]);
    let other = keyed(&quick(json!({"n": 2})));
    refused(&other, 409);
    assert_eq!(other.header("x-should-retry"), Some("false"));
}

#[test]
fn a_client_that_goes_away_cancels_its_images() {
    let server = Server::start(&[]);
    let body = quick(json!({"num_inference_steps": 900})).to_string();
    let mut client = server.connect();
    let head = format!(
        "POST {GENERATIONS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(head.as_bytes()).unwrap();
    let job = only(&server);
    begun(&server, &job, 1);
    drop(client);
    assert_eq!(ended(&server, &job)["state"], "cancelled");
}
