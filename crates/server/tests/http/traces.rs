//! Traces reach the collector that is configured, as part of the caller's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::jobs::{made, small};
use crate::support::Server;

/// Head and body of what an exporter sends; it is answered.
fn received(socket: TcpStream) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(socket);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    reader.get_mut().write_all(answer).unwrap();
    (head, body)
}

fn holds(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[cfg(unix)]
#[test]
fn a_request_is_a_span_of_its_callers_trace() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let received = std::thread::spawn(move || received(collector.accept().unwrap().0));

    let mut server = Server::start(&[("DIFFUSION_SERVER_OTLP_ENDPOINT", &endpoint)]);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    server.send("GET", "/livez", &[("traceparent", parent)], b"");
    assert!(server.stop().success(), "{}", server.log());

    let (head, body) = received.join().unwrap();
    assert!(head.starts_with("POST /v1/traces "), "{head}");
    let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
    let caller = 0xb7ad_6b71_6920_3331_u64.to_be_bytes();
    assert!(holds(&body, &trace) && holds(&body, &caller), "{}", String::from_utf8_lossy(&body));
    assert!(holds(&body, b"GET /livez") && holds(&body, b"diffusion-server"));
}

#[cfg(unix)]
#[test]
fn the_making_of_an_image_is_traced() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = bodies.clone();
    std::thread::spawn(move || {
        for socket in collector.incoming() {
            kept.lock().unwrap().push(received(socket.unwrap()).1);
        }
    });
    let mut server = Server::start(&[("DIFFUSION_SERVER_OTLP_ENDPOINT", &endpoint)]);
    let job = made(&server, &small(json!({})));
    assert!(server.stop().success(), "{}", server.log());
    let id = job["id"].as_str().unwrap().as_bytes();
    let bodies = bodies.lock().unwrap();
    let of_worker = bodies.iter().find(|body| holds(body, b"publish") && holds(body, id));
    let of_worker = of_worker.expect("the worker's spans, with the job");
    for part in ["image", "compute", "model", job["images"][0]["model"].as_str().unwrap()] {
        assert!(holds(of_worker, part.as_bytes()), "{part}");
    }
}

#[test]
fn a_collector_is_called_without_tls() {
    let output = crate::support::execute(
        &["serve", "--bind", "127.0.0.1:0"],
        &[("DIFFUSION_SERVER_OTLP_ENDPOINT", "https://me:secret@collector.example")],
    );
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("telemetry.otlp_endpoint: https://me:***@"), "{message}");
}
