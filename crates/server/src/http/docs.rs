//! The OpenAPI document and its page: what is common to all routes.

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, OpenApi};
use utoipa::{Modify, OpenApi as _};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::AppState;
use super::error::Details;
use super::openai;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "diffusion-server",
        description = "Stable Diffusion on a machine of your own.\n\n\
            Errors are problem details (RFC 9457), unless a route says otherwise. A server that \
            demands API keys takes them as `Authorization: Bearer KEY`, as the password of HTTP \
            Basic, or as `X-API-Key: KEY`; others accept any credential."
    ),
    components(schemas(Details, openai::Refusal)),
    modifiers(&Security),
    security((), ("bearer" = []), ("basic" = []), ("key" = [])),
    tags(
        (name = "openai", description = "OpenAI's Images API, for its clients; errors have its shape"),
        (name = "original", description = "What the first diffusion-server offered"),
        (name = "jobs", description = "Making images"),
        (name = "sdapi", description = "AUTOMATIC1111's API, for programs that speak it"),
        (name = "images", description = "The images that jobs draw from"),
        (name = "models", description = "The models that jobs draw with"),
        (name = "keys", description = "API keys"),
        (name = "health", description = "Whether the server works"),
    )
)]
struct Document;

struct Security;

impl Modify for Security {
    fn modify(&self, document: &mut OpenApi) {
        let http = |scheme| SecurityScheme::Http(HttpBuilder::new().scheme(scheme).build());
        let header = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
        let components =
            document.components.take().unwrap_or_else(|| ComponentsBuilder::new().build());
        let mut components = components;
        components.add_security_scheme("bearer", http(HttpAuthScheme::Bearer));
        components.add_security_scheme("basic", http(HttpAuthScheme::Basic));
        components.add_security_scheme("key", header);
        document.components = Some(components);
    }
}

/// The document before any route has added itself.
pub(super) fn document() -> OpenApi {
    Document::openapi()
}

/// `GET /openapi.json` and `GET /docs`, for the whole document: written once, for it is large.
pub(super) fn page(document: &OpenApi) -> Router<AppState> {
    let json = Bytes::from(document.to_json().expect("a document of plain values"));
    let config = Config::from("/openapi.json");
    let config = config.try_it_out_enabled(true).display_request_duration(true);
    Router::from(SwaggerUi::new("/docs").config(config)).route(
        "/openapi.json",
        get(move || async move { ([(CONTENT_TYPE, "application/json")], json) }),
    )
}
