//! The files of a job's images.

use serde_json::json;

use super::{long, made, path, small, submitted};
use crate::support::Server;

#[test]
fn a_file_is_known_by_its_hash() {
    let server = Server::start(&[]);
    let job = made(&server, &small(json!({})));
    let image = &job["images"][0];
    let url = image["url"].as_str().unwrap();
    let file = server.get(url);
    let tag = format!("\"{}\"", image["sha256"].as_str().unwrap());
    assert_eq!(file.header("etag"), Some(&*tag));
    assert!(file.header("cache-control").unwrap().contains("immutable"));
    let disposition = format!("inline; filename=\"{}\"", image["name"].as_str().unwrap());
    assert_eq!(file.header("content-disposition"), Some(&*disposition));

    let known = |tag: &str| server.send("GET", url, &[("if-none-match", tag)], b"");
    let listed = format!("\"other\", W/{tag}");
    for tag in [&*tag, &listed, "*"] {
        let answer = known(tag);
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{tag}");
        assert_eq!(answer.header("etag"), file.header("etag"));
    }
    let other = known("\"other\"");
    assert_eq!((other.status, &other.body), (200, &file.body));

    let by_name =
        format!("/outputs/{}/{}", job["id"].as_str().unwrap(), image["name"].as_str().unwrap());
    assert_eq!(server.get(&by_name).body, file.body);
    let head = server.send("HEAD", url, &[], b"");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some(&*file.body.len().to_string()))
    );
}

#[test]
fn a_file_comes_in_the_format_that_is_asked_for() {
    let server = Server::start(&[]);
    let job = made(&server, &small(json!({})));
    let image = &job["images"][0];
    let url = image["url"].as_str().unwrap();
    let name = image["name"].as_str().unwrap().strip_suffix(".png").unwrap();
    let png = server.get(&format!("{url}?format=png"));
    assert_eq!(png.body, server.get(url).body);
    let pixels = |body: &[u8]| image::load_from_memory(body).unwrap().to_rgb8();
    for (format, ending) in [("jpeg", "jpg"), ("jpg", "jpg"), ("webp", "webp")] {
        let ask = |quality: &str| server.get(&format!("{url}?format={format}{quality}"));
        let file = ask("");
        assert_eq!(file.status, 200);
        let disposition = format!("inline; filename=\"{name}.{ending}\"");
        assert_eq!(file.header("content-disposition"), Some(&*disposition));
        assert_eq!(pixels(&file.body).dimensions(), (64, 64));
        assert!(ask("&quality=10").body.len() < file.body.len());
        let tag = file.header("etag").unwrap();
        assert_ne!(Some(tag), png.header("etag"));
        assert_ne!(ask("&quality=10").header("etag"), Some(tag));
        let path = format!("{url}?format={format}");
        let known = server.send("GET", &path, &[("if-none-match", tag)], b"");
        assert_eq!((known.status, known.body.len()), (304, 0));
    }
    for (query, field) in
        [("format=gif", "format"), ("quality=101", "quality"), ("quality=x", "quality")]
    {
        let details = server.get(&format!("{url}?{query}")).problem(422);
        assert_eq!(details["field"], field);
    }
}

#[test]
fn there_is_no_file_before_its_image_is_made() {
    let server = Server::start(&[]);
    let job = submitted(&server, &long(json!({})));
    for index in ["0", "1", "-1", "x", "9999999999"] {
        server.get(&format!("{}/images/{index}", path(&job))).problem(404);
    }
    server.get(&format!("/outputs/{}/none.png", job["id"].as_str().unwrap())).problem(404);
    server.send("POST", &format!("{}/cancel", path(&job)), &[], b"");
}
