//! The whole URL map.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::v1::{images, jobs, keys, models, png_info};
use super::{
    AppState, Problem, body, cors, docs, guard, health, observe, openai, original, page, sdapi,
};

/// Every route, under the layers that all of them share.
pub(crate) fn router(state: AppState) -> Router {
    let (open, open_document) = open().split_for_parts();
    let (own, mut document) = own().split_for_parts();
    let (sdapi, sdapi_document) = sdapi::routes();
    document.merge(sdapi_document);
    document.merge(open_document);
    let limits = &state.config.server.limits;

    own.merge(sdapi)
        .merge(docs::page(&document))
        .merge(page::routes())
        .layer(from_fn(cors::same_origin))
        // Before its layer: what answers other methods answers preflights, which the layer allows.
        .merge(open.method_not_allowed_fallback(no_such_method).layer(cors::open()))
        .method_not_allowed_fallback(no_such_method)
        .fallback(no_such_route)
        .layer(from_fn_with_state(state.clone(), body::bound))
        .layer(DefaultBodyLimit::max(limits.body_bytes.bytes()))
        .layer(from_fn_with_state(state.clone(), guard::check_host))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(openai::shape))
        .layer(from_fn(sdapi::shape))
        .layer(from_fn_with_state(state.clone(), observe::observe))
        .with_state(state)
}

/// What pages of this server and programs may call.
fn own() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(docs::document())
        .routes(routes!(health::health_check))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
        .routes(routes!(jobs::read::list, jobs::create::create))
        .routes(routes!(jobs::read::get, jobs::actions::delete))
        .routes(routes!(jobs::actions::cancel))
        .routes(routes!(jobs::actions::retry))
        .routes(routes!(jobs::actions::replay))
        .routes(routes!(jobs::read::plan))
        .routes(routes!(jobs::events::events))
        .routes(routes!(jobs::files::image))
        .routes(routes!(jobs::files::output))
        .routes(routes!(images::list, images::add::add))
        .routes(routes!(images::get, images::edit, images::remove))
        .routes(routes!(images::content::content))
        .routes(routes!(png_info::png_info))
        .routes(routes!(models::list, models::add))
        .routes(routes!(models::get, models::edit, models::remove))
        .merge(openai::routes())
}

/// What pages of any site may call, as they may in the original.
fn open() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(original::initialize_diffusion))
}

async fn no_such_route(request: Request) -> Problem {
    Problem::not_found(format!("there is nothing at {}; see /docs", request.uri().path()))
}

async fn no_such_method(request: Request) -> Problem {
    let (method, path) = (request.method(), request.uri().path());
    let detail = format!("{path} knows no {method}; see /docs");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail)
}

/// A handler that panics costs its own request alone.
fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    Problem::internal(text.unwrap_or_else(|| "panic".into())).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing() {
        async fn handler() -> &'static str {
            panic!("a secret")
        }
        let router =
            Router::new().route("/", get(handler)).layer(CatchPanicLayer::custom(panicked));
        let response = router.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&body).contains("secret"));
    }
}
