//! `vae/config.json`: diffusers' `AutoencoderKL`.

use serde_json::json;

use super::Reader;
use super::reader::MAX_LAYERS;
use crate::ops::Activation;
use crate::{Error, Result};

/// A variational autoencoder between images and latents.
#[derive(Debug, Clone)]
pub struct VaeConfig {
    /// Channels of the latent.
    pub latent_channels: usize,
    /// Channels at each resolution, finest first.
    pub block_channels: Vec<usize>,
    /// Residual layers of each encoder block; decoder blocks have one more.
    pub layers_per_block: usize,
    /// Groups of the group norms.
    pub norm_groups: usize,
    /// A latent for the UNet is the encoder's times this.
    pub scaling_factor: f32,
    /// A 1×1 convolution follows the encoder.
    pub quant_conv: bool,
    /// A 1×1 convolution precedes the decoder.
    pub post_quant_conv: bool,
    /// The middle blocks have attention.
    pub mid_attention: bool,
}

impl VaeConfig {
    /// Reads the configuration.
    ///
    /// # Errors
    /// A value has the wrong type or is not supported.
    pub fn read(config: &Reader) -> Result<Self> {
        config.only("in_channels", &[json!(3)])?;
        config.only("out_channels", &[json!(3)])?;
        config.only("shift_factor", &[])?;
        let block_channels = config.sizes("block_out_channels", &[64])?;
        check_blocks(config, "down_block_types", "DownEncoderBlock2D", block_channels.len())?;
        check_blocks(config, "up_block_types", "UpDecoderBlock2D", block_channels.len())?;
        if config.activation("act_fn", Activation::Silu)? != Activation::Silu {
            return Err(config.unsupported("act_fn", "only silu is"));
        }
        let norm_groups = config.size("norm_num_groups", 32)?;
        if block_channels.iter().any(|channels| !channels.is_multiple_of(norm_groups)) {
            return Err(config.unsupported("norm_num_groups", "it must divide all channels"));
        }
        let scaling_factor = config.finite("scaling_factor", 0.18215)? as f32;
        if scaling_factor == 0.0 {
            return Err(config.unsupported("scaling_factor", "it must not be 0"));
        }
        let layers_per_block = config.size("layers_per_block", 1)?;
        config.at_most("layers_per_block", &[layers_per_block], MAX_LAYERS)?;
        Ok(Self {
            latent_channels: config.size("latent_channels", 4)?,
            block_channels,
            layers_per_block,
            norm_groups,
            scaling_factor,
            quant_conv: config.flag("use_quant_conv", true)?,
            post_quant_conv: config.flag("use_post_quant_conv", true)?,
            mid_attention: config.flag("mid_block_add_attention", true)?,
        })
    }

    /// Pixels on one side of an image for each pixel of its latent.
    pub fn scale(&self) -> usize {
        1 << (self.block_channels.len() - 1)
    }
}

fn check_blocks(config: &Reader, key: &str, class: &str, count: usize) -> Result<(), Error> {
    let names = config.names(key, &[class])?;
    if names.iter().any(|name| name != class) {
        return Err(config.unsupported(key, &format!("only {class} is")));
    }
    if names.len() != count {
        return Err(config
            .malformed(format!("{key} has {} blocks, block_out_channels {count}", names.len())));
    }
    Ok(())
}
