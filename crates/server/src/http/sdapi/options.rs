//! `/sdapi/v1/options`: what a client has set, kept over restarts.
//!
//! Each API key has options of its own: who switches the model switches it for themselves. Where no
//! keys are demanded, all have the same.

use axum::extract::State;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::body::{Body, object};
use super::checkpoints::{self, find};
use super::refused::{Refusal, Refused, Result};
use super::request::Asked;
use super::settings::{
    CHECKPOINT, CHECKPOINT_HASH, CLIP_SKIP, DEFAULT_QUALITY, FORMAT, QUALITY, TEXTS, check,
    defaults, format, layers, quality,
};
use super::translate::InForce;
use crate::encode::Format;
use crate::http::auth::{Generate, Read};
use crate::http::extract::Json;
use crate::http::{AppState, Problem};

/// The most that may be kept of one key's options.
const MOST_BYTES: usize = 256 << 10;

/// The name under which the options of a key are kept.
fn name(owner: Option<Uuid>) -> String {
    format!("sdapi-options/{}", owner.unwrap_or(Uuid::nil()))
}

/// What was set. The model is kept by its name.
async fn kept(state: &AppState, owner: Option<Uuid>) -> Result<Map<String, Value>> {
    let kept = state.database.setting(&name(owner)).await?;
    parse(kept.as_deref().unwrap_or_default())
}

fn parse(kept: &str) -> Result<Map<String, Value>> {
    if kept.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_str(kept).map_err(|error| Problem::internal(error).into())
}

/// Keeps options, beside those that were kept before.
async fn keep(state: &AppState, owner: Option<Uuid>, set: Map<String, Value>) -> Result<()> {
    if set.is_empty() {
        return Ok(());
    }
    let change = |before: &str| {
        let mut all = parse(before)?;
        all.extend(set);
        let all = Value::Object(all).to_string();
        if all.len() > MOST_BYTES {
            let detail = format!("the options have {} bytes; {MOST_BYTES} are kept", all.len());
            return Err(Refused::invalid(detail));
        }
        Ok(all)
    };
    state.database.change_setting(&name(owner), change).await
}

/// How the files of a call come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Files {
    pub(super) format: Format,
    pub(super) quality: u8,
    /// Whether they say how they were made.
    pub(super) texts: bool,
}

impl Files {
    fn new(options: &Map<String, Value>) -> Self {
        Self {
            format: options.get(FORMAT).and_then(format).unwrap_or_default(),
            quality: options.get(QUALITY).and_then(quality).unwrap_or(DEFAULT_QUALITY),
            texts: options.get(TEXTS).and_then(Value::as_bool).unwrap_or(true),
        }
    }
}

/// How the files come of a call whose options were checked when it was taken.
///
/// # Errors
/// The database.
pub(super) async fn files(state: &AppState, owner: Option<Uuid>, asked: &Asked) -> Result<Files> {
    let mut all = kept(state, owner).await?;
    let brought = asked.override_settings.iter().filter(|(_, value)| !value.is_null());
    all.extend(brought.map(|(name, value)| (name.clone(), value.clone())));
    Ok(Files::new(&all))
}

/// Options as they are kept, checked: the model by its name, what is no option left out.
async fn checked(state: &AppState, mut set: Map<String, Value>) -> Result<Map<String, Value>> {
    set.remove(CHECKPOINT_HASH);
    // An empty name means whatever model is chosen.
    set.retain(|name, value| !value.is_null() && (name != CHECKPOINT || *value != ""));
    for (name, value) in &set {
        check(name, value)?;
    }
    if let Some(Value::String(asked)) = set.get(CHECKPOINT) {
        let all = checkpoints::all(state).await?;
        let found = find(&all, asked).ok_or_else(|| checkpoints::unknown(asked))?;
        let found = found.model_name.clone();
        set.insert(CHECKPOINT.into(), found.into());
    }
    Ok(set)
}

/// What is in force for a call, and what of it stays.
pub(super) struct ForCall {
    pub(super) in_force: InForce,
    stays: Map<String, Value>,
}

/// The options of a call: those that are kept, under those that it brings.
///
/// # Errors
/// 404 for an unknown model, 422 for an option that cannot be; the database.
pub(super) async fn of_call(
    state: &AppState,
    owner: Option<Uuid>,
    asked: &Asked,
) -> Result<ForCall> {
    let brought = checked(state, asked.override_settings.clone()).await?;
    let mut all = kept(state, owner).await?;
    all.extend(brought.clone());
    let model = all.get(CHECKPOINT).and_then(Value::as_str).map(ToOwned::to_owned);
    // The last layer is what a model has of its own.
    let clip_skip = all.get(CLIP_SKIP).and_then(layers).filter(|layer| *layer > 1);
    let stays = if asked.override_settings_restore_afterwards { Map::new() } else { brought };
    Ok(ForCall { in_force: InForce { model, clip_skip }, stays })
}

/// Keeps what a call wants to stay.
///
/// # Errors
/// The database.
pub(super) async fn stay(state: &AppState, owner: Option<Uuid>, call: ForCall) -> Result<()> {
    keep(state, owner, call.stays).await
}

/// Show the options
///
/// Those of the API key that asks. `sd_model_checkpoint` is the model of calls that name none.
#[utoipa::path(
    get,
    path = "/sdapi/v1/options",
    operation_id = "sd_options",
    tag = "sdapi",
    responses(
        (status = 200, description = "Every option", body = Object,
            example = json!({"sd_model_checkpoint": "pocket-paper-sd1", "samples_format": "png"})),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn get(
    State(state): State<AppState>,
    identity: Result<Read, Problem>,
) -> Result<Json<Map<String, Value>>> {
    let Read(identity) = identity?;
    let mut options = defaults();
    options.extend(kept(&state, identity.owner).await?);
    let all = checkpoints::all(&state).await?;
    let kept = options.get(CHECKPOINT).and_then(Value::as_str);
    let found = kept.map_or(all.first(), |name| find(&all, name));
    // One that is gone is shown by the name under which it is missed.
    let title = found.map(|found| found.title.clone()).or(kept.map(ToOwned::to_owned));
    options.insert(CHECKPOINT_HASH.into(), found.and_then(|found| found.sha256.clone()).into());
    options.insert(CHECKPOINT.into(), title.into());
    Ok(Json(options))
}

/// Change options
///
/// Any part of what `GET` answers, or all of it. `sd_model_checkpoint` takes a title, a name, a hash
/// or a file's name. Options that change pictures can only be set to what this server does; others
/// are kept as they are, and ones that are not known are refused.
#[utoipa::path(
    post,
    path = "/sdapi/v1/options",
    operation_id = "sd_set_options",
    tag = "sdapi",
    request_body(content = Object, example = json!({"sd_model_checkpoint": "pocket-paper-sd1"})),
    responses(
        (status = 200, description = "They are set"),
        (status = 404, description = "There is no such model", body = Refusal),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn set(
    State(state): State<AppState>,
    identity: Result<Generate, Problem>,
    body: Body,
) -> Result<Json<()>> {
    let Generate(identity) = identity?;
    let set = checked(&state, object(body)?).await?;
    keep(&state, identity.owner, set).await?;
    Ok(Json(()))
}
