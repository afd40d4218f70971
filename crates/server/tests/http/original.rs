//! The original's route, in the original's shapes.

use std::collections::HashSet;
use std::io::Write;

use serde_json::{Value, json};

use crate::jobs::{begun, ended, only};
use crate::support::{Answer, Data, Server};

const ROUTE: &str = "/api/image_model_domain/v1/random_diffusion/1/initialize_diffusion/";

/// The original's documented call, with a body.
fn draw(server: &Server, more: &[(&str, &str)], body: &str) -> Answer {
    let documented = [
        ("accept", "application/json"),
        ("x-csrftoken", "CqxzMEg1qWowaBbEtv4ElCjQhkCaTSXs82ybXVNsvBODkTELX4lAJuZhksQlHs5E"),
        ("content-type", "application/json"),
    ];
    server.send("POST", ROUTE, &[&documented, more].concat(), body.as_bytes())
}

/// Two images of the data set, so that a draw takes a moment.
fn two(server: &Server) -> [Value; 2] {
    let images = server.get("/api/v1/images?limit=2").json();
    [images["images"][0].clone(), images["images"][1].clone()]
}

#[test]
fn the_documented_call_draws_from_the_whole_data_set() {
    // Of the smallest models, so that it takes a moment.
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../engine/tests/goldens");
    let data = Data::new();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--models-dir", models], &[]);
    for model in server.get("/api/v1/models").json()["models"].as_array().unwrap() {
        if let Some(id) = model["id"].as_str() {
            let removed = server.send("DELETE", &format!("/api/v1/models/{id}"), &[], b"");
            assert_eq!(removed.status, 204);
        }
    }
    let prompts = ["cat dancing in rain", "dogs sitting on sofa"];
    let answer = draw(&server, &[], &json!({"prompt_list": prompts}).to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let drawn = answer.json();
    let result = drawn["Result"].as_object().unwrap();
    let images = server.get("/api/v1/images").json();
    let paths: HashSet<&str> =
        images["images"].as_array().unwrap().iter().map(|i| i["path"].as_str().unwrap()).collect();
    assert_eq!(result.len(), 17);
    assert_eq!(result.keys().map(String::as_str).collect::<HashSet<_>>(), paths);
    let outputs: HashSet<&str> = result.values().map(|output| output.as_str().unwrap()).collect();
    assert_eq!(outputs.len(), 17);
    for output in outputs {
        let png = server.get(output);
        assert_eq!((png.status, png.header("content-type")), (200, Some("image/png")), "{output}");
        assert!(image::load_from_memory(&png.body).is_ok(), "{output}");
    }
    // How each was made is told.
    assert_eq!(drawn["failures"], json!({}));
    let told = drawn["images"].as_array().unwrap();
    assert_eq!(told.len(), 17);
    let (mut drawn_prompts, mut models) = (HashSet::new(), HashSet::new());
    for image in told {
        assert_eq!(result[image["input"].as_str().unwrap()], image["output"]);
        assert!(image["model"].is_string() && image["seed"].is_u64(), "{image}");
        assert!(image["seconds"].as_f64().unwrap() > 0.0, "{image}");
        drawn_prompts.insert(image["prompt"].as_str().unwrap());
        models.insert(image["model"].as_str().unwrap());
    }
    assert!(drawn_prompts.is_subset(&HashSet::from(prompts)));
    assert!(models.is_subset(&HashSet::from(["tiny-lcm", "tiny-sd1", "tiny-sd2", "tiny-vae"])));
    let job = server.get(&format!("/api/v1/jobs/{}", drawn["job"].as_str().unwrap())).json();
    assert_eq!((&job["kind"], &job["state"]), (&json!("random"), &json!("succeeded")));
}

#[test]
fn images_are_chosen_by_name_path_or_id() {
    let server = Server::start(&[]);
    let [first, second] = two(&server);
    // One that is named twice is drawn from once.
    let chosen = json!([first["name"], second["id"], second["path"]]);
    let body = json!({"prompt_list": ["a cat"], "image_list": chosen});
    let drawn = draw(&server, &[], &body.to_string()).json();
    let keys: Vec<&String> = drawn["Result"].as_object().unwrap().keys().collect();
    let mut paths = [&first, &second].map(|image| image["path"].as_str().unwrap());
    paths.sort_unstable();
    assert_eq!(keys, paths);
    assert_eq!(drawn["images"].as_array().unwrap().len(), 2);
}

#[test]
fn what_is_wrong_is_400_and_named() {
    let server = Server::start(&[]);
    let [first, _] = two(&server);
    let unknown = json!({"prompt_list": ["a"], "image_list": [first["name"], "none.png"]});
    let one = json!({"prompt_list": ["a"], "image_list": ["none.png"]});
    for (body, field) in [
        ("", "body"),
        ("{", "body"),
        ("[]", "body"),
        (r#"[["a"]]"#, "body"),
        (r#"{"prompt_list": ["a"]} x"#, "body"),
        ("{}", "prompt_list"),
        (r#"{"prompt_list": []}"#, "prompt_list"),
        (r#"{"prompt_list": "a"}"#, "prompt_list"),
        (r#"{"prompt_list": ["a", null]}"#, "prompt_list[1]"),
        (r#"{"prompt_list": ["a\u0000"]}"#, "prompt_list"),
        (r#"{"prompt_list": ["a"], "image_list": []}"#, "image_list"),
        (r#"{"prompt_list": ["a"], "image_list": "x"}"#, "image_list"),
        (r#"{"prompt_list": ["a"], "image_list": [1]}"#, "image_list[0]"),
        (&unknown.to_string(), "image_list[1]"),
        (&one.to_string(), "image_list[0]"),
    ] {
        let answer = draw(&server, &[], body);
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let refusal = answer.json();
        let message = refusal["Error Message"].as_str().unwrap();
        assert!(message.contains(field), "{body}: {message}");
    }
}

#[test]
fn without_waiting_the_answer_is_the_job() {
    let server = Server::start(&[]);
    let [first, _] = two(&server);
    let body = json!({"prompt_list": ["a cat"], "image_list": [first["id"]]}).to_string();
    let headers = [("prefer", "respond-async"), ("idempotency-key", "k")];
    let answer = draw(&server, &headers, &body);
    assert_eq!(answer.status, 202, "{}", answer.text());
    let job = answer.json();
    assert_eq!(
        answer.header("location"),
        Some(&*format!("/api/v1/jobs/{}", job["id"].as_str().unwrap()))
    );
    assert_eq!(job["kind"], "random");
    // The same request under the same key is the same job, and now it is waited for.
    let waited = draw(&server, &headers[1..], &body).json();
    assert_eq!(waited["job"], job["id"]);
    assert_eq!(waited["Result"].as_object().unwrap().len(), 1);
    let other = draw(&server, &headers, r#"{"prompt_list": ["a dog"]}"#);
    assert_eq!(other.status, 400);
    assert!(other.json()["Error Message"].as_str().unwrap().contains("Idempotency-Key"));
}

#[test]
fn a_client_that_goes_away_cancels_its_draw() {
    let server = Server::start(&[]);
    let body = r#"{"prompt_list": ["a cat"]}"#;
    let mut client = server.connect();
    let head = format!(
        "POST {ROUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    client.write_all(head.as_bytes()).unwrap();
    let job = only(&server);
    begun(&server, &job, 1);
    drop(client);
    assert_eq!(ended(&server, &job)["state"], "cancelled");
}

#[test]
fn pages_of_any_site_may_call_it() {
    let server = Server::start(&[]);
    let origin = ("origin", "http://elsewhere.example");
    let preflight = server.send(
        "OPTIONS",
        ROUTE,
        &[
            origin,
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "content-type,x-csrftoken"),
        ],
        b"",
    );
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    assert_eq!(preflight.header("access-control-allow-methods"), Some("POST"));
    assert_eq!(preflight.header("access-control-allow-headers"), Some("content-type,x-csrftoken"));

    let refused = draw(&server, &[origin, ("sec-fetch-site", "cross-site")], "{}");
    assert_eq!(refused.status, 400);
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"));
    let jobs = server.send("GET", "/api/v1/jobs", &[origin], b"");
    assert_eq!(jobs.header("access-control-allow-origin"), None);
}

#[test]
fn a_body_without_a_type_is_read() {
    let server = Server::start(&[]);
    let body = r#"{"prompt_list": []}"#;
    let answer = server.send("POST", ROUTE, &[], body.as_bytes());
    assert!(answer.json()["Error Message"].as_str().unwrap().starts_with("prompt_list"));
}
