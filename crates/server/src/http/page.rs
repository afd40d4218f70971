//! The pages at `/` and `/admin/`: plain files in the binary, which use the native dialect.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use diffusion_jobs::artifacts::sha256;

use super::{AppState, Problem, Result};

/// What the page may load and do: its own files and this server, and nothing written into it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob: data:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
    frame-ancestors 'none'";

/// A file of the pages.
struct File {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! file {
    ($name:literal, $content_type:literal) => {
        File {
            name: $name,
            content_type: $content_type,
            text: include_str!(concat!("page/", $name)),
        }
    };
}

/// What pages are made of.
static PAGE: File = file!("index.html", "text/html; charset=utf-8");
static ADMIN: File = file!("admin.html", "text/html; charset=utf-8");
static PARTS: [File; 12] = [
    file!("style.css", "text/css; charset=utf-8"),
    file!("icon.svg", "image/svg+xml"),
    file!("admin.css", "text/css; charset=utf-8"),
    file!("admin.js", "text/javascript; charset=utf-8"),
    file!("app.js", "text/javascript; charset=utf-8"),
    file!("dom.js", "text/javascript; charset=utf-8"),
    file!("key.js", "text/javascript; charset=utf-8"),
    file!("api.js", "text/javascript; charset=utf-8"),
    file!("form.js", "text/javascript; charset=utf-8"),
    file!("stage.js", "text/javascript; charset=utf-8"),
    file!("recent.js", "text/javascript; charset=utf-8"),
    file!("taken.js", "text/javascript; charset=utf-8"),
];

/// The tag of each file: scripts import each other, so that all of them are of one version.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let all: Vec<&str> = [&PAGE, &ADMIN].into_iter().chain(&PARTS).map(|file| file.text).collect();
    format!("\"{}\"", &sha256(all.concat().as_bytes())[..16])
});

/// `GET /`, `GET /admin/`, and what they load.
pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { send(&PAGE, &headers) }))
        .route("/admin/", get(|headers: HeaderMap| async move { send(&ADMIN, &headers) }))
        .route("/admin", get(|| async { Redirect::to("/admin/") }))
        .route("/page/{name}", get(part))
}

async fn part(Path(name): Path<String>, headers: HeaderMap) -> Result<Response> {
    let file = PARTS.iter().find(|file| file.name == name);
    let file = file.ok_or_else(|| Problem::not_found(format!("the page has no file {name:?}")))?;
    Ok(send(file, &headers))
}

fn send(file: &File, asked: &HeaderMap) -> Response {
    let known = asked.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = match known.is_some_and(|known| known.contains(&**TAG)) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => file.text.into_response(),
    };
    let headers: [(HeaderName, &str); 4] = [
        (CONTENT_TYPE, file.content_type),
        // Asked for again each time, answered in full once for each version.
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (ETAG, &TAG),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
