//! Keys over HTTP Basic, and what belongs to each.

use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{long, refusal, route, small, with_models};
use crate::support::{Answer, Data, PATIENCE, Server};

/// Calls with a key as the password, as clients of this dialect do.
fn call(server: &Server, key: &str, method: &str, path: &str, body: &Value) -> Answer {
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("anyone:{key}")));
    let headers = [("authorization", &*basic), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    server.send(method, path, &headers, body.as_bytes())
}

#[test]
fn each_key_has_its_own_options_and_calls() {
    let data = Data::new();
    let server = with_models(&data, &["--demand-keys"]);
    let log = server.log();
    let admin = log.lines().find(|line| line.starts_with("dsk_")).unwrap();
    let key = |name: &str, scopes: Value| {
        let body = json!({"name": name, "scopes": scopes});
        let made = call(&server, admin, "POST", "/api/v1/keys", &body);
        made.json()["key"].as_str().unwrap().to_owned()
    };
    let (mine, other) = (key("mine", json!(["generate"])), key("other", json!(["generate"])));
    let reader = key("reader", json!(["read"]));

    let anonymous = server.get(&route("options"));
    assert!(refusal(&anonymous, 401).contains("the password of HTTP Basic"));
    assert!(anonymous.header("www-authenticate").unwrap().starts_with("Basic"));
    refusal(&call(&server, "dsk_0", "GET", &route("options"), &Value::Null), 401);
    let get = |key: &str, name: &str| call(&server, key, "GET", &route(name), &Value::Null);
    for name in ["options", "sd-models", "samplers", "progress", "memory"] {
        assert_eq!(get(&reader, name).status, 200, "{name}");
    }
    for (name, body) in
        [("txt2img", small(json!({}))), ("options", json!({})), ("interrupt", Value::Null)]
    {
        refusal(&call(&server, &reader, "POST", &route(name), &body), 403);
    }

    // Who switches the model switches it for themselves.
    let models = get(&mine, "sd-models").json();
    let second = json!({"sd_model_checkpoint": models[1]["title"]});
    assert_eq!(call(&server, &mine, "POST", &route("options"), &second).status, 200);
    let model = |key: &str| get(key, "options").json()["sd_model_checkpoint"].clone();
    assert_eq!(model(&mine), models[1]["title"]);
    assert_eq!(model(&other), models[0]["title"]);

    // Others neither see nor interrupt what runs.
    let body = long(json!({"force_task_id": "mine"}));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| call(&server, &mine, "POST", &route("txt2img"), &body));
        let start = std::time::Instant::now();
        while get(&mine, "progress").json()["state"]["sampling_step"] == 0 {
            assert!(start.elapsed() < PATIENCE);
        }
        let idle = get(&other, "progress").json();
        assert_eq!((&idle["progress"], &idle["state"]["job_count"]), (&json!(0.0), &json!(0)));
        let task = json!({"id_task": "mine"});
        let seen = |key: &str| call(&server, key, "POST", "/internal/progress", &task).json();
        assert_eq!(
            (&seen(&mine)["active"], &seen(&other)["active"]),
            (&json!(true), &json!(false))
        );
        let interrupt = |key: &str| call(&server, key, "POST", &route("interrupt"), &Value::Null);
        assert_eq!(interrupt(&other).text(), "{}");
        assert_eq!(get(&mine, "progress").json()["state"]["job_count"], 1);
        assert_eq!(interrupt(&mine).text(), "{}");
        assert_eq!(waiting.join().unwrap().status, 200);
    });
}
