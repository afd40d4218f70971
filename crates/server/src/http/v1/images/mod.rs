//! `/api/v1/images`: the data set.

pub(in crate::http) mod add;
pub(in crate::http) mod content;

use axum::extract::State;
use axum::http::StatusCode;
use diffusion_jobs::images::Image;
use diffusion_jobs::records::{Change, PageOf};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::lists::{ListQuery, aside, given, refuse};
use crate::dataset::{self, ImageView, Pictures};
use crate::http::auth::{Admin, Read};
use crate::http::error::Details;
use crate::http::extract::{Json, Path, Query};
use crate::http::{AppState, Problems, Result};

/// A page of the data set
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ImageList {
    /// In the order of name and owner
    images: Vec<ImageView>,
    /// `cursor` of the next page; null on the last one
    next: Option<String>,
}

/// Looks for the files of rows.
async fn views(state: &AppState, images: Vec<Image>) -> Result<Vec<ImageView>> {
    let pictures = Pictures::new(&state.config.storage);
    aside(move || images.into_iter().map(|image| ImageView::new(image, &pictures)).collect()).await
}

async fn view(state: &AppState, image: Image) -> Result<ImageView> {
    let pictures = Pictures::new(&state.config.storage);
    aside(move || ImageView::new(image, &pictures)).await
}

/// List the images of the data set
///
/// Whether the file of an image is there is looked at for each answer.
#[utoipa::path(
    get,
    path = "/api/v1/images",
    operation_id = "list_images",
    tag = "images",
    params(ListQuery),
    responses((status = 200, description = "A page", body = ImageList), Problems)
)]
pub(in crate::http) async fn list(
    State(state): State<AppState>,
    _: Read,
    Query(query): Query<ListQuery>,
) -> Result<Json<ImageList>> {
    let PageOf { rows, next } = state.database.images().list(&query.into()).await?;
    Ok(Json(ImageList { images: views(&state, rows).await?, next }))
}

/// Show an image's row
#[utoipa::path(
    get,
    path = "/api/v1/images/{id}",
    operation_id = "get_image",
    tag = "images",
    params(("id" = Uuid, Path, description = "The image",
        example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90")),
    responses((status = 200, description = "The image", body = ImageView), Problems)
)]
pub(in crate::http) async fn get(
    State(state): State<AppState>,
    _: Read,
    Path(id): Path<Uuid>,
) -> Result<Json<ImageView>> {
    let image = state.database.images().get(id).await?;
    Ok(Json(view(&state, image).await?))
}

/// New values of an image; what is left out stays
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({"name": "tom.jpg", "description": "a cat in rain"}))]
pub(in crate::http) struct EditImage {
    /// At most 255 characters
    name: Option<String>,
    owner: Option<String>,
    /// Another file, below a folder of images
    path: Option<String>,
    /// Replaces the whole object
    meta: Option<Map<String, Value>>,
    /// Null takes it away
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
}

/// Change an image's row
#[utoipa::path(
    patch,
    path = "/api/v1/images/{id}",
    operation_id = "edit_image",
    tag = "images",
    params(("id" = Uuid, Path, description = "The image",
        example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90")),
    request_body = EditImage,
    responses(
        (status = 200, description = "The image as it is now", body = ImageView),
        (status = 409, description = "Its owner has another image of this name", body = Details,
            content_type = "application/problem+json"),
        Problems
    )
)]
pub(in crate::http) async fn edit(
    State(state): State<AppState>,
    _: Admin,
    Path(id): Path<Uuid>,
    Json(edit): Json<EditImage>,
) -> Result<Json<ImageView>> {
    let EditImage { name, owner, path, meta, description } = edit;
    if let Some(path) = path.clone() {
        let pictures = Pictures::new(&state.config.storage);
        aside(move || pictures.find(&path)).await?.map_err(|why| refuse("path", why))?;
    }
    let change = Change { name, owner, place: path, meta, description };
    let image = state.database.images().update(id, &change).await?;
    Ok(Json(view(&state, image).await?))
}

/// Take an image out of the data set
///
/// A file that was uploaded goes with its last row; files in other folders stay where they are.
#[utoipa::path(
    delete,
    path = "/api/v1/images/{id}",
    operation_id = "remove_image",
    tag = "images",
    params(("id" = Uuid, Path, description = "The image",
        example = "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90")),
    responses((status = 204, description = "It is out"), Problems)
)]
pub(in crate::http) async fn remove(
    State(state): State<AppState>,
    _: Admin,
    Path(id): Path<Uuid>,
) -> Result<StatusCode> {
    let pictures = Pictures::new(&state.config.storage);
    dataset::remove(&state.database, &pictures, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
