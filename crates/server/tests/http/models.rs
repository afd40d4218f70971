//! `/api/v1/models`

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Answer, Data, Server};

const MODELS: &str = "/api/v1/models";

/// A server whose folder of models holds tiny ones, under `deep/` out of sight of names.
fn server(data: &Data) -> Server {
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/goldens");
    for (from, to) in [("tiny-sd1", "models/tiny-sd1"), ("tiny-sd2", "models/deep/tiny-sd2")] {
        copy(&goldens.join(from), &data.path().join(to));
    }
    let models = data.path().join("models").display().to_string();
    Server::start_in(data, &["--bind", "127.0.0.1:0", "--models-dir", &models], &[])
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn named(server: &Server, name: &str) -> Option<Value> {
    let list = server.get(MODELS).json();
    list["models"].as_array().unwrap().iter().find(|model| model["name"] == name).cloned()
}

fn patch(server: &Server, path: &str, body: &Value) -> Answer {
    let json = [("content-type", "application/json")];
    server.send("PATCH", path, &json, body.to_string().as_bytes())
}

#[test]
fn a_model_that_names_its_steps_and_guidance_gets_them() {
    let data = Data::new();
    let server = server(&data);
    let file = data.path().join("models/tiny-sd1/generation_config.json");
    std::fs::write(file, r#"{"num_inference_steps": 3, "guidance_scale": 1}"#).unwrap();
    let tiny = named(&server, "tiny-sd1").unwrap();
    assert_eq!((&tiny["steps"], &tiny["guidance"]), (&json!(3), &json!(1.0)));

    let asked = json!({"kind": "txt2img", "model": "tiny-sd1", "prompt": "a cat"});
    let plan = |more: Value| {
        let mut asked = asked.clone();
        asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let job = server.post("/api/v1/jobs", &asked).json();
        let path = format!("/api/v1/jobs/{}/plan", job["id"].as_str().unwrap());
        let plan = &server.get(&path).json()["images"][0];
        [plan["steps"].clone(), plan["guidance"].clone()]
    };
    assert_eq!(plan(json!({})), [json!(3), json!(1.0)]);
    assert_eq!(plan(json!({"steps": 2})), [json!(2), json!(1.0)]);
    assert_eq!(plan(json!({"guidance": 3})), [json!(3), json!(3.0)]);
}

#[test]
fn models_are_listed_with_and_without_rows() {
    let data = Data::new();
    let server = server(&data);
    let list = server.get(MODELS).json();
    let models = list["models"].as_array().unwrap();
    let demo = models.iter().find(|model| model["source"] == "embedded").unwrap();
    assert!(demo["id"].is_string() && demo["available"] == true, "{demo}");
    let tiny = named(&server, "tiny-sd1").unwrap();
    assert_eq!((&tiny["id"], &tiny["available"]), (&Value::Null, &json!(true)));
    assert_eq!((&tiny["family"], &tiny["width"]), (&json!("sd1"), &json!(64)));

    let mut seen = Vec::new();
    let mut path = format!("{MODELS}?limit=1");
    loop {
        let page = server.get(&path).json();
        seen.extend(page["models"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{MODELS}?limit=1&cursor={next}");
    }
    assert_eq!(&seen, models);
    let found = server.get(&format!("{MODELS}?search=TINY")).json();
    assert_eq!(found["models"].as_array().unwrap().len(), 1, "{found}");
    server.get(&format!("{MODELS}?limit=1001")).problem(422);
}

#[test]
fn a_model_that_appears_is_there_at_once() {
    let data = Data::new();
    let server = server(&data);
    let made = server.post(MODELS, &json!({"owner": "someone", "name": "late"}));
    assert_eq!(made.status, 201, "{}", made.text());
    let late = made.json();
    assert_eq!((&late["available"], &late["hosted"]), (&json!(false), &json!("HUGGING_FACE")));
    assert!(late["unavailable_because"].is_string(), "{late}");
    copy(&data.path().join("models/tiny-sd1"), &data.path().join("models/late"));
    let of = format!("{MODELS}/{}", late["id"].as_str().unwrap());
    assert_eq!(made.header("location"), Some(&*of));
    assert_eq!(server.get(&of).json()["available"], true);

    // Weights that go away take the availability with them, whatever the configuration says.
    std::fs::remove_dir_all(data.path().join("models/late/unet")).unwrap();
    let broken = server.get(&of).json();
    assert_eq!((&broken["available"], &broken["family"]), (&json!(false), &Value::Null));
}

#[test]
fn folders_are_looked_up_below_that_of_models_alone() {
    let data = Data::new();
    let server = server(&data);
    let made =
        server.post(MODELS, &json!({"path": "deep/tiny-sd2", "name": "mine", "meta": {"k": 1}}));
    assert_eq!(made.status, 201, "{}", made.text());
    let mine = made.json();
    assert_eq!(mine["meta"], json!({"folder": "deep/tiny-sd2", "k": 1}));
    assert_eq!((&mine["available"], &mine["family"]), (&json!(true), &json!("sd2")));

    copy(&data.path().join("models/tiny-sd1"), &data.path().join("outside"));
    let outside = data.path().join("outside").display().to_string();
    for path in ["../outside", &outside, "/", "none", "deep", "tiny-sd1/unet"] {
        assert_eq!(server.post(MODELS, &json!({"path": path})).problem(422)["field"], "path");
    }
    let of = format!("{MODELS}/{}", mine["id"].as_str().unwrap());
    let moved = patch(&server, &of, &json!({"meta": {"folder": "../outside"}})).json();
    assert_eq!(moved["available"], false);
    assert!(moved["unavailable_because"].as_str().unwrap().contains("leads out"), "{moved}");
}

#[test]
fn rows_are_changed_and_removed() {
    let data = Data::new();
    let server = server(&data);
    let made = server.post(MODELS, &json!({"path": "tiny-sd1", "owner": "me"})).json();
    let of = format!("{MODELS}/{}", made["id"].as_str().unwrap());
    assert_eq!(named(&server, "tiny-sd1").unwrap()["id"], made["id"], "listed once");
    let changed = patch(&server, &of, &json!({"name": "b", "description": "mine"})).json();
    assert_eq!((&changed["name"], &changed["available"]), (&json!("b"), &json!(true)));
    assert_eq!(server.get(&of).json(), changed);
    assert_eq!(server.post(MODELS, &json!({"owner": "me", "name": "c"})).status, 201);
    patch(&server, &of, &json!({"name": "c"})).problem(409);
    patch(&server, &of, &json!({"hosted": ""})).problem(422);
    for body in [json!({}), json!({"name": "x"}), json!({"owner": "x"})] {
        server.post(MODELS, &body).problem(422);
    }
    assert_eq!(server.send("DELETE", &of, &[], b"").status, 204);
    server.get(&of).problem(404);
    server.send("DELETE", &of, &[], b"").problem(404);
    assert!(named(&server, "tiny-sd1").is_some(), "found without a row again");
}

#[test]
fn only_administrators_change_images_and_models() {
    let data = Data::new();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--demand-keys"], &[]);
    let args = ["keys", "create", "reader", "--scope", "read", "--data", data.as_str()];
    let key = String::from_utf8(crate::support::execute(&args, &[]).stdout).unwrap();
    let bearer = format!("Bearer {}", key.trim());
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    for path in ["/api/v1/images", MODELS] {
        server.get(path).problem(401);
        assert_eq!(server.send("GET", path, &headers, b"").status, 200);
        server.send("POST", path, &headers, b"{}").problem(403);
        let one = format!("{path}/00000000-0000-0000-0000-000000000000");
        server.send("GET", &one, &headers, b"").problem(404);
        server.send("PATCH", &one, &headers, b"{}").problem(403);
        server.send("DELETE", &one, &headers, b"").problem(403);
    }
}
