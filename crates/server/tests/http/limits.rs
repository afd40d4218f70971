//! What clients cannot do to the server.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use crate::support::Server;

/// Reads until the server closes the connection.
fn read_to_end(mut socket: TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is cut may end with a reset.
    match socket.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn large_bodies_and_headers_are_refused() {
    let server = Server::start(&[("DIFFUSION_SERVER_BODY_BYTES", "1KB")]);
    let name = "x".repeat(2000);
    server.post("/api/v1/keys", &json!({"name": name, "scopes": ["read"]})).problem(413);
    let fits = json!({"name": "x", "scopes": ["read"]});
    assert_eq!(server.post("/api/v1/keys", &fits).status, 201);

    let header = "x".repeat(40_000);
    let answer =
        server.raw(&format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX: {header}\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[test]
fn a_body_that_is_left_unread_closes_its_connection() {
    let server = Server::start(&[]);
    let head = "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n";
    // The body never comes, and the answer does not wait for it.
    let refused = server.raw(&format!("{head}Content-Type: text/plain\r\n\r\n"));
    assert!(refused.starts_with("HTTP/1.1 415 "), "{refused}");
    assert!(refused.contains("\r\nconnection: close\r\n"), "{refused}");
    let read = server.post("/api/v1/jobs", &json!({}));
    assert_eq!((read.status, read.header("connection")), (422, None));
}

#[test]
fn slow_headers_are_cut_while_others_are_served() {
    let server = Server::start(&[("DIFFUSION_SERVER_IDLE_SECONDS", "1")]);
    let slow: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut socket = server.connect();
            if number % 2 == 0 {
                socket.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").unwrap();
            }
            socket
        })
        .collect();
    assert_eq!(server.get("/health_check").status, 200);
    for socket in slow {
        assert!(!read_to_end(socket).starts_with("HTTP/1.1 2"));
    }
    assert_eq!(server.get("/health_check").status, 200);
}

#[test]
fn those_who_say_nothing_make_room() {
    let server = Server::start(&[("DIFFUSION_SERVER_CONNECTIONS", "8")]);
    let mut silent: Vec<TcpStream> = (0..40).map(|_| server.connect()).collect();
    for _ in 0..9 {
        let answer =
            server.raw("GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    // The first who came went first.
    assert_eq!(read_to_end(silent.remove(0)), "");
}

#[test]
fn slow_bodies_are_cut() {
    let server = Server::start(&[("DIFFUSION_SERVER_BODY_SECONDS", "1")]);
    let answer = server.raw(
        "POST /api/v1/keys HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\nConnection: close\r\n\r\n{\"name\": ",
    );
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
}

#[test]
fn nonsense_does_not_stop_the_server() {
    let server = Server::start(&[]);
    for bytes in [
        "\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nxxxxxxxxxxxx",
    ] {
        let mut socket = server.connect();
        socket.write_all(bytes.as_bytes()).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        read_to_end(socket);
    }
    assert_eq!(server.get("/health_check").status, 200);
}
