//! `unet/config.json`: diffusers' `UNet2DConditionModel`.

use serde_json::{Value, json};

use super::Reader;
use super::reader::MAX_LAYERS;
use crate::Result;
use crate::ops::Activation;

/// The largest native side of a latent: times any VAE's scale it fits into 32 bits.
const MAX_SAMPLE_SIZE: usize = 8192;

/// A conditional UNet.
#[derive(Debug, Clone)]
pub struct UNetConfig {
    /// Height and width of the latent that the model was trained on.
    pub sample_size: Option<(usize, usize)>,
    /// Channels of the latent.
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// Cosines before sines in the timestep embedding.
    pub flip_sin_to_cos: bool,
    /// Shift of the timestep embedding's frequencies.
    pub freq_shift: f64,
    /// Blocks on the way down, finest first.
    pub down: Vec<Block>,
    /// The transformer of the middle block, which has the coarsest block's channels.
    pub middle: BlockAttention,
    /// Blocks on the way up, coarsest first.
    pub up: Vec<Block>,
    /// Zero rows before the strided convolutions: 1, or 0 (then one only at the far sides).
    pub downsample_padding: usize,
    /// Groups of the group norms.
    pub norm_groups: usize,
    /// Epsilon of the residual blocks' group norms.
    pub norm_epsilon: f32,
    /// `proj_in` and `proj_out` of the transformers are linear layers, not 1×1 convolutions.
    pub linear_projection: bool,
    /// Channels of the timestep embedding after its two layers.
    pub time_channels: usize,
    /// Channels of the guidance embedding, for models distilled with one.
    pub guidance_channels: Option<usize>,
    /// Side of the first convolution.
    pub conv_in_kernel: usize,
    /// Side of the last convolution.
    pub conv_out_kernel: usize,
}

/// One block on the way down or up.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    /// Channels.
    pub channels: usize,
    /// Residual layers.
    pub layers: usize,
    /// Attention after each residual layer.
    pub attention: Option<BlockAttention>,
}

/// The transformers of one block.
#[derive(Debug, Clone, Copy)]
pub struct BlockAttention {
    /// Heads: what diffusers calls `attention_head_dim`, for history's sake.
    pub heads: usize,
    /// Layers of each transformer.
    pub depth: usize,
    /// Channels of the text conditioning.
    pub conditioning: usize,
}

impl UNetConfig {
    /// Reads the configuration.
    ///
    /// # Errors
    /// A value has the wrong type or is not supported.
    pub fn read(config: &Reader) -> Result<Self> {
        refuse_unimplemented(config)?;
        let channels = config.sizes("block_out_channels", &[320, 640, 1280, 1280])?;
        let norm_groups = config.size("norm_num_groups", 32)?;
        if channels.iter().any(|c| !c.is_multiple_of(norm_groups)) {
            return Err(config.unsupported("norm_num_groups", "it must divide all channels"));
        }
        let conv_in_kernel = config.size("conv_in_kernel", 3)?;
        let conv_out_kernel = config.size("conv_out_kernel", 3)?;
        for (key, kernel) in
            [("conv_in_kernel", conv_in_kernel), ("conv_out_kernel", conv_out_kernel)]
        {
            if kernel % 2 == 0 || kernel > 15 {
                return Err(config.unsupported(key, "odd sides up to 15 are"));
            }
        }
        let count = channels.len();
        let layers = config.sizes_per_block("layers_per_block", count, 2)?;
        config.at_most("layers_per_block", &layers, MAX_LAYERS)?;
        let attention = read_attention(config, &channels)?;
        let (cross, plain) = ("CrossAttnDownBlock2D", "DownBlock2D");
        let default = [cross, cross, cross, plain];
        let down_types = read_types(config, "down_block_types", &default, (cross, plain), count)?;
        let (cross, plain) = ("CrossAttnUpBlock2D", "UpBlock2D");
        let default = [plain, cross, cross, cross];
        let up_types = read_types(config, "up_block_types", &default, (cross, plain), count)?;
        let block = |i: usize, crossed: bool, layers: usize| Block {
            channels: channels[i],
            layers,
            attention: crossed.then_some(attention[i]),
        };
        Ok(Self {
            sample_size: sample_size(config)?,
            in_channels: config.size("in_channels", 4)?,
            out_channels: config.size("out_channels", 4)?,
            flip_sin_to_cos: config.flag("flip_sin_to_cos", true)?,
            freq_shift: config.finite("freq_shift", 0.0)?,
            down: (0..count).map(|i| block(i, down_types[i], layers[i])).collect(),
            middle: attention[count - 1],
            up: (0..count)
                .map(|i| (count - 1 - i, up_types[i]))
                .map(|(level, crossed)| block(level, crossed, layers[level] + 1))
                .collect(),
            downsample_padding: match config.value("downsample_padding").and_then(Value::as_u64) {
                Some(0) => 0,
                _ => {
                    config.only("downsample_padding", &[json!(1)])?;
                    1
                }
            },
            norm_groups,
            norm_epsilon: config.finite("norm_eps", 1e-5)? as f32,
            linear_projection: config.flag("use_linear_projection", false)?,
            time_channels: config.optional_size("time_embedding_dim")?.unwrap_or(channels[0] * 4),
            guidance_channels: config.optional_size("time_cond_proj_dim")?,
            conv_in_kernel,
            conv_out_kernel,
        })
    }
}

