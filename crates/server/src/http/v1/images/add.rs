//! `POST /api/v1/images`: an upload, or a path below a folder of images.

use std::path::PathBuf;

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::Bytes;
use diffusion_jobs::artifacts::sha256;
use diffusion_jobs::images::{DEFAULT_OWNER, Image};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::Instrument as _;
use utoipa::ToSchema;

use super::{aside, refuse, view};
use crate::dataset::{self, ImageView, Picture, Pictures};
use crate::http::accept::idempotency;
use crate::http::auth::Admin;
use crate::http::error::Details;
use crate::http::extract::Json;
use crate::http::once::{self, Inserted, Making};
use crate::http::{AppState, Problem, Problems, Result};
use crate::places::place;

/// An image whose file is there already
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AddImage {
    /// The file, below a folder of images
    #[schema(example = "cats/tom.jpg")]
    path: String,
    /// [default: the file's name]
    #[serde(default)]
    #[schema(example = "tom.jpg")]
    name: Option<String>,
    /// [default: LEONARDO_AI]
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    #[schema(example = "a cat in rain")]
    description: Option<String>,
    /// Anything else
    #[serde(default)]
    meta: Map<String, Value>,
}

/// An image that is uploaded
#[derive(ToSchema)]
#[schema(example = json!({
    "file": "(the bytes of cat.png)", "name": "tom.png", "owner": "me",
    "description": "a cat in rain", "meta": "{\"licence\": \"CC0-1.0\"}"
}))]
#[allow(dead_code, reason = "read field by field")]
pub(in crate::http) struct UploadImage {
    /// PNG, JPEG, WebP, GIF, BMP or TIFF
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// [default: the file's name]
    name: Option<String>,
    /// [default: LEONARDO_AI]
    owner: Option<String>,
    description: Option<String>,
    /// A JSON object of anything else
    meta: Option<String>,
}

/// Add an image to the data set
///
/// Send the image itself as `multipart/form-data`, or as JSON the path of a file that lies below a
/// configured folder of images. It can be used at once.
#[utoipa::path(
    post,
    path = "/api/v1/images",
    operation_id = "add_image",
    tag = "images",
    params(("Idempotency-Key" = Option<String>, Header, description = once::DESCRIPTION,
        example = "d9e1")),
    request_body(content(
        (UploadImage = "multipart/form-data"),
        (AddImage = "application/json"),
    )),
    responses(
        (status = 201, description = "It is in", body = ImageView,
            headers(("Location" = String, description = "Where its row is"))),
        (status = 409, description = "Its owner has another image of this name", body = Details,
            content_type = "application/problem+json"),
        Problems
    )
)]
pub(in crate::http) async fn add(
    State(state): State<AppState>,
    Admin(identity): Admin,
    request: Request,
) -> Result<Response> {
    let headers = request.headers().clone();
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form =
        kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("multipart/form-data"));
    let (asked, key) = if is_form {
        let form = Multipart::from_request(request, &state)
            .await
            .map_err(|error| Problem::bad_request(error.body_text()))?;
        let form = read(form).await?;
        let key = idempotency(&headers, PLACE, &form.asked())?;
        (Asked::Upload(form), key)
    } else {
        let Json(add) = Json::<AddImage>::from_request(request, &state).await?;
        let key = idempotency(&headers, PLACE, &add)?;
        (Asked::AtPath(add), key)
    };
    let making = Making { place: PLACE, owner: identity.owner, key };
    if let Some(answer) = making.before(&state).await? {
        return Ok(answer);
    }
    // To its end, whether or not its client waits: a file that is kept has its row.
    let done = tokio::spawn(insert(state, asked, making).in_current_span());
    done.await.map_err(Problem::internal)?
}

async fn insert(state: AppState, asked: Asked, making: Making) -> Result<Response> {
    let (image, kept) = match asked {
        Asked::AtPath(add) => (at_path(&state, add).await?, None),
        Asked::Upload(form) => {
            let (image, file) = upload(&state, form).await?;
            (image, Some(file))
        }
    };
    let inserted = async {
        let body = view(&state, image.clone()).await?;
        let body = serde_json::to_string(&body).map_err(Problem::internal)?;
        let id = image.id;
        Ok::<_, Problem>(making.insert(state.database.images(), image, id, body).await)
    };
    let inserted = inserted.await;
    let is_unused = !matches!(inserted, Ok(Inserted::New(_)));
    if let Some(file) = kept.filter(|_| is_unused)
        && let Err(error) = tokio::fs::remove_file(&file).await
    {
        tracing::warn!(%error, file = %file.display(), "an image without a row stays");
    }
    inserted?.answer()
}

