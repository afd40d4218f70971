//! What is told of images and models, in the same words over HTTP and on the command line.

use chrono::{DateTime, Utc};
use diffusion_jobs::images::Image;
use diffusion_jobs::models::Model;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Pictures, Shelf, usable};
use crate::catalogue::{Known, Origin};

/// An image of the data set
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Image, example = json!({
    "id": "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90",
    "name": "cat-in-the-rain.jpg",
    "owner": "diffusion-server",
    "path": "samples/cat-in-the-rain.jpg",
    "available": true,
    "content": "/api/v1/images/0193a0c5-7e00-7cc0-8000-2f1d3c5b7a90/content",
    "meta": {},
    "description": null,
    "install_ts": "2026-11-22T18:00:00Z",
    "update_ts": "2026-11-22T18:00:00Z"
}))]
pub(crate) struct ImageView {
    pub(crate) id: Uuid,
    /// No other image of the same owner has this name
    pub(crate) name: String,
    pub(crate) owner: String,
    /// Where its file is, below one of the folders of images
    pub(crate) path: String,
    /// Whether the file is there; if not, no random draw takes this image
    pub(crate) available: bool,
    /// Why it is not available
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unavailable_because: Option<String>,
    /// Where the encoded image can be fetched
    content: String,
    /// Anything else
    meta: Map<String, Value>,
    description: Option<String>,
    install_ts: DateTime<Utc>,
    update_ts: DateTime<Utc>,
}

impl ImageView {
    /// Looks for the file.
    pub(crate) fn new(image: Image, pictures: &Pictures) -> Self {
        let missing = pictures.find(&image.path).err().map(|missing| missing.to_string());
        Self {
            content: format!("/api/v1/images/{}/content", image.id),
            id: image.id,
            name: image.name,
            owner: image.owner,
            path: image.path,
            available: missing.is_none(),
            unavailable_because: missing,
            meta: image.meta,
            description: image.description,
            install_ts: image.install_ts,
            update_ts: image.update_ts,
        }
    }
}

/// A model, with a row or found without one
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Model, example = json!({
    "id": "0193a0c5-7e00-7cc0-8000-2f1d3c5b7a91",
    "name": "stable-diffusion-v1-5",
    "owner": "runwayml",
    "hosted": "HUGGING_FACE",
    "available": true,
    "family": "sd1",
    "width": 512,
    "height": 512,
    "steps": null,
    "guidance": null,
    "source": "hugging-face-cache",
    "meta": {},
    "description": null,
    "install_ts": "2026-11-22T18:00:00Z",
    "update_ts": "2026-11-22T18:00:00Z"
}))]
pub(crate) struct ModelView {
    /// Null where the model was found and has no row
    pub(crate) id: Option<Uuid>,
    /// No other model of the same owner has this name
    pub(crate) name: String,
    pub(crate) owner: Option<String>,
    /// Where the weights come from
    hosted: Option<String>,
    /// Whether the weights are there; if not, no random draw takes this model
    pub(crate) available: bool,
    /// Why it is not available
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unavailable_because: Option<String>,
    /// `sd1` or `sd2`
    pub(crate) family: Option<String>,
    /// The width that it was trained for, in pixels
    pub(crate) width: Option<u32>,
    /// The height that it was trained for, in pixels
    pub(crate) height: Option<u32>,
    /// Steps that it takes where none are asked for; null where it names none
    steps: Option<u32>,
    /// Guidance, likewise
    guidance: Option<f64>,
    /// Where the weights are
    #[schema(value_type = Option<String>, example = "models-dir")]
    source: Option<Origin>,
    /// Anything else; `folder` is that of the weights, below the folder of models
    meta: Map<String, Value>,
    description: Option<String>,
    install_ts: Option<DateTime<Utc>>,
    update_ts: Option<DateTime<Utc>>,
}

impl ModelView {
    /// A model that was found.
    pub(crate) fn found(known: &Known) -> Self {
        let info = usable(known);
        let size = info.as_ref().ok().map(|info| info.native_size());
        let own = info.as_ref().map(|info| info.generation).unwrap_or_default();
        Self {
            name: known.name.clone(),
            family: info.as_ref().ok().map(|info| info.family().to_string()),
            width: size.map(|(_, width)| width),
            height: size.map(|(height, _)| height),
            steps: own.steps,
            guidance: own.guidance,
            source: Some(known.origin),
            ..Self::without_row(info.err().map(|error| error.to_string()))
        }
    }

    /// A row; looks for its weights.
    pub(crate) fn of_row(row: Model, shelf: &Shelf) -> Self {
        let found = match shelf.known(&row) {
            Ok(known) => Self::found(&known),
            Err(why) => Self::without_row(Some(why)),
        };
        Self {
            id: Some(row.id),
            name: row.name,
            owner: Some(row.owner),
            hosted: Some(row.hosted),
            meta: row.meta,
            description: row.description,
            install_ts: Some(row.install_ts),
            update_ts: Some(row.update_ts),
            ..found
        }
    }

    /// Of which nothing is known yet but why it is not available, if so.
    fn without_row(unavailable_because: Option<String>) -> Self {
        Self {
            id: None,
            name: String::new(),
            owner: None,
            hosted: None,
            available: unavailable_because.is_none(),
            unavailable_because,
            family: None,
            width: None,
            height: None,
            steps: None,
            guidance: None,
            source: None,
            meta: Map::new(),
            description: None,
            install_ts: None,
            update_ts: None,
        }
    }
}