/// Keys of the class that would change the picture and that only have one value here.
fn refuse_unimplemented(config: &Reader) -> Result<()> {
    // Here null is a value of its own: no middle block.
    if config.values().get("mid_block_type").is_some_and(Value::is_null) {
        return Err(config.unsupported("mid_block_type", "only UNetMidBlock2DCrossAttn is"));
    }
    for (key, allowed) in [
        ("center_input_sample", json!(false)),
        ("mid_block_type", json!("UNetMidBlock2DCrossAttn")),
        ("only_cross_attention", json!(false)),
        ("mid_block_only_cross_attention", json!(false)),
        ("mid_block_scale_factor", json!(1)),
        ("dual_cross_attention", json!(false)),
        ("resnet_time_scale_shift", json!("default")),
        ("resnet_skip_time_act", json!(false)),
        ("resnet_out_scale_factor", json!(1)),
        ("time_embedding_type", json!("positional")),
        ("attention_type", json!("default")),
        ("class_embeddings_concat", json!(false)),
    ] {
        config.only(key, &[allowed])?;
    }
    for key in [
        "reverse_transformer_layers_per_block",
        "encoder_hid_dim",
        "encoder_hid_dim_type",
        "num_attention_heads",
        "class_embed_type",
        "addition_embed_type",
        "num_class_embeds",
        "time_embedding_act_fn",
        "timestep_post_act",
        "projection_class_embeddings_input_dim",
        "cross_attention_norm",
    ] {
        config.only(key, &[])?;
    }
    if config.activation("act_fn", Activation::Silu)? != Activation::Silu {
        return Err(config.unsupported("act_fn", "only silu is"));
    }
    Ok(())
}

/// The transformers that each block has, or would have if its type had any.
fn read_attention(config: &Reader, channels: &[usize]) -> Result<Vec<BlockAttention>> {
    let count = channels.len();
    let heads = config.sizes_per_block("attention_head_dim", count, 8)?;
    let depth = config.sizes_per_block("transformer_layers_per_block", count, 1)?;
    config.at_most("transformer_layers_per_block", &depth, MAX_LAYERS)?;
    let conditioning = config.sizes_per_block("cross_attention_dim", count, 1280)?;
    (0..count)
        .map(|i| {
            if !channels[i].is_multiple_of(heads[i]) {
                return Err(config.unsupported(
                    "attention_head_dim",
                    "it is the number of heads, and must divide the block's channels",
                ));
            }
            Ok(BlockAttention { heads: heads[i], depth: depth[i], conditioning: conditioning[i] })
        })
        .collect()
}

/// Which blocks have attention, by the names of their classes.
fn read_types(
    config: &Reader,
    key: &str,
    default: &[&str],
    (cross, plain): (&str, &str),
    count: usize,
) -> Result<Vec<bool>> {
    let types = config.names(key, default)?;
    if types.len() != count {
        return Err(config
            .malformed(format!("{key} has {} blocks, block_out_channels {count}", types.len())));
    }
    types
        .iter()
        .map(|name| match name.as_str() {
            name if name == cross => Ok(true),
            name if name == plain => Ok(false),
            _ => Err(config.unsupported(key, &format!("{cross} and {plain} are"))),
        })
        .collect()
}

fn sample_size(config: &Reader) -> Result<Option<(usize, usize)>> {
    let size = match config.value("sample_size") {
        Some(Value::Array(_)) => match config.sizes("sample_size", &[])?.as_slice() {
            &[height, width] => Some((height, width)),
            _ => {
                return Err(config.unsupported("sample_size", "one size, or height and width, are"));
            }
        },
        _ => config.optional_size("sample_size")?.map(|side| (side, side)),
    };
    if let Some((height, width)) = size {
        config.at_most("sample_size", &[height, width], MAX_SAMPLE_SIZE)?;
    }
    Ok(size)
}
