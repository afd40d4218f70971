//! AUTOMATIC1111's API: `/sdapi/v1/…`, and `/internal/…` at the root.
//!
//! What is asked of `txt2img` and `img2img`, field by field. Each has that tool's default; unknown
//! fields and null are as if they were left out.
//!
//! | field | here |
//! |---|---|
//! | `prompt`, `negative_prompt` | in that tool's syntax; in `prompt`, `<name:…>` is refused: there are no extra networks |
//! | `seed`, `subseed`, `subseed_strength` | −1 draws one; the images count up from `seed`, or with a strength from `subseed` |
//! | `steps`, `width`, `height` | sides are rounded down to a multiple of 8 |
//! | `cfg_scale` | 1 is no guidance; less, which that tool has turn away from the prompt, is refused |
//! | `batch_size`, `n_iter` | their product is the number of images |
//! | `sampler_name`, `sampler_index`, `scheduler` | `samplers.rs`; an unknown one is 400 |
//! | `denoising_strength` | of img2img: `steps` times this many steps are run, rounded down, where that tool's k-diffusion samplers run one more; one that leaves no step runs the last, and the answer tells the strength of that |
//! | `init_images` | one picture; none is 404 |
//! | `mask`, `mask_blur`, `mask_blur_x`, `mask_blur_y` | one blur for both directions; an empty mask is none |
//! | `inpainting_fill`, `inpainting_mask_invert`, `inpaint_full_res`, `inpaint_full_res_padding` | as they are |
//! | `resize_mode` | 0, 1, 2; 3 is refused |
//! | `override_settings`, `override_settings_restore_afterwards` | `settings.rs` says what each may be |
//! | `clip_skip` | ignored, as that tool does: it is an option, `CLIP_stop_at_last_layers`; clients that send it for others send both |
//! | `force_task_id` | the job's label, by which `/internal/progress` finds it |
//! | `infotext` | stands in for fields that are not given |
//! | `send_images`, `include_init_images` | as they are |
//! | `save_images`, `do_not_save_samples`, `do_not_save_grid` | ignored: images are kept, and there are no grids |
//! | `eta`, `s_churn`, `s_noise`, `s_min_uncond` | refused where they would change this sampler's picture |
//! | `s_tmin`, `s_tmax`, `image_cfg_scale`, `refiner_switch_at`, `script_args`, `hr_…` | ignored: without others they change nothing |
//! | `enable_hr`, `firstpass_image`, `refiner_checkpoint`, `restore_faces`, `tiling`, `script_name`, `seed_resize_from_…`, `initial_noise_multiplier`, `latent_mask`, `mask_round` | refused unless at their defaults |
//! | `styles`, `alwayson_scripts` | refused if they name one that would do something |

mod answer;
mod body;
mod checkpoints;
mod current;
mod generate;
mod internal;
mod lists;
mod memory;
mod options;
mod pasted;
mod png_info;
mod progress;
mod refused;
mod request;
mod settings;
mod stop;
mod translate;
mod unsupported;

pub(super) use refused::shape;

use axum::Router;
use axum::routing::any;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;

/// Every route of this dialect, and what the OpenAPI document says of them.
pub(super) fn routes() -> (Router<AppState>, OpenApi) {
    let routes = OpenApiRouter::default()
        .routes(routes!(generate::txt2img))
        .routes(routes!(generate::img2img))
        .routes(routes!(progress::progress))
        .routes(routes!(stop::interrupt))
        .routes(routes!(stop::skip))
        .routes(routes!(options::get, options::set))
        .routes(routes!(png_info::png_info))
        .routes(routes!(checkpoints::list))
        .routes(routes!(lists::samplers))
        .routes(routes!(lists::schedulers))
        .routes(routes!(lists::upscalers))
        .routes(routes!(lists::latent_upscale_modes))
        .routes(routes!(lists::vaes))
        .routes(routes!(lists::loras))
        .routes(routes!(lists::embeddings))
        .routes(routes!(lists::hypernetworks))
        .routes(routes!(lists::face_restorers))
        .routes(routes!(lists::realesrgan_models))
        .routes(routes!(lists::prompt_styles))
        .routes(routes!(lists::scripts))
        .routes(routes!(lists::script_info))
        .routes(routes!(lists::extensions))
        .routes(routes!(lists::cmd_flags))
        .routes(routes!(lists::refresh_checkpoints))
        .routes(routes!(lists::refresh_vae))
        .routes(routes!(lists::refresh_loras))
        .routes(routes!(lists::refresh_embeddings))
        .routes(routes!(lists::unload_checkpoint))
        .routes(routes!(lists::reload_checkpoint))
        .routes(routes!(memory::memory))
        .routes(routes!(internal::progress))
        .routes(routes!(internal::pending))
        .route("/sdapi/v1/{*rest}", any(refused::nothing_here));
    let (routes, document) = routes.split_for_parts();
    (routes.method_not_allowed_fallback(refused::no_such_method), document)
}
