//! Calls by foreign names, and from pages of other sites.

use crate::support::{Data, Server};

/// The status of a request with this line and these headers.
fn status(server: &Server, line: &str, headers: &str) -> String {
    let answer = server.raw(&format!("{line} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"));
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn a_server_without_keys_answers_to_its_own_names_alone() {
    let variables = [("DIFFUSION_SERVER_HOSTS", "gen.example")];
    let server = Server::start(&variables);
    let called = |host: &str| status(&server, "GET /livez", &format!("Host: {host}\r\n"));
    for host in ["localhost:8000", "127.0.0.1", "[::1]:1", "gen.example", "GEN.example:443"] {
        assert_eq!(called(host), "200", "{host}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""] {
        assert_eq!(called(host), "421", "{host}");
    }
    let told = server.raw("GET /livez HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert!(told.contains("DIFFUSION_SERVER_HOSTS"), "{told}");
}

#[test]
fn a_server_with_keys_answers_to_any_name() {
    let data = Data::new();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0", "--demand-keys"], &[]);
    assert_eq!(status(&server, "GET /livez", "Host: gen.example\r\n"), "200");
}

#[test]
fn pages_of_other_sites_change_nothing() {
    let server = Server::start(&[]);
    let own = format!("http://{}", server.address());
    let made = |headers: &[(&str, &str)]| {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        let body = br#"{"name": "a", "scopes": ["read"]}"#;
        server.send("POST", "/api/v1/keys", &headers, body)
    };
    made(&[("origin", "http://evil.example")]).problem(403);
    made(&[("origin", "null")]).problem(403);
    made(&[("sec-fetch-site", "cross-site")]).problem(403);
    assert_eq!(made(&[]).status, 201);
    assert_eq!(made(&[("origin", &own)]).status, 201);

    // Nor do they read: no answer allows them to, and no preflight is granted.
    let origin = [("origin", "http://evil.example")];
    let read = server.send("GET", "/api/v1/keys", &origin, b"");
    assert_eq!(read.header("access-control-allow-origin"), None);
    let preflight = [origin[0], ("access-control-request-method", "POST")];
    for path in ["/api/v1/keys", "/livez", "/no/such/route"] {
        let answer = server.send("OPTIONS", path, &preflight, b"");
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), None, "{path}");
    }
}
