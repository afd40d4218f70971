//! `GET /api/v1/images/{id}/content`: the encoded image as it is.

use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::aside;
use crate::dataset::Pictures;
use crate::http::auth::Read;
use crate::http::extract::Path;
use crate::http::{AppState, Problem, Problems, Result};

/// Fetch an image of the data set, as it is stored
#[utoipa::path(
    get,
    path = "/api/v1/images/{id}/content",
    operation_id = "get_image_content",
    tag = "images",
    params(("id" = Uuid, Path, description = "The image",
        example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90")),
    responses(
        (status = 200, description = "The encoded image", content(
            (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/webp"),
            (Vec<u8> = "image/gif"), (Vec<u8> = "image/bmp"), (Vec<u8> = "image/tiff"),
            (Vec<u8> = "application/octet-stream"),
        )),
        Problems
    )
)]
pub(in crate::http) async fn content(
    State(state): State<AppState>,
    _: Read,
    Path(id): Path<Uuid>,
) -> Result<Response> {
    let image = state.database.images().get(id).await?;
    let pictures = Pictures::new(&state.config.storage);
    let bytes = aside(move || {
        let picture = pictures
            .find(&image.path)
            .map_err(|why| Problem::not_found(format!("image {id} is not available: {why}")))?;
        picture.read().map_err(Problem::internal)
    })
    .await??;
    let headers: [(HeaderName, &str); 2] =
        [(CONTENT_TYPE, media_type(&bytes)), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    Ok((headers, bytes).into_response())
}

/// The type of an image by its first bytes: those of the formats that are decoded.
fn media_type(bytes: &[u8]) -> &'static str {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "image/webp",
        [b'G', b'I', b'F', b'8', ..] => "image/gif",
        [b'B', b'M', ..] => "image/bmp",
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => "image/tiff",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded;

    #[test]
    fn the_samples_are_of_the_types_that_they_are_called() {
        for (name, bytes) in embedded::SAMPLES {
            let ending = name.rsplit('.').next().unwrap().replace("jpg", "jpeg");
            assert_eq!(media_type(bytes), format!("image/{ending}"), "{name}");
        }
        assert_eq!(media_type(b"<svg>"), "application/octet-stream");
        assert_eq!(media_type(b""), "application/octet-stream");
    }
}
