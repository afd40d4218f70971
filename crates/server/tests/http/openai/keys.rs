use serde_json::{Value, json};

use super::{EDITS, GENERATIONS, made, quick, refused};
use crate::support::{Data, Server};

#[test]
fn a_key_is_demanded_and_must_allow_it() {
    let data = Data::new();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--demand-keys"], &[]);
    let log = server.log();
    let admin = log.lines().find(|line| line.starts_with("dsk_")).unwrap();
    for (method, path) in [("POST", GENERATIONS), ("POST", EDITS), ("GET", "/v1/models")] {
        let stranger = server.call("sk-wrong", method, path, &Value::Null);
        assert_eq!(refused(&stranger, 401).1, "invalid_api_key");
        assert!(stranger.header("www-authenticate").is_some());
        refused(&server.send(method, path, &[], b""), 401);
    }
    let reader = json!({"name": "reader", "scopes": ["read"]});
    let reader = server.call(admin, "POST", "/api/v1/keys", &reader).json();
    let reader = reader["key"].as_str().unwrap();
    assert_eq!(server.call(reader, "GET", "/v1/models", &Value::Null).status, 200);
    let refusal = refused(&server.call(reader, "POST", GENERATIONS, &quick(json!({}))), 403);
    assert_eq!(refusal.1, "insufficient_permissions");

    let answer = made(&server.call(admin, "POST", GENERATIONS, &quick(json!({}))));
    // The file needs no key.
    let url = answer["data"][0]["url"].as_str().unwrap();
    let path = url.strip_prefix(&format!("http://{}", server.address())).unwrap();
    assert_eq!(server.get(path).status, 200);
    let job = format!("/api/v1/jobs/{}/images/0", answer["job"].as_str().unwrap());
    server.get(&job).problem(401);
}

#[test]
fn a_key_over_its_rate_is_told_when_to_come_back() {
    let data = Data::new();
    let variables = [("DIFFUSION_SERVER_REQUESTS_PER_MINUTE", "1")];
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--demand-keys"], &variables);
    let log = server.log();
    let key = log.lines().find(|line| line.starts_with("dsk_")).unwrap();
    assert_eq!(server.call(key, "GET", "/v1/models", &Value::Null).status, 200);
    let over = server.call(key, "GET", "/v1/models", &Value::Null);
    assert_eq!(refused(&over, 429).1, "rate_limit_exceeded");
    assert!(over.header("retry-after").unwrap().parse::<u64>().unwrap() > 0);
}

#[test]
fn without_keys_any_credential_is_accepted() {
    let server = Server::start(&[]);
    made(&server.call("sk-anything", "POST", GENERATIONS, &quick(json!({}))));
}
