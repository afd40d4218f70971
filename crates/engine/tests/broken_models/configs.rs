//! Configurations of networks that the engine does not build, or that make no sense.

use std::ops::ControlFlow;

use diffusion_engine::config::GenerationConfig;
use diffusion_engine::{Plan, generate};
use serde_json::{Value, json};

use crate::broken::{Broken, GENERATION, TEXT, UNET, VAE};
use crate::not_finite::plan;

/// Sizes that are none.
fn no_sizes() -> Vec<Value> {
    vec![json!(0), json!(-1), json!(1.5), json!("8"), json!(true), json!({}), json!(1_u64 << 60)]
}

#[test]
fn values_of_the_unet_that_are_not_built_are_named() {
    let model = Broken::new();
    for (key, value) in [
        ("center_input_sample", json!(true)),
        ("mid_block_type", json!("UNetMidBlock2D")),
        ("mid_block_type", Value::Null),
        ("only_cross_attention", json!(true)),
        ("only_cross_attention", json!([true, false, false])),
        ("mid_block_only_cross_attention", json!(true)),
        ("mid_block_scale_factor", json!(2)),
        ("dual_cross_attention", json!(true)),
        ("resnet_time_scale_shift", json!("scale_shift")),
        ("resnet_skip_time_act", json!(true)),
        ("resnet_out_scale_factor", json!(1.4)),
        ("time_embedding_type", json!("fourier")),
        ("attention_type", json!("gated")),
        ("class_embeddings_concat", json!(true)),
        ("reverse_transformer_layers_per_block", json!([1, 1, 1])),
        ("encoder_hid_dim", json!(32)),
        ("encoder_hid_dim_type", json!("text_proj")),
        ("num_attention_heads", json!(8)),
        ("class_embed_type", json!("timestep")),
        ("addition_embed_type", json!("text_time")),
        ("num_class_embeds", json!(1000)),
        ("time_embedding_act_fn", json!("silu")),
        ("timestep_post_act", json!("silu")),
        ("projection_class_embeddings_input_dim", json!(2816)),
        ("cross_attention_norm", json!("layer_norm")),
        ("act_fn", json!("mish")),
        ("act_fn", json!("gelu")),
        ("down_block_types", json!(["AttnDownBlock2D", "DownBlock2D", "DownBlock2D"])),
        ("up_block_types", json!(["UpBlock2D", "UpBlock2D", "AttnUpBlock2D"])),
        ("downsample_padding", json!(2)),
        ("conv_in_kernel", json!(2)),
        ("conv_out_kernel", json!(17)),
    ] {
        model.refused_value(UNET, key, value);
    }
}

#[test]
fn values_of_the_vae_that_are_not_built_are_named() {
    let model = Broken::new();
    let blocks = ["DownEncoderBlock2D"; 3];
    for (key, value) in [
        ("in_channels", json!(4)),
        ("out_channels", json!(1)),
        ("shift_factor", json!(0.1)),
        ("act_fn", json!("relu")),
        ("down_block_types", json!([blocks[0], blocks[1], blocks[2], "AttnDownEncoderBlock2D"])),
        ("up_block_types", json!(["AttnUpDecoderBlock2D"])),
        ("scaling_factor", json!(0)),
        ("scaling_factor", json!("0.18215")),
        ("scaling_factor", json!(1e-300)),
        ("use_quant_conv", json!(1)),
        ("mid_block_add_attention", json!("yes")),
    ] {
        model.refused_value(VAE, key, value);
    }
}

#[test]
fn values_of_the_text_encoder_that_are_not_built_are_named() {
    let model = Broken::new();
    for (key, value) in [
        ("use_attention_mask", json!(true)),
        ("hidden_act", json!("relu")),
        ("num_attention_heads", json!(5)),
        ("layer_norm_eps", json!("1e-5")),
    ] {
        model.refused_value(TEXT, key, value);
    }
}

