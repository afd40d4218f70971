//! Whose jobs are seen by whom.

use serde_json::{Value, json};

use super::{JOBS, path, small};
use crate::support::{Data, Server};

#[test]
fn a_job_is_its_keys_and_the_administrators() {
    let data = Data::new();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--demand-keys"], &[]);
    let log = server.log();
    let admin = log.lines().find(|line| line.starts_with("dsk_")).unwrap();
    let [mine, other] = ["mine", "other"].map(|name| {
        let body = json!({"name": name, "scopes": ["read", "generate"]});
        let made = server.call(admin, "POST", "/api/v1/keys", &body);
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["key"].as_str().unwrap().to_owned()
    });
    server.post(JOBS, &small(json!({}))).problem(401);
    let job = server.call(&mine, "POST", JOBS, &small(json!({}))).json();
    assert_eq!(job["state"], "succeeded", "{job}");
    let (id, name) = (job["id"].as_str().unwrap(), job["images"][0]["name"].as_str().unwrap());
    let reads = [
        path(&job),
        format!("{}/plan", path(&job)),
        format!("{}/events", path(&job)),
        format!("{}/images/0", path(&job)),
        format!("/outputs/{id}/{name}"),
    ];
    for read in &reads {
        server.call(&other, "GET", read, &Value::Null).problem(404);
        for key in [&*mine, admin] {
            assert_eq!(server.call(key, "GET", read, &Value::Null).status, 200, "{read}");
        }
    }
    for action in ["cancel", "retry", "replay"] {
        let action = format!("{}/{action}", path(&job));
        server.call(&other, "POST", &action, &Value::Null).problem(404);
    }
    server.call(&other, "DELETE", &path(&job), &Value::Null).problem(404);
    let listed = |key: &str| {
        let list = server.call(key, "GET", JOBS, &Value::Null).json();
        list["jobs"].as_array().unwrap().len()
    };
    assert_eq!([listed(&mine), listed(&other), listed(admin)], [1, 0, 1]);

    // Keys of requests are each owner's own.
    let keyed = |key: &str| {
        let authorization = format!("Bearer {key}");
        let headers = [
            ("authorization", &*authorization),
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
        ];
        server.send("POST", JOBS, &headers, small(json!({})).to_string().as_bytes()).json()
    };
    assert_ne!(keyed(&mine)["id"], keyed(&other)["id"]);
}
