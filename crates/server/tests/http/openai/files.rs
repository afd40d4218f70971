use serde_json::json;

use super::{GENERATIONS, made, quick, refused};
use crate::jobs::JOBS;
use crate::support::Server;

#[test]
fn an_address_that_was_changed_leads_nowhere() {
    let server = Server::start(&[]);
    let answer = made(&server.post(GENERATIONS, &quick(json!({"n": 2}))));
    let url = answer["data"][0]["url"].as_str().unwrap();
    let path = url.strip_prefix(&format!("http://{}", server.address())).unwrap();
    let good = server.get(path);
    assert_eq!(good.status, 200);
    assert!(good.header("cache-control").unwrap().contains("private"));
    let (bare, query) = path.split_once('?').unwrap();
    let expires = query.split('&').find_map(|part| part.strip_prefix("expires=")).unwrap();
    let later = (expires.parse::<i64>().unwrap() + 1).to_string();
    for forged in [
        bare.to_owned(),
        path.replace("/0.png", "/1.png"),
        path.replace("/0.png", "/0.jpg"),
        path.replace("quality=100", "quality=10"),
        path.replace(expires, &later),
        path.replace("signature=", "signature=A"),
        path.split_once("&signature").unwrap().0.to_owned(),
        path.replace("quality=100", "quality=0100"),
        path.replace("/0.png", "/+0.png"),
        path.replace("/0.png", "/0.PNG"),
        format!("{path}&more=1"),
    ] {
        assert_eq!(refused(&server.get(&forged), 403).1, "invalid_signature", "{forged}");
    }
    refused(&server.get(&path.replace("0.png", "0.exe")), 404);
    // What was deleted is gone, address or not.
    let job = format!("{JOBS}/{}", answer["job"].as_str().unwrap());
    assert_eq!(server.send("DELETE", &job, &[], b"").status, 204);
    refused(&server.get(path), 404);
}

#[test]
fn addresses_begin_as_a_proxy_was_called() {
    let server = Server::start(&[]);
    let headers = [
        ("content-type", "application/json"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "images.example"),
    ];
    let body = quick(json!({})).to_string();
    let answer = made(&server.send("POST", GENERATIONS, &headers, body.as_bytes()));
    let url = answer["data"][0]["url"].as_str().unwrap();
    assert!(url.starts_with("https://images.example/v1/images/files/"), "{url}");
}
