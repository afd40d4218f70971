//! `/sdapi/v1/progress`.

use std::thread;
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{long, made, route, running, small, waiting};
use crate::jobs::{begun, submitted};
use crate::support::{PATIENCE, Server};

fn progress(server: &Server, query: &str) -> Value {
    let answer = server.get(&format!("{}{query}", route("progress")));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[test]
fn idle_is_no_progress_of_no_jobs() {
    let server = Server::start(&[]);
    let idle = json!({
        "progress": 0.0,
        "eta_relative": 0.0,
        "state": {
            "skipped": false, "interrupted": false, "stopping_generation": false, "job": "",
            "job_count": 0, "job_timestamp": "0", "job_no": 0, "sampling_step": 0,
            "sampling_steps": 0
        },
        "current_image": null,
        "textinfo": null
    });
    assert_eq!(progress(&server, ""), idle);
    made(&server, "txt2img", &small(json!({})));
    assert_eq!(progress(&server, ""), idle, "and so it is again when all is done");
}

#[test]
fn where_there_is_no_call_another_job_of_the_key_is_shown() {
    let server = Server::start(&[]);
    let size = json!({"width": 128, "height": 128, "steps": 900});
    let mut native = crate::jobs::small(size.clone());
    native["count"] = json!(2);
    let native = submitted(&server, &native);
    begun(&server, &native, 1);
    let seen = progress(&server, "");
    assert_eq!((&seen["state"]["job_count"], &seen["state"]["job_no"]), (&json!(2), &json!(0)));
    assert!(seen["progress"].as_f64().unwrap() > 0.0, "{seen}");
    thread::scope(|scope| {
        let mut body = small(size);
        body["force_task_id"] = json!("t");
        let call = waiting(scope, &server, body);
        running(&server, "t", 1);
        assert_eq!(progress(&server, "")["state"]["job_count"], 1, "its own is preferred");
        server.send("POST", &route("interrupt"), &[], b"");
        assert_eq!(call.join().unwrap().status, 200);
    });
    assert_eq!(progress(&server, "")["state"]["job_count"], 2);
}

#[test]
fn a_call_is_seen_as_it_goes_on() {
    let server = Server::start(&[]);
    thread::scope(|scope| {
        let body = long(json!({"force_task_id": "t", "n_iter": 3}));
        let call = waiting(scope, &server, body);
        running(&server, "t", 1);
        let start = Instant::now();
        // Until it can be seen.
        let seen = loop {
            let seen = progress(&server, "?skip_current_image=false");
            if seen["current_image"].is_string() {
                break seen;
            }
            assert!(start.elapsed() < PATIENCE, "{seen}");
        };
        let png = BASE64_STANDARD.decode(seen["current_image"].as_str().unwrap()).unwrap();
        image::load_from_memory(&png).unwrap();
        let state = &seen["state"];
        assert_eq!((&state["job"], &state["job_count"]), (&json!("scripts_txt2img"), &json!(3)));
        assert_eq!((&state["job_no"], &state["sampling_steps"]), (&json!(0), &json!(900)));
        let step = state["sampling_step"].as_u64().unwrap();
        assert!((1..=900).contains(&step), "{seen}");
        let part = seen["progress"].as_f64().unwrap();
        assert!(part > 0.0 && part < 1.0, "{seen}");
        assert!(seen["eta_relative"].as_f64().unwrap() > 0.0, "{seen}");
        assert_eq!(state["job_timestamp"].as_str().unwrap().len(), 14);
        let without = progress(&server, "?skip_current_image=True");
        assert_eq!(without["current_image"], Value::Null);
        assert!(without["state"]["sampling_step"].as_u64() >= Some(step), "{without}");
        server.send("POST", &route("interrupt"), &[], b"");
        assert_eq!(call.join().unwrap().status, 200);
    });
}
