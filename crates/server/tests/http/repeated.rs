//! `Idempotency-Key` on every route that makes or changes something.

use std::thread;

use serde_json::{Value, json};

use crate::jobs::{JOBS, asynchronous, begun, ended, long, path, small, submitted};
use crate::support::{Answer, Data, Server};

fn keyed(server: &Server, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [("content-type", "application/json"), ("idempotency-key", key)];
    server.send("POST", path, &headers, body.to_string().as_bytes())
}

/// A form with an image; the text between its parts is as the client likes.
fn upload(server: &Server, key: &str, between: &str, name: &str) -> Answer {
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(8, 8).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let mut body = format!(
        "--{between}\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n{name}\r\n\
         --{between}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n"
    )
    .into_bytes();
    body.extend(png.into_inner());
    body.extend(format!("\r\n--{between}--\r\n").bytes());
    let kind = format!("multipart/form-data; boundary={between}");
    server.send(
        "POST",
        "/api/v1/images",
        &[("content-type", &kind), ("idempotency-key", key)],
        &body,
    )
}

fn assert_same(first: &Answer, again: &Answer) {
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("content-type"), Some("application/json"));
}

#[test]
fn an_upload_is_added_once_and_answered_as_it_was() {
    let data = Data::new();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0"], &[]);
    let first = upload(&server, "k", "x", "cat");
    assert_eq!(first.status, 201, "{}", first.text());
    assert_same(&first, &upload(&server, "k", "another-boundary", "cat"));
    upload(&server, "k", "x", "dog").problem(409);
    keyed(&server, "/api/v1/models", "k", &json!({"owner": "a", "name": "b"})).problem(409);
    // At the same time, too.
    let answers: Vec<Answer> = thread::scope(|scope| {
        let asks: Vec<_> =
            (0..6).map(|_| scope.spawn(|| upload(&server, "l", "x", "zeppelin"))).collect();
        asks.into_iter().map(|ask| ask.join().unwrap()).collect()
    });
    answers.iter().for_each(|answer| assert_same(&answers[0], answer));
    let found = server.get("/api/v1/images?search=zeppelin").json();
    assert_eq!(found["images"].as_array().unwrap().len(), 1, "{found}");
    let files = std::fs::read_dir(data.path().join("images")).unwrap();
    assert_eq!(files.count(), 2, "no file without a row");

    // The row may have changed or gone since.
    let row = first.header("location").unwrap();
    assert_eq!(server.send("DELETE", row, &[], b"").status, 204);
    assert_same(&first, &upload(&server, "k", "x", "cat"));
    server.get(row).problem(404);
    drop(server);
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0"], &[]);
    assert_same(&first, &upload(&server, "k", "x", "cat"));
}

#[test]
fn a_model_is_made_known_once() {
    let server = Server::start(&[]);
    let asked = json!({"owner": "someone", "name": "something"});
    let first = keyed(&server, "/api/v1/models", "k", &asked);
    assert_eq!(first.status, 201, "{}", first.text());
    assert_same(&first, &keyed(&server, "/api/v1/models", "k", &asked));
    let other = json!({"owner": "someone", "name": "else"});
    keyed(&server, "/api/v1/models", "k", &other).problem(409);
    // What was refused was not carried out, and may be asked for in another way.
    keyed(&server, "/api/v1/models", "l", &asked).problem(409);
    assert_eq!(keyed(&server, "/api/v1/models", "l", &other).status, 201);
}

#[test]
fn a_key_is_made_once_and_shown_once() {
    let server = Server::start(&[]);
    let asked = json!({"name": "gallery", "scopes": ["read"]});
    let first = keyed(&server, "/api/v1/keys", "k", &asked);
    assert_eq!(first.status, 201, "{}", first.text());
    let refused = keyed(&server, "/api/v1/keys", "k", &asked).problem(409);
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.contains(first.json()["id"].as_str().unwrap()), "{detail}");
    assert!(!detail.contains("dsk_"), "{detail}");
    let keys = server.get("/api/v1/keys").json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "{keys}");
}

#[test]
fn a_repeated_cancel_does_not_cancel_what_was_tried_again() {
    let server = Server::start(&[]);
    let job = submitted(&server, &long(json!({})));
    let cancel = |key: &str| keyed(&server, &format!("{}/cancel", path(&job)), key, &json!({}));
    assert_eq!(cancel("k").json()["state"], "cancelled");
    let again = server.send("POST", &format!("{}/retry", path(&job)), &[], b"");
    assert_eq!(again.status, 202, "{}", again.text());
    begun(&server, &job, 1);
    let repeated = cancel("k");
    assert_eq!((repeated.status, &repeated.json()["state"]), (200, &json!("running")));
    assert_eq!(cancel("l").json()["state"], "cancelled");
    ended(&server, &job);
}

#[test]
fn a_repeated_replay_is_the_same_job() {
    let server = Server::start(&[]);
    let job = asynchronous(&server, JOBS, &small(json!({}))).json();
    let job = ended(&server, &job);
    let replay = || keyed(&server, &format!("{}/replay", path(&job)), "k", &json!({}));
    let first = replay();
    assert_eq!(first.status, 201, "{}", first.text());
    // Whatever became of the job that was replayed.
    assert_eq!(server.send("DELETE", &path(&job), &[], b"").status, 204);
    assert_same(&first, &replay());
    assert_eq!(server.get(JOBS).json()["jobs"].as_array().unwrap().len(), 1);
}
