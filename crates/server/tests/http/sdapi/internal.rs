//! `/internal/…`

use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use super::{long, made, refusal, route, running, small, waiting};
use crate::support::{PATIENCE, Server};

#[test]
fn a_job_of_another_dialect_is_followed_by_its_id_or_label() {
    let server = Server::start(&[]);
    let body = json!({
        "prompt": "a cat", "num_inference_steps": 900, "user": "someone", "stream": true
    });
    thread::scope(|scope| {
        let call = scope.spawn(|| server.post("/v1/images/generations", &body));
        let job = running(&server, "someone", 1);
        for name in [job["id"].as_str().unwrap(), "someone"] {
            let seen = task(&server, &json!({"id_task": name}));
            assert_eq!((&seen["active"], &seen["queued"]), (&json!(true), &json!(false)));
        }
        server.send("POST", &route("interrupt"), &[], b"");
        assert!(call.join().unwrap().text().contains("cancelled"));
    });
}

fn task(server: &Server, body: &Value) -> Value {
    let answer = server.post("/internal/progress", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn a_call_is_followed_by_its_name() {
    let server = Server::start(&[("DIFFUSION_SERVER_MAX_BATCH", "1")]);
    let unknown = task(&server, &json!({"id_task": "none such"}));
    for member in ["active", "queued", "completed"] {
        assert_eq!(unknown[member], false, "{unknown}");
    }
    assert_eq!((&unknown["progress"], &unknown["textinfo"]), (&Value::Null, &json!("Waiting...")));
    made(&server, "txt2img", &small(json!({"force_task_id": "done"})));
    let done = task(&server, &json!({"id_task": "done"}));
    assert_eq!((&done["completed"], &done["active"]), (&json!(true), &json!(false)), "{done}");

    thread::scope(|scope| {
        // Its images take all places, so the others wait.
        let first = waiting(scope, &server, long(json!({"force_task_id": "first", "n_iter": 8})));
        running(&server, "first", 1);
        let wanted = json!({"id_task": "first"});
        let start = Instant::now();
        let seen = loop {
            let seen = task(&server, &wanted);
            assert_eq!((&seen["active"], &seen["completed"]), (&json!(true), &json!(false)));
            if seen["live_preview"].is_string() {
                break seen;
            }
            assert!(start.elapsed() < PATIENCE, "{seen}");
        };
        assert!(seen["live_preview"].as_str().unwrap().starts_with("data:image/png;base64,"));
        assert!(seen["id_live_preview"].as_i64().unwrap() >= 0, "{seen}");
        assert!(seen["progress"].as_f64().unwrap() > 0.0, "{seen}");
        let unseen = task(&server, &json!({"id_task": "first", "live_preview": false}));
        assert_eq!(unseen["live_preview"], Value::Null);

        let second = waiting(scope, &server, small(json!({"force_task_id": "second"})));
        let start = Instant::now();
        while server.get("/internal/pending-tasks").json()
            != json!({"size": 1, "tasks": ["second"]})
        {
            assert!(start.elapsed() < PATIENCE);
        }
        let queued = task(&server, &json!({"id_task": "second"}));
        assert_eq!((&queued["queued"], &queued["active"]), (&json!(true), &json!(false)));
        assert_eq!(queued["textinfo"], "In queue: 1/1");

        // What runs is interrupted; what waits is not.
        server.send("POST", &route("interrupt"), &[], b"");
        assert_eq!(first.join().unwrap().status, 200);
        let second = second.join().unwrap().json();
        assert_eq!(second["images"].as_array().unwrap().len(), 1);
    });
    assert_eq!(server.get("/internal/pending-tasks").json(), json!({"size": 0, "tasks": []}));
    refusal(&server.post("/internal/progress", &json!({"id_task": 1})), 422);
}
