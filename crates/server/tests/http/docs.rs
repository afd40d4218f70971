use std::collections::HashSet;
#[cfg(unix)]
use std::{fs, process::Command};

use serde_json::Value;

use crate::support::Server;

#[test]
fn the_page_and_what_it_loads_are_served() {
    let server = Server::start(&[]);
    let moved = server.get("/docs");
    assert_eq!((moved.status, moved.header("location")), (303, Some("/docs/")));
    let page = server.get("/docs/");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("swagger-ui"));
    for name in ["swagger-ui.css", "swagger-ui-bundle.js", "swagger-initializer.js"] {
        assert!(page.text().contains(name), "{name}");
        let part = server.get(&format!("/docs/{name}"));
        assert_eq!(part.status, 200, "{name}");
        assert!(!part.text().contains("cdn."), "{name} loads from elsewhere");
    }
    assert!(server.get("/docs/swagger-initializer.js").text().contains("/openapi.json"));
    // The page's scripts are files, which is all that its policy lets run.
    assert!(!page.text().contains("<script>"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
}

#[test]
fn the_document_describes_every_route() {
    let server = Server::start(&[]);
    let document = server.get("/openapi.json").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    assert!(document["components"]["securitySchemes"]["bearer"].is_object());
    for route in ["/health_check", "/livez", "/readyz", "/metrics", "/api/v1/keys"] {
        assert!(document["paths"][route].is_object(), "{route}");
    }
    let mut ids = HashSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let of = format!("{method} {path}: {operation}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{of}");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{of}");
            assert!(operation["responses"].as_object().is_some_and(|all| !all.is_empty()), "{of}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let is_ours = path.starts_with("/api/v1/") && parameter["in"] == "path";
                assert!(!is_ours || !parameter["example"].is_null(), "{of}");
            }
            let makes = |status: &str| operation["responses"][status].is_object();
            let makes = makes("201") || makes("202") || path.ends_with("/cancel");
            let is_named = operation.to_string().contains("Idempotency-Key");
            assert!(!makes || is_named || !path.starts_with("/api/v1/"), "{of}");
            // What is documented is there.
            let called = server.send(&method.to_uppercase(), &filled(path), &[], b"");
            let unknown = called.text().contains("there is nothing at");
            assert!(called.status != 405 && !unknown, "{of}");
        }
    }
    assert_references_resolve(&document, &document);
}

/// The path with its parameters filled in.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| match part.starts_with('{') {
        true => "00000000-0000-0000-0000-000000000000",
        false => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

fn assert_references_resolve(document: &Value, part: &Value) {
    match part {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let found = document.pointer(reference.trim_start_matches('#'));
                assert!(found.is_some(), "{reference}");
            }
            members.values().for_each(|value| assert_references_resolve(document, value));
        }
        Value::Array(items) => {
            items.iter().for_each(|value| assert_references_resolve(document, value));
        }
        _ => {}
    }
}

#[cfg(unix)]
#[test]
fn the_commands_of_the_page_on_clients_do_what_they_say() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/clients.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks = page.split("\n```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let blocks: Vec<&str> = blocks.collect();
    assert_eq!(blocks.len(), page.matches("\ncurl ").count());
    assert!(blocks.len() >= 2, "{blocks:?}");
    let server = Server::start(&[]);
    let place = format!("http://{}", server.address());
    // In place of what its user has set.
    let home = tempfile::TempDir::new().unwrap();
    let settings = "silent\nshow-error\nnoproxy = \"*\"\nwrite-out = \"\\n%{http_code}\"\n";
    fs::write(home.path().join(".curlrc"), settings).unwrap();
    for block in blocks {
        let here = block.replace("http://127.0.0.1:8000", &place);
        assert_ne!(here, block);
        let output =
            Command::new("sh").args(["-ec", &here]).env("CURL_HOME", home.path()).output().unwrap();
        assert!(output.status.success(), "{here} {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let (answer, status) = text.rsplit_once('\n').unwrap();
        assert_eq!(status, "200", "{here} {answer}");
        serde_json::from_str::<Value>(answer).unwrap();
    }
}
