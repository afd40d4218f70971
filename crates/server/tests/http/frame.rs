//! What all answers have in common.

use serde_json::{Value, json};

use crate::support::Server;

#[test]
fn what_is_not_there_is_a_problem() {
    let server = Server::start(&[]);
    let details = server.get("/no/such/route").problem(404);
    assert_eq!(details["type"], "urn:diffusion-server:not-found");
    assert!(details["detail"].as_str().unwrap().contains("/no/such/route"));

    let wrong = server.post("/livez", &json!({}));
    wrong.problem(405);
    assert_eq!(wrong.header("allow"), Some("GET,HEAD"));

    let id = "/api/v1/keys/00000000-0000-0000-0000-000000000000";
    server.send("DELETE", id, &[], b"").problem(404);
    server.send("DELETE", "/api/v1/keys/no-id", &[], b"").problem(404);
}

#[test]
fn bodies_that_do_not_fit_are_problems_that_name_the_field() {
    let server = Server::start(&[]);
    let path = "/api/v1/keys";
    let json = [("content-type", "application/json")];
    server.send("POST", path, &json, b"{\"name\": ").problem(400);
    server.send("POST", path, &json, b"").problem(400);
    server.send("POST", path, &[("content-type", "text/plain")], b"{}").problem(415);

    let details = server.post(path, &json!({"name": "a", "scopes": ["read", "fly"]})).problem(422);
    assert_eq!(details["field"], "scopes[1]");
    let details = server.post(path, &json!({"name": 3, "scopes": []})).problem(422);
    assert_eq!(details["field"], "name");
    let details = server.post(path, &json!({"name": "a", "scopes": []})).problem(422);
    assert!(details["detail"].as_str().unwrap().starts_with("scopes: "), "{details}");
    let details = server.post(path, &json!({"name": "a", "scope": []})).problem(422);
    assert!(details["detail"].as_str().unwrap().contains("scope"), "{details}");
}

#[test]
fn every_answer_has_security_headers_and_an_id() {
    let server = Server::start(&[]);
    for path in ["/livez", "/docs/", "/no/such/route"] {
        let answer = server.get(path);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(answer.header("content-security-policy").is_some(), "{path}");
        assert!(answer.header("x-request-id").is_some(), "{path}");
    }
    let given = server.send("GET", "/livez", &[("x-request-id", "mine-1")], b"");
    assert_eq!(given.header("x-request-id"), Some("mine-1"));
    let unfit = server.send("GET", "/livez", &[("x-request-id", "a b")], b"");
    assert_ne!(unfit.header("x-request-id"), Some("a b"));
}

#[cfg(unix)]
#[test]
fn each_request_is_a_line_of_json_in_the_log() {
    let mut server = Server::start(&[]);
    server.send("GET", "/livez", &[("x-request-id", "mine-1")], b"");
    server.stop();
    let log = server.log();
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let answered: Vec<Value> =
        lines.filter(|line: &Value| line["fields"]["message"] == "answered").collect();
    let [line] = &answered[..] else { panic!("{log}") };
    assert_eq!(line["fields"]["status"], 200);
    assert!(line["fields"]["seconds"].is_f64());
    let span = &line["spans"][0];
    assert_eq!(span["id"], "mine-1");
    assert_eq!((&span["method"], &span["route"]), (&json!("GET"), &json!("/livez")));
}
