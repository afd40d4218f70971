//! Changing jobs.

use serde_json::{Value, json};

use super::{JOBS, asynchronous, begun, each, ended, long, made, path, small, submitted};
use crate::support::{Answer, Server};

fn action(server: &Server, job: &Value, name: &str) -> Answer {
    server.send("POST", &format!("{}/{name}", path(job)), &[], b"")
}

#[test]
fn what_runs_and_what_waits_is_cancelled() {
    let server = Server::start(&[("DIFFUSION_SERVER_MAX_BATCH", "1")]);
    // Its images take all places, so the other job waits.
    let running = submitted(&server, &long(json!({"count": 8})));
    begun(&server, &running, 1);
    let waiting = submitted(&server, &small(json!({})));
    let cancelled = action(&server, &waiting, "cancel").json();
    assert_eq!(
        (&cancelled["state"], &cancelled["started_at"]),
        (&json!("cancelled"), &Value::Null)
    );
    assert_eq!(server.get(&path(&running)).json()["state"], "running");

    let answer = action(&server, &running, "cancel");
    assert_eq!((answer.status, &answer.json()["state"]), (200, &json!("cancelled")));
    let cancelled = ended(&server, &running);
    assert_eq!(each(&cancelled, "state"), ["cancelled"; 8]);
    // The device is free at once: it was not worked to the end.
    assert_eq!(made(&server, &small(json!({})))["state"], "succeeded");
}

#[test]
fn a_job_that_has_ended_is_not_cancelled() {
    let server = Server::start(&[]);
    let job = made(&server, &small(json!({})));
    assert_eq!(action(&server, &job, "cancel").json()["state"], "succeeded");
    assert_eq!(server.get(&path(&job)).json(), job);
}

#[test]
fn what_was_cancelled_is_tried_again() {
    let server = Server::start(&[]);
    let whole = made(&server, &small(json!({"steps": 60})));
    let job = submitted(&server, &small(json!({"steps": 60})));
    begun(&server, &job, 1);
    action(&server, &job, "retry").problem(409);
    assert_eq!(action(&server, &job, "cancel").json()["state"], "cancelled");
    let headers = [("idempotency-key", "k")];
    let retry = || server.send("POST", &format!("{}/retry", path(&job)), &headers, b"");
    let again = retry();
    assert_eq!(again.status, 202, "{}", again.text());
    assert_eq!(again.json()["id"], job["id"]);
    // The worker may be quicker than the answer.
    assert!(["queued", "running"].contains(&again.json()["state"].as_str().unwrap()));
    let done = ended(&server, &job);
    assert_eq!(done["state"], "succeeded", "{done}");
    assert_eq!(each(&done, "sha256"), each(&whole, "sha256"));
    // The same key again asks for nothing new; without it there is nothing to be tried.
    assert_eq!((retry().status, &retry().json()["state"]), (202, &json!("succeeded")));
    action(&server, &job, "retry").problem(409);
}

#[test]
fn what_is_tried_again_has_its_place_in_the_backlog() {
    let variables = [("DIFFUSION_SERVER_BACKLOG", "3"), ("DIFFUSION_SERVER_MAX_BATCH", "1")];
    let server = Server::start(&variables);
    let first = submitted(&server, &long(json!({"count": 12})));
    assert_eq!(action(&server, &first, "cancel").status, 200);
    let second = submitted(&server, &long(json!({"count": 12})));
    begun(&server, &second, 1);
    let refused = action(&server, &first, "retry");
    let details = refused.problem(429);
    assert_eq!((&details["limit"], details["waiting"].as_u64() >= Some(3)), (&json!(3), true));
    assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(server.get(&path(&first)).json()["state"], "cancelled");

    assert_eq!(action(&server, &second, "cancel").status, 200);
    let headers = [("idempotency-key", "k")];
    let retry = || server.send("POST", &format!("{}/retry", path(&first)), &headers, b"").status;
    assert_eq!(retry(), 202, "alone, a job may be larger");
    assert_eq!(retry(), 202, "it is in already");
}

#[test]
fn a_replay_has_the_same_bytes() {
    let server = Server::start(&[]);
    let job = made(&server, &small(json!({"count": 2, "seed": null})));
    let replay = action(&server, &job, "replay");
    assert_eq!(replay.status, 201);
    let replay = replay.json();
    assert_ne!(replay["id"], job["id"]);
    assert_eq!(each(&replay, "sha256"), each(&job, "sha256"));
    assert_eq!(replay["request"], job["request"]);
    // Even where the first is gone.
    assert_eq!(server.send("DELETE", &path(&job), &[], b"").status, 204);
    let answer = asynchronous(&server, &format!("{}/replay", path(&replay)), &json!({}));
    assert_eq!(answer.status, 202);
    assert_eq!(each(&ended(&server, &answer.json()), "sha256"), each(&job, "sha256"));
}

#[test]
fn jobs_are_deleted_once_they_have_ended() {
    let server = Server::start(&[]);
    let job = submitted(&server, &long(json!({})));
    begun(&server, &job, 1);
    server.send("DELETE", &path(&job), &[], b"").problem(409);
    action(&server, &job, "cancel");
    assert_eq!(server.send("DELETE", &path(&job), &[], b"").status, 204);
    server.get(&path(&job)).problem(404);
    server.send("DELETE", &path(&job), &[], b"").problem(404);

    let job = made(&server, &small(json!({})));
    let url = job["images"][0]["url"].as_str().unwrap();
    assert_eq!(server.get(url).status, 200);
    assert_eq!(server.send("DELETE", &path(&job), &[], b"").status, 204);
    server.get(url).problem(404);
    assert_eq!(server.get(JOBS).json()["jobs"], json!([]));
}
