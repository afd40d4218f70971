//! Lists that clients read when they start. Of what this server does not do there is nothing.

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::refused::{Refusal, Result};
use crate::http::auth::{Generate, Read};
use crate::http::extract::Json;
use crate::http::{AppState, Problem};
use crate::samplers::{SAMPLERS, SCHEDULES};

/// A sampler
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SdSampler, example = json!({
    "name": "Euler a", "aliases": ["euler_a", "k_euler_a"],
    "options": {"schedulers": "automatic, uniform"}
}))]
pub(super) struct SamplerItem {
    name: &'static str,
    aliases: &'static [&'static str],
    /// `schedulers`: the names of those that it can be had with, separated by commas
    #[schema(value_type = Object)]
    options: Map<String, Value>,
}

/// A schedule of noise levels
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SdScheduler, example = json!({
    "name": "karras", "label": "Karras", "aliases": null, "default_rho": 7.0,
    "need_inner_model": false
}))]
pub(super) struct SchedulerItem {
    name: &'static str,
    label: &'static str,
    aliases: Option<Vec<&'static str>>,
    default_rho: f64,
    need_inner_model: bool,
}

/// A way to enlarge images
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SdUpscaler, example = json!({
    "name": "None", "model_name": null, "model_path": null, "model_url": null, "scale": 4
}))]
pub(super) struct UpscalerItem {
    name: &'static str,
    model_name: Option<String>,
    model_path: Option<String>,
    model_url: Option<String>,
    scale: u32,
}

/// The rho of Karras's noise levels.
const RHO: f64 = 7.0;

