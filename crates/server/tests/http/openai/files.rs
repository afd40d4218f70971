use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use diffusion_jobs::database::Location;
use diffusion_jobs::{Database, Error};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use super::{GENERATIONS, made, quick, refused};
use crate::jobs::JOBS;
use crate::support::{Data, Server};

const SECRET: &str = "a secret of this test";

/// A folder of data whose server signs with [`SECRET`].
fn with_secret() -> Data {
    let data = Data::new();
    let location = Location::Sqlite(data.path().join("server.db"));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let database = Database::open(&location).await.unwrap();
        let keep = |_: &str| Ok::<_, Error>(SECRET.to_owned());
        database.change_setting("links-secret", keep).await.unwrap();
    });
    data
}

/// The address of a job's first image that was good until then.
fn signed(job: &str, expires: i64) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{job}/0.png/100/{expires}").as_bytes());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
    format!("/v1/images/files/{job}/0.png?quality=100&expires={expires}&signature={signature}")
}

#[test]
fn an_address_ends_with_its_hour() {
    let data = with_secret();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0"], &[]);
    let answer = made(&server.post(GENERATIONS, &quick(json!({}))));
    let job = answer["job"].as_str().unwrap();
    let url = answer["data"][0]["url"].as_str().unwrap();
    let expires = url.split_once("expires=").unwrap().1.split_once('&').unwrap().0;
    let expires: i64 = expires.parse().unwrap();
    let good = signed(job, expires);
    assert!(url.ends_with(&good), "{url} {good}");
    assert_eq!(server.get(&good).status, 200);
    assert_eq!(refused(&server.get(&signed(job, expires - 3601)), 403).1, "url_expired");
}

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
    let nowhere = server.get("/v1/images/files/x/0.png");
    refused(&nowhere, 404);
    assert!(
        nowhere.text().contains("/v1/images/files/x/0.png leads nowhere"),
        "{}",
        nowhere.text()
    );
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
