//! `/sdapi/v1/interrupt` and `/sdapi/v1/skip`.

use std::thread;
use std::time::Instant;

use serde_json::json;

use super::{info, long, route, running, small, waiting};
use crate::jobs::{JOBS, begun, each, ended, submitted};
use crate::support::{PATIENCE, Server};

fn post(server: &Server, name: &str) {
    let answer = server.send("POST", &route(name), &[], b"");
    assert_eq!((answer.status, answer.text()), (200, "{}"), "{name}");
}

#[test]
fn an_interrupted_call_answers_with_what_is_done() {
    let server = Server::start(&[]);
    post(&server, "interrupt");
    let native = submitted(&server, &crate::jobs::small(json!({"steps": 900})));
    thread::scope(|scope| {
        let call = waiting(
            scope,
            &server,
            small(json!({"force_task_id": "t", "n_iter": 40, "steps": 20})),
        );
        let job = running(&server, "t", 1);
        let path = crate::jobs::path(&job);
        let start = Instant::now();
        let made = |job: &serde_json::Value| {
            each(job, "state").iter().filter(|state| **state == "succeeded").count()
        };
        while made(&server.get(&path).json()) == 0 {
            assert!(start.elapsed() < PATIENCE);
        }
        post(&server, "interrupt");
        let answer = call.join().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        let job = ended(&server, &job);
        assert_eq!(job["state"], "cancelled");
        let images = answer["images"].as_array().unwrap().len();
        assert!(images > 0 && images < 40, "{images}");
        assert_eq!(images, made(&job));
        let info = info(&answer);
        assert_eq!(info["interrupted"], true);
        assert_eq!(info["infotexts"].as_array().unwrap().len(), images);
        assert_eq!(info["all_seeds"].as_array().unwrap().len(), images);
    });
    // What came through another dialect goes on.
    assert_eq!(server.get(&crate::jobs::path(&native)).json()["state"], "running");
}

#[test]
fn a_call_that_is_interrupted_at_once_has_no_images() {
    let server = Server::start(&[]);
    thread::scope(|scope| {
        let call = waiting(scope, &server, long(json!({"force_task_id": "t"})));
        running(&server, "t", 1);
        post(&server, "interrupt");
        let answer = call.join().unwrap().json();
        assert_eq!(answer["images"], json!([]));
        let info = info(&answer);
        assert_eq!((&info["all_seeds"], &info["interrupted"]), (&json!([]), &json!(true)));
        assert_eq!((&info["seed"], &info["steps"]), (&json!(7), &json!(900)));
        // How the first would have been made, as clients that read it expect.
        let hash = info["sd_model_hash"].as_str().unwrap();
        let [text] = &info["infotexts"].as_array().unwrap()[..] else { panic!("{info}") };
        let text = text.as_str().unwrap();
        assert!(text.starts_with("a cat\nSteps: 900, Sampler: Euler, "), "{text}");
        assert!(
            text.contains(&format!(", Seed: 7, Size: 256x256, Model hash: {hash}, ")),
            "{text}"
        );
    });
}

#[test]
fn without_a_call_of_its_own_a_client_interrupts_another_job_of_its_key() {
    let server = Server::start(&[]);
    let native = submitted(&server, &crate::jobs::long(json!({})));
    begun(&server, &native, 1);
    post(&server, "interrupt");
    assert_eq!(ended(&server, &native)["state"], "cancelled");
}

#[test]
fn an_interruption_that_comes_after_its_call_ends_nothing_else() {
    let server = Server::start(&[]);
    let native = submitted(&server, &crate::jobs::long(json!({})));
    begun(&server, &native, 1);
    thread::scope(|scope| {
        let call = waiting(scope, &server, long(json!({"force_task_id": "t"})));
        running(&server, "t", 1);
        // The second finds its call gone.
        post(&server, "interrupt");
        assert_eq!(call.join().unwrap().status, 200);
        post(&server, "interrupt");
    });
    assert_eq!(server.get(&crate::jobs::path(&native)).json()["state"], "running");
}

#[test]
fn a_skipped_image_is_left_out() {
    let server = Server::start(&[("DIFFUSION_SERVER_MAX_BATCH", "1")]);
    post(&server, "skip");
    thread::scope(|scope| {
        // The first image of two is skipped, and the second is made.
        let body = small(json!({"force_task_id": "t", "n_iter": 2, "steps": 100}));
        let call = waiting(scope, &server, body);
        running(&server, "t", 1);
        post(&server, "skip");
        let answer = call.join().unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        assert_eq!(answer["images"].as_array().unwrap().len(), 1);
        assert_eq!(info(&answer)["interrupted"], true);
    });
    let job = server.get(JOBS).json()["jobs"][0].clone();
    let mut states = each(&job, "state");
    states.sort_by_key(ToString::to_string);
    assert_eq!(states, ["cancelled", "succeeded"]);
}

#[test]
fn a_client_that_goes_away_cancels_its_call() {
    use std::io::Write as _;
    let server = Server::start(&[]);
    let body = long(json!({"force_task_id": "t"})).to_string();
    let mut client = server.connect();
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        route("txt2img"),
        body.len()
    );
    client.write_all(head.as_bytes()).unwrap();
    let job = running(&server, "t", 1);
    begun(&server, &job, 1);
    drop(client);
    assert_eq!(ended(&server, &job)["state"], "cancelled");
}
