//! Who may call from a page of another site: everyone on the original's route, nobody elsewhere.

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower_http::cors::{AllowHeaders, AllowMethods, Any, CorsLayer};

use super::Problem;

/// Lets any page call: for the original's route alone.
pub(super) fn open() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
}

/// Refuses what a page of another site sends to change something. Such a page cannot read the
/// answer, but a browser would carry a plain form or a request without a body to its end.
pub(super) async fn same_origin(request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe && !is_same_origin(request.uri(), request.headers()) {
        let detail = "pages of other sites may not change anything here; call this server from its \
                      own pages, or from a program";
        return Problem::new(StatusCode::FORBIDDEN, "cross-site", detail).into_response();
    }
    next.run(request).await
}

fn is_same_origin(uri: &Uri, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    // Browsers say it outright; a page cannot set the header.
    if text("sec-fetch-site").is_some_and(|site| matches!(site, "same-origin" | "none")) {
        return true;
    }
    match headers.get(ORIGIN) {
        None => text("sec-fetch-site").is_none(),
        Some(origin) => {
            let origin = origin.to_str().unwrap_or_default();
            let origin = origin.split_once("://").and_then(|(_, host)| host.parse().ok());
            origin.is_some() && origin == authority(uri, headers)
        }
    }
}

/// The host that was called: of the URI in HTTP/2, of the header otherwise.
pub(super) fn authority(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let named = || headers.get(HOST)?.to_str().ok()?.parse().ok();
    uri.authority().cloned().or_else(named)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::HeaderName;
    use axum::routing::post;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn open_routes_let_any_page_call() {
        let router = Router::new().route("/", post(|| async {})).layer(open());
        let request = |method: &str| {
            Request::builder()
                .method(method)
                .header(ORIGIN, "http://example.org")
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "content-type,x-csrftoken")
                .body(Body::empty())
                .unwrap()
        };
        let preflight = router.clone().oneshot(request("OPTIONS")).await.unwrap();
        let header = |name: &str| preflight.headers().get(name).unwrap().to_str().unwrap();
        assert_eq!(header("access-control-allow-origin"), "*");
        assert_eq!(header("access-control-allow-methods"), "POST");
        assert_eq!(header("access-control-allow-headers"), "content-type,x-csrftoken");
        let answer = router.oneshot(request("POST")).await.unwrap();
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    }

    #[test]
    fn origins() {
        let same = |headers: &[(&'static str, &str)]| {
            let headers = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            let mut headers: HeaderMap = headers.collect();
            headers.insert(HOST, "127.0.0.1:8000".parse().unwrap());
            is_same_origin(&Uri::from_static("/api/v1/jobs"), &headers)
        };
        assert!(same(&[]));
        assert!(same(&[("origin", "http://127.0.0.1:8000")]));
        assert!(same(&[("sec-fetch-site", "same-origin"), ("origin", "https://proxy.example")]));
        for origin in ["http://127.0.0.1:8001", "http://example.org", "null", ""] {
            assert!(!same(&[("origin", origin)]), "{origin}");
        }
        assert!(!same(&[("sec-fetch-site", "cross-site")]));
        assert!(!same(&[("sec-fetch-site", "same-site")]));
    }
}
