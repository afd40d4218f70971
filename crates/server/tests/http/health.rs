use std::io::Read;
use std::time::Instant;

use serde_json::json;

use crate::jobs::{begun, long, only, sent};
use crate::support::{Data, PATIENCE, Server};

#[test]
fn health_check_is_the_originals() {
    let server = Server::start(&[]);
    let answer = server.get("/health_check");
    assert_eq!((answer.status, answer.text()), (200, r#"{"health":"ok"}"#));
    assert_eq!(server.get("/livez").status, 200);
}

#[test]
fn readiness_says_what_is_missing() {
    let (data, other) = (Data::new(), Data::new());
    let database = format!("sqlite://{}/server.db", other.as_str());
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--database", &database], &[]);
    let ready = server.get("/readyz");
    assert_eq!(ready.status, 200, "{}", ready.text());
    assert_eq!(ready.json()["ready"], true);

    // The worker makes files there as it starts.
    while server.get("/readyz").json()["checks"]["worker"] != "ok" {}
    std::fs::remove_dir_all(data.path().join("artifacts")).unwrap();
    // What was found a moment ago is remembered.
    let start = Instant::now();
    let ready = loop {
        let ready = server.get("/readyz");
        if ready.status != 200 {
            break ready;
        }
        assert!(start.elapsed() < PATIENCE, "{}", ready.text());
    };
    assert_eq!(ready.status, 503, "{}", ready.text());
    let answer = ready.json();
    assert_eq!(answer["ready"], false);
    assert_eq!(answer["checks"]["database"], "ok");
    assert_ne!(answer["checks"]["storage"], "ok");
    assert_eq!(answer["checks"]["models"], "ok");
    assert!(!data.path().join("artifacts").exists(), "nothing is made in its place");
}

#[test]
fn metrics_count_requests_by_route() {
    let server = Server::start(&[]);
    server.get("/livez");
    server.get("/livez");
    server.get("/no/such/route");
    let answer = server.get("/metrics");
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let text = answer.text();
    let counted = |labels: &str, count: u32| {
        let line = format!("diffusion_server_http_requests_total{{{labels}}} {count}\n");
        assert!(text.contains(&line), "{line} {text}");
    };
    counted(r#"route="/livez",method="GET",status="200""#, 2);
    counted(r#"route="unmatched",method="GET",status="404""#, 1);
    assert!(text.contains("diffusion_server_http_request_seconds_count"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[cfg(unix)]
#[test]
fn the_server_stops_when_it_is_told_to() {
    let mut server = Server::start(&[]);
    assert_eq!(server.get("/livez").status, 200);
    // A connection that stays open must not keep it.
    let _idle = server.connect();
    assert!(server.stop().success(), "{}", server.log());
}

#[cfg(unix)]
#[test]
fn those_who_wait_when_it_stops_are_told() {
    let mut server = Server::start(&[("DIFFUSION_SERVER_GRACE_SECONDS", "0")]);
    let mut client = sent(&server, "", &long(json!({})));
    let job = only(&server);
    begun(&server, &job, 1);
    assert!(server.stop().success(), "{}", server.log());
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains(job["id"].as_str().unwrap()), "{answer}");
    assert!(!server.log().contains("before their end"), "{}", server.log());
}