/// Where the images are.
const PLACE: &str = "/api/v1/images";

/// In which of the two ways an image is added.
enum Asked {
    AtPath(AddImage),
    Upload(Form),
}

/// The row of a file that lies below a folder of images.
async fn at_path(state: &AppState, add: AddImage) -> Result<Image> {
    let last = add.path.rsplit('/').next().unwrap_or_default().to_owned();
    let owner = add.owner.unwrap_or_else(|| DEFAULT_OWNER.into());
    let mut image = Image::new(add.name.unwrap_or(last), owner, &add.path);
    image.description = add.description;
    image.meta = add.meta;
    let pictures = Pictures::new(&state.config.storage);
    let place = place().await;
    aside(move || {
        let _place = place;
        let picture = pictures.find(&add.path).map_err(|why| refuse("path", why))?;
        let Picture::File(file) = picture else { return Ok(()) };
        dataset::read_image(&file).map(drop).map_err(|why| refuse("path", format!("{why:#}")))
    })
    .await??;
    Ok(image)
}

/// What a form holds.
#[derive(Default)]
struct Form {
    file: Option<(String, Bytes)>,
    name: Option<String>,
    owner: Option<String>,
    description: Option<String>,
    meta: Map<String, Value>,
}

impl Form {
    /// What makes two forms the same request, whatever separates their parts.
    fn asked(&self) -> impl Serialize {
        let file = self.file.as_ref().map(|(name, bytes)| (name, sha256(bytes)));
        (file, &self.name, &self.owner, &self.description, &self.meta)
    }
}

/// Keeps an uploaded image; gives its row to be, and where it is.
async fn upload(state: &AppState, form: Form) -> Result<(Image, PathBuf)> {
    let (file_name, bytes) = form.file.ok_or_else(|| refuse("file", "is missing"))?;
    let name = form.name.unwrap_or_else(|| file_name.clone());
    let mut image = Image::new(name, form.owner.unwrap_or_else(|| DEFAULT_OWNER.into()), "");
    image.description = form.description;
    image.meta = form.meta;
    let folder = Pictures::new(&state.config.storage).own().to_owned();
    let into = folder.clone();
    let place = place().await;
    image.path = aside(move || {
        let _place = place;
        dataset::check(&bytes).map_err(|why| refuse("file", why))?;
        dataset::store(&into, &file_name, &bytes)
            .map_err(|why| Problem::internal(format!("{why:#}")))
    })
    .await??;
    let file = folder.join(&image.path);
    Ok((image, file))
}

async fn read(mut multipart: Multipart) -> Result<Form> {
    let mut form = Form::default();
    while let Some(field) = multipart.next_field().await.map_err(broken)? {
        match field.name().unwrap_or_default() {
            "file" => {
                let name = field.file_name().filter(|name| !name.is_empty()).unwrap_or("image");
                let name = name.to_owned();
                form.file = Some((name, field.bytes().await.map_err(broken)?));
            }
            "name" => form.name = given(field).await?,
            "owner" => form.owner = given(field).await?,
            "description" => form.description = given(field).await?,
            "meta" => {
                if let Some(text) = given(field).await? {
                    let read = serde_json::from_str(&text);
                    form.meta =
                        read.map_err(|why| refuse("meta", format!("no JSON object: {why}")))?;
                }
            }
            other => return Err(refuse(other, "there is no such field")),
        }
    }
    Ok(form)
}

/// The text of a field; browsers send empty ones for what was not filled in.
async fn given(field: Field<'_>) -> Result<Option<String>> {
    Ok(Some(field.text().await.map_err(broken)?).filter(|text| !text.is_empty()))
}

fn broken(error: MultipartError) -> Problem {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(error.status(), "too-large", "the body is larger than this server reads")
        }
        _ => Problem::bad_request(error.body_text()),
    }
}