#[test]
fn defaults_are_read_and_checked() {
    let model = Broken::new();
    let read = || model.open().unwrap().info().generation;
    assert_eq!(read(), GenerationConfig { steps: Some(4), guidance: Some(1.0) });
    for (key, value) in [
        ("num_inference_steps", json!(0)),
        ("num_inference_steps", json!(1001)),
        ("num_inference_steps", json!(4.5)),
        ("num_inference_steps", json!([4])),
        ("guidance_scale", json!(-1)),
        ("guidance_scale", json!(1e9)),
        ("guidance_scale", json!("7.5")),
    ] {
        model.refused_value(GENERATION, key, value);
    }
    model.refused_with(GENERATION, "[4]", &["not a JSON object"]);
    model.write(GENERATION, json!({"do_sample": true, "guidance_scale": null}).to_string());
    assert_eq!(read(), GenerationConfig::default());
    model.remove(GENERATION);
    assert_eq!(read(), GenerationConfig::default());
}

#[test]
fn what_is_no_size_is_named() {
    let model = Broken::new();
    for (file, keys) in [
        (UNET, &["in_channels", "norm_num_groups", "time_embedding_dim", "sample_size"][..]),
        (UNET, &["time_cond_proj_dim", "layers_per_block", "attention_head_dim"]),
        (UNET, &["cross_attention_dim", "transformer_layers_per_block", "conv_in_kernel"]),
        (VAE, &["latent_channels", "layers_per_block", "norm_num_groups"]),
        (TEXT, &["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"]),
        (TEXT, &["num_attention_heads", "max_position_embeddings"]),
    ] {
        for key in keys {
            for value in no_sizes() {
                model.refused_value(file, key, value);
            }
        }
    }
}

#[test]
fn lists_that_are_no_sizes_are_named() {
    let model = Broken::new();
    for file in [UNET, VAE] {
        for value in [
            json!([]),
            json!([0, 16, 24]),
            json!([1_u64 << 60, 16, 24]),
            json!([8, "16", 24]),
            json!([[8], [16], [24]]),
            json!(vec![8; 17]),
            json!(vec![8; 100_000]),
            json!(8),
            json!({"0": 8}),
        ] {
            model.refused_value(file, "block_out_channels", value);
        }
    }
    for key in ["layers_per_block", "attention_head_dim", "cross_attention_dim"] {
        for value in [json!([]), json!([2, 2]), json!([2, 2, 0]), json!([2, 2, 1_u64 << 60])] {
            model.refused_value(UNET, key, value);
        }
    }
    model.refused_value(UNET, "sample_size", json!([8, 8, 8]));
}

#[test]
fn sizes_that_do_not_fit_each_other_are_named() {
    let model = Broken::new();
    for (file, key, value) in [
        (UNET, "norm_num_groups", json!(3)),
        (VAE, "norm_num_groups", json!(5)),
        (UNET, "attention_head_dim", json!(3)),
        (UNET, "attention_head_dim", json!([2, 2, 5])),
        (UNET, "down_block_types", json!(["DownBlock2D"])),
        (UNET, "up_block_types", json!([])),
        (VAE, "down_block_types", json!(["DownEncoderBlock2D"])),
        (VAE, "up_block_types", json!([])),
        (UNET, "cross_attention_dim", json!(48)),
    ] {
        model.refused_value(file, key, value);
    }
    // A UNet for inpainting has the mask and the masked picture as further channels.
    model.set(UNET, "in_channels", json!(9));
    model.refused(UNET, &["9 channels in", "latents of 4"]);
}

#[test]
fn absurd_numbers_of_layers_are_named() {
    let model = Broken::new();
    for (file, key) in [
        (UNET, "layers_per_block"),
        (UNET, "transformer_layers_per_block"),
        (VAE, "layers_per_block"),
        (TEXT, "num_hidden_layers"),
    ] {
        model.refused_value(file, key, json!(1_000_000));
    }
    model.refused_value(UNET, "layers_per_block", json!([2, 1_000_000, 2]));
}

#[test]
fn an_absurd_native_size_is_named() {
    let model = Broken::new();
    for value in [json!(1 << 20), json!([8, 1 << 20])] {
        model.refused_value(UNET, "sample_size", value);
    }
}

#[test]
fn pictures_too_small_for_a_unet_without_padding_are_refused() {
    let model = Broken::new();
    model.set(UNET, "downsample_padding", json!(0));
    let model = model.open().unwrap();
    let plan = Plan { width: 32, height: 32, ..plan() };
    generate(&model, &plan, None, |_| ControlFlow::Continue(())).unwrap();
    for (width, height) in [(16, 32), (32, 16)] {
        let plan = Plan { width, height, ..plan.clone() };
        let error = model.begin(&plan, None).unwrap_err().to_string();
        assert!(error.contains("32 at least"), "{error}");
    }
}
