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
fn there_is_no_file_before_its_image_is_made() {
    let server = Server::start(&[]);
    let job = submitted(&server, &long(json!({})));
    for index in ["0", "1", "-1", "x", "9999999999"] {
        server.get(&format!("{}/images/{index}", path(&job))).problem(404);
    }
    server.get(&format!("/outputs/{}/none.png", job["id"].as_str().unwrap())).problem(404);
    server.send("POST", &format!("{}/cancel", path(&job)), &[], b"");
}