/// List the samplers
#[utoipa::path(
    get,
    path = "/sdapi/v1/samplers",
    operation_id = "sd_samplers",
    tag = "sdapi",
    responses(
        (status = 200, description = "The samplers", body = Vec<SamplerItem>),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn samplers(
    identity: Result<Read, Problem>,
) -> Result<Json<Vec<SamplerItem>>> {
    identity?;
    let item = |sampler: &crate::samplers::Sampler| SamplerItem {
        name: sampler.name,
        aliases: sampler.aliases,
        options: Map::from_iter([("schedulers".to_owned(), sampler.schedules().into())]),
    };
    Ok(Json(SAMPLERS.iter().map(item).collect()))
}

/// List the schedules of noise levels
///
/// `/sdapi/v1/samplers` says which of them each sampler can be had with.
#[utoipa::path(
    get,
    path = "/sdapi/v1/schedulers",
    operation_id = "sd_schedulers",
    tag = "sdapi",
    responses(
        (status = 200, description = "The schedules", body = Vec<SchedulerItem>),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn schedulers(
    identity: Result<Read, Problem>,
) -> Result<Json<Vec<SchedulerItem>>> {
    identity?;
    let item = |schedule: &&crate::samplers::Schedule| {
        let aliases: Vec<&str> =
            schedule.aliases.iter().copied().filter(|alias| !alias.is_empty()).collect();
        SchedulerItem {
            name: schedule.name,
            label: schedule.label,
            aliases: (!aliases.is_empty()).then_some(aliases),
            default_rho: if schedule.name == "karras" { RHO } else { -1.0 },
            need_inner_model: schedule.name == "uniform",
        }
    };
    Ok(Json(SCHEDULES.iter().map(item).collect()))
}

/// List the ways to enlarge images
///
/// There is none but to leave them as they are.
#[utoipa::path(
    get,
    path = "/sdapi/v1/upscalers",
    operation_id = "sd_upscalers",
    tag = "sdapi",
    responses(
        (status = 200, description = "One entry", body = Vec<UpscalerItem>),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn upscalers(
    identity: Result<Read, Problem>,
) -> Result<Json<[UpscalerItem; 1]>> {
    identity?;
    let (model_name, model_path, model_url) = (None, None, None);
    Ok(Json([UpscalerItem { name: "None", model_name, model_path, model_url, scale: 4 }]))
}

/// What is the same whenever it is asked for.
macro_rules! fixed {
    ($($(#[doc = $doc:literal])* $name:ident, $id:literal, $path:literal => $value:tt;)*) => {$(
        $(#[doc = $doc])*
        #[utoipa::path(
            get,
            path = $path,
            operation_id = $id,
            tag = "sdapi",
            responses(
                (status = 200, description = "What there is", body = Value),
                (status = "default", description = "An error", body = Refusal)
            )
        )]
        pub(in crate::http) async fn $name(identity: Result<Read, Problem>) -> Result<Json<Value>> {
            identity?;
            Ok(Json(json!($value)))
        }
    )*};
}

fixed! {
    /// List the ways to enlarge latents: there are none
    latent_upscale_modes, "sd_latent_upscale_modes", "/sdapi/v1/latent-upscale-modes" => [];
    /// List the image decoders beside the models' own: there are none
    vaes, "sd_vaes", "/sdapi/v1/sd-vae" => [];
    /// List the LoRAs: there are none
    loras, "sd_loras", "/sdapi/v1/loras" => [];
    /// List the embeddings: there are none
    embeddings, "sd_embeddings", "/sdapi/v1/embeddings" => { "loaded": {}, "skipped": {} };
    /// List the hypernetworks: there are none
    hypernetworks, "sd_hypernetworks", "/sdapi/v1/hypernetworks" => [];
    /// List the ways to restore faces: there are none
    face_restorers, "sd_face_restorers", "/sdapi/v1/face-restorers" => [];
    /// List the Real-ESRGAN models: there are none
    realesrgan_models, "sd_realesrgan_models", "/sdapi/v1/realesrgan-models" => [];
    /// List the styles: there are none
    prompt_styles, "sd_prompt_styles", "/sdapi/v1/prompt-styles" => [];
    /// List the names of scripts: there are none
    scripts, "sd_scripts", "/sdapi/v1/scripts" => { "txt2img": [], "img2img": [] };
    /// List what scripts take: there are none
    script_info, "sd_script_info", "/sdapi/v1/script-info" => [];
    /// List the extensions: there are none
    extensions, "sd_extensions", "/sdapi/v1/extensions" => [];
}

/// Show how the server was started, as far as clients ask
#[utoipa::path(
    get,
    path = "/sdapi/v1/cmd-flags",
    operation_id = "sd_cmd_flags",
    tag = "sdapi",
    responses(
        (status = 200, description = "Flags of that tool", body = Value),
        (status = "default", description = "An error", body = Refusal)
    )
)]
pub(in crate::http) async fn cmd_flags(
    State(state): State<AppState>,
    identity: Result<Read, Problem>,
) -> Result<Json<Value>> {
    identity?;
    Ok(Json(json!({
        "api": true,
        "nowebui": true,
        "api_auth": state.keys_demanded.then_some("demanded"),
        "api_log": false,
        "api_server_stop": false,
        "ckpt": null,
        "ckpt_dir": null,
        "vae_dir": null,
        "lowvram": false,
        "medvram": false,
        "no_half": true,
        "use_cpu": ["all"],
        "disable_safe_unpickle": false,
    })))
}

/// What looks for files or takes memory is done whenever it is needed: nothing is to be done.
macro_rules! nothing_to_do {
    ($($(#[doc = $doc:literal])* $name:ident, $id:literal, $path:literal;)*) => {$(
        $(#[doc = $doc])*
        #[utoipa::path(
            post,
            path = $path,
            operation_id = $id,
            tag = "sdapi",
            responses(
                (status = 200, description = "It is done"),
                (status = "default", description = "An error", body = Refusal)
            )
        )]
        pub(in crate::http) async fn $name(identity: Result<Generate, Problem>) -> Result<Json<()>> {
            identity?;
            Ok(Json(()))
        }
    )*};
}

nothing_to_do! {
    /// Look for models, as is done for each call anyway
    refresh_checkpoints, "sd_refresh_checkpoints", "/sdapi/v1/refresh-checkpoints";
    /// Look for image decoders: there are none beside the models' own
    refresh_vae, "sd_refresh_vae", "/sdapi/v1/refresh-vae";
    /// Look for LoRAs: there are none
    refresh_loras, "sd_refresh_loras", "/sdapi/v1/refresh-loras";
    /// Look for embeddings: there are none
    refresh_embeddings, "sd_refresh_embeddings", "/sdapi/v1/refresh-embeddings";
    /// Free memory, as is done when it is needed anyway
    unload_checkpoint, "sd_unload_checkpoint", "/sdapi/v1/unload-checkpoint";
    /// Load the model, as is done when it is needed anyway
    reload_checkpoint, "sd_reload_checkpoint", "/sdapi/v1/reload-checkpoint";
}
