//! `/api/v1/images`

use serde_json::{Value, json};

use crate::support::{Answer, Data, Server};

const IMAGES: &str = "/api/v1/images";

/// A small PNG.
pub(crate) fn png() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(8, 8).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// Sends a form; a field whose name holds a file name is a file.
pub(crate) fn upload(server: &Server, fields: &[(&str, &[u8])]) -> Answer {
    let mut body = Vec::new();
    for (name, value) in fields {
        let name = name.replace('@', "\"; filename=\"");
        body.extend(
            format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").bytes(),
        );
        body.extend_from_slice(value);
        body.extend(b"\r\n");
    }
    body.extend(b"--x--\r\n");
    server.send("POST", IMAGES, &[("content-type", "multipart/form-data; boundary=x")], &body)
}

fn patch(server: &Server, path: &str, body: &Value) -> Answer {
    let json = [("content-type", "application/json")];
    server.send("PATCH", path, &json, body.to_string().as_bytes())
}

#[test]
fn the_samples_are_listed_in_pages_and_fetched() {
    let server = Server::start(&[]);
    let all = server.get(IMAGES).json();
    let all = all["images"].as_array().unwrap();
    assert!(all.len() >= 10 && all.iter().all(|image| image["available"] == true), "{all:?}");

    let mut seen = Vec::new();
    let mut path = format!("{IMAGES}?limit=7");
    loop {
        let page = server.get(&path).json();
        seen.extend(page["images"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{IMAGES}?limit=7&cursor={next}");
    }
    assert_eq!(&seen, all);

    let cats = server.get(&format!("{IMAGES}?search=CAT")).json();
    let cat = &cats["images"][0];
    assert!(cat["name"].as_str().unwrap().contains("cat"), "{cats}");
    let one = server.get(&format!("{IMAGES}/{}", cat["id"].as_str().unwrap()));
    assert_eq!(&one.json(), cat);
    let content = server.get(cat["content"].as_str().unwrap());
    assert!(content.header("content-type").unwrap().starts_with("image/"));
    image::load_from_memory(&content.body).unwrap();

    let details = server.get(&format!("{IMAGES}?limit=0")).problem(422);
    assert!(details["detail"].as_str().unwrap().starts_with("limit: "), "{details}");
    server.get(&format!("{IMAGES}?cursor=x")).problem(422);
    server.get(&format!("{IMAGES}?limit=many")).problem(422);
    server.get(&format!("{IMAGES}/00000000-0000-0000-0000-000000000000")).problem(404);
    server.get(&format!("{IMAGES}/00000000-0000-0000-0000-000000000000/content")).problem(404);
}

#[test]
fn an_upload_is_there_at_once_and_after_a_restart() {
    let data = Data::new();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0"], &[]);
    let made = upload(
        &server,
        &[
            ("file@../cat ü.png", &png()),
            ("owner", b"me"),
            ("description", b"a cat"),
            ("meta", b"{\"k\": 1}"),
        ],
    );
    assert_eq!(made.status, 201, "{}", made.text());
    let image = made.json();
    assert_eq!((&image["owner"], &image["meta"]["k"]), (&json!("me"), &json!(1)));
    assert_eq!((&image["available"], &image["description"]), (&json!(true), &json!("a cat")));
    let path = made.header("location").unwrap().to_owned();
    assert_eq!(path, format!("{IMAGES}/{}", image["id"].as_str().unwrap()));
    let file = data.path().join("images").join(image["path"].as_str().unwrap());
    assert!(file.is_file());
    drop(server);

    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0"], &[]);
    assert_eq!(server.get(&path).json(), image);
    let content = server.get(image["content"].as_str().unwrap());
    assert_eq!(content.header("content-type"), Some("image/png"));
    assert_eq!(content.body, png());

    assert_eq!(server.send("DELETE", &path, &[], b"").status, 204);
    assert!(!file.exists(), "its file goes with it");
    server.get(&path).problem(404);
    server.send("DELETE", &path, &[], b"").problem(404);
}

#[test]
fn uploads_that_are_no_images_are_refused_and_not_kept() {
    let data = Data::new();
    let server = Server::start_in(&data, &["--bind", "127.0.0.1:0"], &[]);
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>";
    for (fields, field) in [
        (vec![("file@a.svg", &svg[..])], "file"),
        (vec![("file@a.png", &b""[..])], "file"),
        (vec![("owner", &b"me"[..])], "file"),
        (vec![("file@a.png", &png()[..]), ("meta", b"[]")], "meta"),
        (vec![("file@a.png", &png()[..]), ("size", b"1")], "size"),
    ] {
        assert_eq!(upload(&server, &fields).problem(422)["field"], field);
    }
    let long = "x".repeat(256);
    let details =
        upload(&server, &[("file@a.png", &png()), ("name", long.as_bytes())]).problem(422);
    assert!(details["detail"].as_str().unwrap().starts_with("name: "), "{details}");
    let twice = [("file@a.png", &png()[..]), ("name", b"a.png")];
    assert_eq!(upload(&server, &twice).status, 201);
    upload(&server, &twice).problem(409);
    let kept = std::fs::read_dir(data.path().join("images")).unwrap().count();
    assert_eq!(kept, 1, "nothing is kept without a row");
    let form = [("content-type", "multipart/form-data; boundary=x")];
    server.send("POST", IMAGES, &form, b"--x\r\nno form").problem(400);
    server.send("POST", IMAGES, &[("content-type", "multipart/form-data")], b"x").problem(400);
    server.send("POST", IMAGES, &[("content-type", "text/plain")], b"x").problem(415);
}

#[test]
fn paths_are_looked_up_below_the_folders_of_images_alone() {
    let (data, more) = (Data::new(), Data::new());
    std::fs::create_dir(more.path().join("cats")).unwrap();
    std::fs::write(more.path().join("cats/tom.png"), png()).unwrap();
    std::fs::write(more.path().join("cats/no.png"), "no image").unwrap();
    std::fs::write(data.path().join("secret.png"), png()).unwrap();
    let args = ["--bind", "127.0.0.1:0", "--images-dir", more.as_str()];
    let server = Server::start_in(&data, &args, &[]);
    let made = server.post(IMAGES, &json!({"path": "cats/tom.png"}));
    assert_eq!(made.status, 201, "{}", made.text());
    let image = made.json();
    assert_eq!((&image["name"], &image["owner"]), (&json!("tom.png"), &json!("LEONARDO_AI")));

    let secret = data.path().join("secret.png").display().to_string();
    for path in ["../secret.png", &secret, "/etc/passwd", "cats/no.png", "cats", "none.png"] {
        let details = server.post(IMAGES, &json!({"path": path, "name": path})).problem(422);
        assert_eq!(details["field"], "path", "{path}");
    }
    let of = format!("{IMAGES}/{}", image["id"].as_str().unwrap());
    assert_eq!(patch(&server, &of, &json!({"path": secret})).problem(422)["field"], "path");
    assert_eq!(server.get(&of).json(), image);

    // What goes away is told, and kept.
    std::fs::remove_file(more.path().join("cats/tom.png")).unwrap();
    let gone = server.get(&of).json();
    assert_eq!(gone["available"], false);
    assert!(gone["unavailable_because"].is_string(), "{gone}");
    server.get(image["content"].as_str().unwrap()).problem(404);
}

#[test]
fn rows_are_changed_in_part() {
    let server = Server::start(&[]);
    let image = upload(&server, &[("file@a.png", &png()), ("description", b"old")]).json();
    let of = format!("{IMAGES}/{}", image["id"].as_str().unwrap());
    let renamed = patch(&server, &of, &json!({"name": "b.png"})).json();
    assert_eq!((&renamed["name"], &renamed["description"]), (&json!("b.png"), &json!("old")));
    assert_eq!(renamed["path"], image["path"]);
    let cleared = patch(&server, &of, &json!({"description": null, "meta": {"k": 1}})).json();
    assert_eq!((&cleared["description"], &cleared["meta"]), (&Value::Null, &json!({"k": 1})));
    assert_eq!(server.get(&of).json(), cleared);

    patch(&server, &of, &json!({"name": ""})).problem(422);
    assert_eq!(patch(&server, &of, &json!({"meta": []})).problem(422)["field"], "meta");
    patch(&server, &of, &json!({"nam": "x"})).problem(422);
    upload(&server, &[("file@c.png", &png())]);
    patch(&server, &of, &json!({"name": "c.png"})).problem(409);
    patch(&server, &format!("{IMAGES}/no-id"), &json!({})).problem(404);
}
