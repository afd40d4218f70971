//! The pages at `/` and `/admin/`, as they are sent; what they do is tried in a browser (`tests/browser`).

use crate::support::Server;

#[test]
fn the_page_and_its_files_are_sent_and_known_again() {
    let server = Server::start(&[]);
    let moved = server.get("/admin");
    assert_eq!((moved.status, moved.header("location")), (303, Some("/admin/")));
    for path in ["/", "/admin/"] {
        its_files_are_sent(&server, path);
    }
    for import in ["api.js", "dom.js", "form.js", "key.js", "stage.js", "recent.js", "taken.js"] {
        let answer = server.get(&format!("/page/{import}"));
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
    }
    for other in
        ["/page/", "/page/none.js", "/page/..%2findex.html", "/page/index.html", "/admin/none"]
    {
        server.get(other).problem(404);
    }
}

fn its_files_are_sent(server: &Server, path: &str) {
    let page = server.get(path);
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    // Nothing in it is code, or from elsewhere.
    for word in ["<script>", " onclick", " style=", "http://", "https://"] {
        assert!(!page.text().contains(word), "{word}");
    }
    let files: Vec<&str> = page.text().split("\"/page/").skip(1).collect();
    assert!(files.len() >= 3);
    for file in files {
        let path = format!("/page/{}", file.split('"').next().unwrap());
        let answer = server.get(&path);
        assert_eq!(answer.status, 200, "{path}");
        let tag = answer.header("etag").unwrap();
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        let known = server.send("GET", &path, &[("if-none-match", tag)], b"");
        assert_eq!((known.status, known.body.len()), (304, 0), "{path}");
    }
}
