//! API keys: when they are demanded, what they allow, how they are made and revoked.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::support::{Answer, Data, Server, execute};

/// The first key, which the server printed when it started.
fn first(server: &Server) -> String {
    let log = server.log();
    let key = log.lines().find(|line| line.starts_with("dsk_"));
    key.unwrap_or_else(|| panic!("{log}")).to_owned()
}

fn bearer(server: &Server, method: &str, path: &str, key: &str, body: &Value) -> Answer {
    let authorization = format!("Bearer {key}");
    let headers = [("authorization", &*authorization), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    server.send(method, path, &headers, body.as_bytes())
}

fn list(server: &Server, key: &str) -> Answer {
    bearer(server, "GET", "/api/v1/keys", key, &Value::Null)
}

#[test]
fn beyond_loopback_keys_are_demanded() {
    let data = Data::new();
    let everywhere = ["--bind", "0.0.0.0:0"];
    let server = Server::start_in(&data, &everywhere, &[]);
    let refused = server.get("/api/v1/keys");
    refused.problem(401);
    assert!(refused.header("www-authenticate").unwrap().starts_with("Bearer"));
    server.get("/metrics").problem(401);
    for path in ["/health_check", "/livez", "/readyz", "/docs/", "/openapi.json"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let key = first(&server);
    assert_eq!(list(&server, &key).status, 200);
    list(&server, "dsk_0").problem(401);
    list(&server, "").problem(401);

    // It is shown once: the database does not hold it.
    drop(server);
    let server = Server::start_in(&data, &everywhere, &[]);
    assert!(!server.log().contains("dsk_"), "{}", server.log());
    assert_eq!(list(&server, &key).status, 200);
    drop(server);
    for entry in std::fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap()) {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        assert!(!bytes.windows(key.len()).any(|part| part == key.as_bytes()), "{entry:?}");
    }

    // Unless the server is told not to, in so many words.
    let server = Server::start_in(
        &data,
        &[&everywhere[..], &["--allow-anonymous-beyond-loopback"]].concat(),
        &[],
    );
    assert_eq!(server.get("/api/v1/keys").status, 200);
    assert!(server.log().contains("everyone who can reach"), "{}", server.log());
}

#[test]
fn on_loopback_any_credential_is_accepted() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/api/v1/keys").status, 200);
    assert_eq!(list(&server, "sk-whatever").status, 200);
}

#[test]
fn a_key_is_sent_in_three_ways_and_allows_what_it_says() {
    let data = Data::new();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--demand-keys"], &[]);
    let admin = first(&server);
    let new = json!({"name": "reader", "scopes": ["read"]});
    let made = bearer(&server, "POST", "/api/v1/keys", &admin, &new);
    assert_eq!(made.status, 201, "{}", made.text());
    let key = made.json()["key"].as_str().unwrap().to_owned();
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("anyone:{key}")));
    let ways = [
        ("authorization", format!("Bearer {key}")),
        ("authorization", basic),
        ("x-api-key", key.clone()),
    ];
    for (name, value) in ways {
        let headers = [(name, &*value)];
        assert_eq!(server.send("GET", "/metrics", &headers, b"").status, 200, "{value}");
        let refused = server.send("GET", "/api/v1/keys", &headers, b"").problem(403);
        assert_eq!(refused["scope"], "admin");
    }

    let listed = list(&server, &admin).json();
    assert_eq!(listed["keys"][1]["name"], "reader");
    assert_eq!(listed["keys"][1]["scopes"], json!(["read"]));
    assert!(!listed.to_string().contains("dsk_"), "{listed}");
    assert!(!server.log().contains(&key), "a key is in the log");
}

#[test]
fn a_revoked_key_is_refused_beside_a_running_server() {
    let data = Data::new();
    let variables = [("DIFFUSION_SERVER_REQUESTS_PER_MINUTE", "0")];
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--demand-keys"], &variables);
    let cli = |args: &[&str]| {
        let output = execute(&[args, &["--data", data.as_str()]].concat(), &[]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let key = cli(&["keys", "create", "gallery", "--scope", "admin"]);
    assert_eq!(list(&server, &key).status, 200);
    let listed: Value = serde_json::from_str(&cli(&["keys", "list", "--json"])).unwrap();
    let id = listed[1]["id"].as_str().unwrap();
    assert_eq!(listed[1]["name"], "gallery");
    assert!(cli(&["keys", "list"]).contains("gallery"));
    cli(&["keys", "revoke", id]);
    assert!(cli(&["keys", "list"]).contains("revoked"));
    // Within the two seconds for which a key is remembered; asking is all that the wait consists of.
    let asked = std::time::Instant::now();
    while list(&server, &key).status == 200 {
        assert!(asked.elapsed().as_secs() < 30, "the key still holds");
    }
    list(&server, &key).problem(401);

    let output = execute(&["keys", "create", "x", "--scope", "fly", "--data", data.as_str()], &[]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_key_revoked_over_http_is_refused_at_once() {
    let data = Data::new();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--demand-keys"], &[]);
    let admin = first(&server);
    let new = json!({"name": "other", "scopes": ["admin"]});
    let made = bearer(&server, "POST", "/api/v1/keys", &admin, &new).json();
    let key = made["key"].as_str().unwrap();
    assert_eq!(list(&server, key).status, 200);
    let path = format!("/api/v1/keys/{}", made["id"].as_str().unwrap());
    let revoked = bearer(&server, "DELETE", &path, &admin, &Value::Null);
    assert_eq!(revoked.status, 200, "{}", revoked.text());
    assert!(revoked.json()["revoked_at"].is_string());
    list(&server, key).problem(401);
}

#[test]
fn a_key_over_its_rate_is_told_when_to_come_back() {
    let data = Data::new();
    let variables = [("DIFFUSION_SERVER_REQUESTS_PER_MINUTE", "3")];
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--demand-keys"], &variables);
    let key = first(&server);
    let answers: Vec<Answer> = (0..4).map(|_| list(&server, &key)).collect();
    assert!(answers[..3].iter().all(|answer| answer.status == 200));
    let details = answers[3].problem(429);
    let seconds: u64 = answers[3].header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    assert_eq!(details["retry_after"], seconds);
    assert_eq!(server.get("/livez").status, 200);
}
