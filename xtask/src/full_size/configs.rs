//! The configurations of the real models, as their folders have them.

use serde_json::{Value, json};

use super::Family;

/// Path and content of every configuration.
pub(super) fn all(family: Family) -> [(&'static str, Value); 5] {
    [
        ("model_index.json", index(family)),
        ("text_encoder/config.json", text_encoder(family)),
        ("unet/config.json", unet(family)),
        ("vae/config.json", vae(family)),
        ("scheduler/scheduler_config.json", scheduler(family)),
    ]
}

fn index(family: Family) -> Value {
    let scheduler = match family {
        Family::Sd1 => "PNDMScheduler",
        Family::Sd2 => "DDIMScheduler",
    };
    json!({
        "_class_name": "StableDiffusionPipeline",
        "feature_extractor": [null, null],
        "requires_safety_checker": false,
        "safety_checker": [null, null],
        "scheduler": ["diffusers", scheduler],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    })
}

fn text_encoder(family: Family) -> Value {
    let own = match family {
        Family::Sd1 => json!({
            "hidden_act": "quick_gelu",
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_attention_heads": 12,
            "num_hidden_layers": 12,
            "projection_dim": 768,
        }),
        Family::Sd2 => json!({
            "hidden_act": "gelu",
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_attention_heads": 16,
            "num_hidden_layers": 23,
            "projection_dim": 512,
        }),
    };
    let shared = json!({
        "architectures": ["CLIPTextModel"],
        "bos_token_id": 0,
        "eos_token_id": 2,
        "layer_norm_eps": 1e-5,
        "max_position_embeddings": 77,
        "model_type": "clip_text_model",
        "pad_token_id": 1,
        "vocab_size": 49408,
    });
    merged(shared, own)
}

fn unet(family: Family) -> Value {
    let own = match family {
        Family::Sd1 => json!({
            "attention_head_dim": 8,
            "cross_attention_dim": 768,
            "sample_size": 64,
        }),
        Family::Sd2 => json!({
            "attention_head_dim": [5, 10, 20, 20],
            "cross_attention_dim": 1024,
            "sample_size": 96,
            "use_linear_projection": true,
        }),
    };
    let shared = json!({
        "_class_name": "UNet2DConditionModel",
        "act_fn": "silu",
        "block_out_channels": [320, 640, 1280, 1280],
        "center_input_sample": false,
        "down_block_types": [
            "CrossAttnDownBlock2D",
            "CrossAttnDownBlock2D",
            "CrossAttnDownBlock2D",
            "DownBlock2D",
        ],
        "downsample_padding": 1,
        "flip_sin_to_cos": true,
        "freq_shift": 0,
        "in_channels": 4,
        "layers_per_block": 2,
        "mid_block_scale_factor": 1,
        "norm_eps": 1e-5,
        "norm_num_groups": 32,
        "out_channels": 4,
        "up_block_types": [
            "UpBlock2D",
            "CrossAttnUpBlock2D",
            "CrossAttnUpBlock2D",
            "CrossAttnUpBlock2D",
        ],
    });
    merged(shared, own)
}

fn vae(family: Family) -> Value {
    let sample_size = match family {
        Family::Sd1 => 512,
        Family::Sd2 => 768,
    };
    json!({
        "_class_name": "AutoencoderKL",
        "act_fn": "silu",
        "block_out_channels": [128, 256, 512, 512],
        "down_block_types": [
            "DownEncoderBlock2D",
            "DownEncoderBlock2D",
            "DownEncoderBlock2D",
            "DownEncoderBlock2D",
        ],
        "in_channels": 3,
        "latent_channels": 4,
        "layers_per_block": 2,
        "norm_num_groups": 32,
        "out_channels": 3,
        "sample_size": sample_size,
        "scaling_factor": 0.18215,
        "up_block_types": [
            "UpDecoderBlock2D",
            "UpDecoderBlock2D",
            "UpDecoderBlock2D",
            "UpDecoderBlock2D",
        ],
    })
}

fn scheduler(family: Family) -> Value {
    let own = match family {
        Family::Sd1 => json!({ "_class_name": "PNDMScheduler" }),
        Family::Sd2 => json!({
            "_class_name": "DDIMScheduler",
            "prediction_type": "v_prediction",
        }),
    };
    let shared = json!({
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "clip_sample": false,
        "num_train_timesteps": 1000,
        "set_alpha_to_one": false,
        "skip_prk_steps": true,
        "steps_offset": 1,
    });
    merged(shared, own)
}

/// The keys of both objects.
fn merged(mut shared: Value, mut own: Value) -> Value {
    if let (Some(shared), Some(own)) = (shared.as_object_mut(), own.as_object_mut()) {
        shared.append(own);
    }
    shared
}
