//! The variational autoencoder (diffusers' `AutoencoderKL`).

use super::Loader;
use super::resnet::{Resnet, ResnetConfig};
use crate::Result;
use crate::config::VaeConfig;
use crate::ops::{
    Conv2d, GroupNorm, Linear, Packing, Precision, Tensor, attention, conv2d, group_norm,
    group_norm_silu, linear, linear_plus, upsample_conv2d,
};
use crate::weights::Weights;

/// Encoder and decoder.
#[derive(Debug)]
pub struct Vae {
    encoder: Encoder,
    quant: Option<Conv2d>,
    post_quant: Option<Conv2d>,
    decoder: Decoder,
    config: VaeConfig,
    packed_bytes: u64,
}

/// The normal distribution of the latents of one image; planes `[channels, height, width]`.
#[derive(Debug, Clone)]
pub struct Posterior {
    /// Means.
    pub mean: Vec<f32>,
    /// Logarithms of the variances, clamped to −30…20.
    pub log_variance: Vec<f32>,
}

#[derive(Debug)]
struct Encoder {
    conv_in: Conv2d,
    down: Vec<(Vec<Resnet>, Option<Conv2d>)>,
    middle: Middle,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

#[derive(Debug)]
struct Decoder {
    conv_in: Conv2d,
    middle: Middle,
    up: Vec<(Vec<Resnet>, Option<Conv2d>)>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

#[derive(Debug)]
struct Middle {
    resnet1: Resnet,
    attention: Option<Attention>,
    resnet2: Resnet,
}

/// Attention of one head over all pixels.
#[derive(Debug)]
struct Attention {
    norm: GroupNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
}

const EPSILON: f32 = 1e-6;

impl Vae {
    /// Loads the model; attention keys may have diffusers' old names or the new ones.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn load(mut weights: Weights, config: VaeConfig, packing: Packing) -> Result<Self> {
        weights.rename(modern_name)?;
        let loader = Loader::new(&weights, packing);
        let latent = config.latent_channels;
        let moments = 2 * latent;
        Ok(Self {
            encoder: Encoder::load(&loader.at("encoder"), &config)?,
            quant: config
                .quant_conv
                .then(|| loader.conv("quant_conv", (moments, moments), 1))
                .transpose()?,
            post_quant: config
                .post_quant_conv
                .then(|| loader.conv("post_quant_conv", (latent, latent), 1))
                .transpose()?,
            decoder: Decoder::load(&loader.at("decoder"), &config)?,
            config,
            packed_bytes: loader.packed_bytes(),
        })
    }

    /// Bytes that packed weights take at the most, beside the file.
    pub fn packed_bytes(&self) -> u64 {
        self.packed_bytes
    }

    /// The configuration.
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// The latents' distribution for each image `[3, height, width]` in −1…1 of the batch; sides
    /// must be multiples of [`VaeConfig::scale`].
    pub fn encode(&self, images: &Tensor) -> Vec<Posterior> {
        let mut moments = self.encoder.forward(images);
        if let Some(conv) = &self.quant {
            moments = conv2d(&moments, conv);
        }
        (0..moments.shape().batch)
            .map(|row| {
                let mut mean = moments.planes(row);
                let mut log_variance = mean.split_off(mean.len() / 2);
                log_variance.iter_mut().for_each(|v| *v = v.clamp(-30.0, 20.0));
                Posterior { mean, log_variance }
            })
            .collect()
    }

    /// Images in about −1…1 for a batch of latents as the encoder gives them (not scaled).
    pub fn decode(&self, latents: &Tensor) -> Tensor {
        match &self.post_quant {
            Some(conv) => self.decoder.forward(&conv2d(latents, conv)),
            None => self.decoder.forward(latents),
        }
    }
}

impl Posterior {
    /// The latent for unit noise of the same length.
    pub fn sample(&self, noise: &[f32]) -> Vec<f32> {
        let spread = self.log_variance.iter().map(|v| (0.5 * v).exp());
        self.mean.iter().zip(spread).zip(noise).map(|((m, s), n)| m + s * n).collect()
    }
}

/// Maps the attention keys of old files to those of today.
fn modern_name(key: &str) -> String {
    const NAMES: [(&str, &str); 4] =
        [("query", "to_q"), ("key", "to_k"), ("value", "to_v"), ("proj_attn", "to_out.0")];
    let Some((before, after)) = key.split_once(".attentions.0.") else { return key.to_owned() };
    for (old, new) in NAMES {
        if let Some(rest) = after.strip_prefix(old).filter(|rest| rest.starts_with('.')) {
            return format!("{before}.attentions.0.{new}{rest}");
        }
    }
    key.to_owned()
}

fn resnet_config(config: &VaeConfig) -> ResnetConfig {
    ResnetConfig { groups: config.norm_groups, epsilon: EPSILON, time_channels: None }
}

/// Residual layers of one block; only the first changes the channels.
fn resnets(
    loader: &Loader<'_>,
    (input, output): (usize, usize),
    count: usize,
    config: &VaeConfig,
) -> Result<Vec<Resnet>> {
    (0..count)
        .map(|i| {
            let from = if i == 0 { input } else { output };
            Resnet::load(&loader.at("resnets").at(i), (from, output), &resnet_config(config))
        })
        .collect()
}

impl Encoder {
    fn load(loader: &Loader<'_>, config: &VaeConfig) -> Result<Self> {
        let channels = &config.block_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let down = (0..channels.len())
            .map(|i| {
                let at = loader.at("down_blocks").at(i);
                let wide = (channels[i], channels[i]);
                let layers = resnets(
                    &at,
                    (channels[i.saturating_sub(1)], channels[i]),
                    config.layers_per_block,
                    config,
                )?;
                let downsample = (i + 1 < channels.len())
                    .then(|| at.conv("downsamplers.0.conv", wide, 3))
                    .transpose()?;
                Ok((layers, downsample.map(|conv| conv.halving(0))))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            conv_in: loader.conv("conv_in", (3, first), 3)?,
            down,
            middle: Middle::load(&loader.at("mid_block"), last, config)?,
            norm_out: loader.group_norm("conv_norm_out", last, config.norm_groups, EPSILON)?,
            conv_out: loader.conv("conv_out", (last, 2 * config.latent_channels), 3)?,
        })
    }

    fn forward(&self, images: &Tensor) -> Tensor {
        let mut x = conv2d(images, &self.conv_in);
        for (layers, downsample) in &self.down {
            for resnet in layers {
                x = resnet.forward(&x, &[]);
            }
            if let Some(conv) = downsample {
                x = conv2d(&x, conv);
            }
        }
        x = self.middle.forward(x);
        conv2d(&group_norm_silu(&x, &self.norm_out), &self.conv_out)
    }
}

impl Decoder {
    fn load(loader: &Loader<'_>, config: &VaeConfig) -> Result<Self> {
        let channels: Vec<usize> = config.block_channels.iter().rev().copied().collect();
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let up = (0..channels.len())
            .map(|i| {
                let at = loader.at("up_blocks").at(i);
                let wide = (channels[i], channels[i]);
                let layers = resnets(
                    &at,
                    (channels[i.saturating_sub(1)], channels[i]),
                    config.layers_per_block + 1,
                    config,
                )?;
                let upsample = (i + 1 < channels.len())
                    .then(|| at.conv("upsamplers.0.conv", wide, 3))
                    .transpose()?;
                Ok((layers, upsample))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            conv_in: loader.conv("conv_in", (config.latent_channels, first), 3)?,
            middle: Middle::load(&loader.at("mid_block"), first, config)?,
            up,
            norm_out: loader.group_norm("conv_norm_out", last, config.norm_groups, EPSILON)?,
            conv_out: loader.conv("conv_out", (last, 3), 3)?,
        })
    }

    fn forward(&self, latents: &Tensor) -> Tensor {
        let mut x = self.middle.forward(conv2d(latents, &self.conv_in));
        for (layers, upsample) in &self.up {
            for resnet in layers {
                x = resnet.forward(&x, &[]);
            }
            if let Some(conv) = upsample {
                let size = (2 * x.shape().height, 2 * x.shape().width);
                x = upsample_conv2d(&x, size, conv);
            }
        }
        conv2d(&group_norm_silu(&x, &self.norm_out), &self.conv_out)
    }
}

impl Middle {
    fn load(loader: &Loader<'_>, channels: usize, config: &VaeConfig) -> Result<Self> {
        let wide = (channels, channels);
        let resnet =
            |i: usize| Resnet::load(&loader.at("resnets").at(i), wide, &resnet_config(config));
        Ok(Self {
            resnet1: resnet(0)?,
            attention: config
                .mid_attention
                .then(|| Attention::load(&loader.at("attentions.0"), channels, config))
                .transpose()?,
            resnet2: resnet(1)?,
        })
    }

    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = self.resnet1.forward(&x, &[]);
        if let Some(attention) = &self.attention {
            x = attention.forward(x);
        }
        self.resnet2.forward(&x, &[])
    }
}

impl Attention {
    fn load(loader: &Loader<'_>, channels: usize, config: &VaeConfig) -> Result<Self> {
        let wide = (channels, channels);
        Ok(Self {
            norm: loader.group_norm("group_norm", channels, config.norm_groups, EPSILON)?,
            query: loader.linear("to_q", wide)?,
            key: loader.linear("to_k", wide)?,
            value: loader.linear("to_v", wide)?,
            out: loader.linear("to_out.0", wide)?,
        })
    }

    fn forward(&self, x: Tensor) -> Tensor {
        let (height, width) = (x.shape().height, x.shape().width);
        let normed = group_norm(&x, &self.norm).into_sequence();
        let attended = attention(
            &linear(&normed, &self.query),
            &linear(&normed, &self.key),
            &linear(&normed, &self.value),
            1,
            Precision::F32,
        );
        linear_plus(&attended, &self.out, x.into_sequence()).into_image(height, width)
    }
}

#[cfg(test)]
mod tests {
    use super::modern_name;

    #[test]
    fn old_attention_names_become_new_ones() {
        for (old, new) in [
            (
                "encoder.mid_block.attentions.0.query.weight",
                "encoder.mid_block.attentions.0.to_q.weight",
            ),
            (
                "decoder.mid_block.attentions.0.proj_attn.bias",
                "decoder.mid_block.attentions.0.to_out.0.bias",
            ),
            (
                "decoder.mid_block.attentions.0.to_k.bias",
                "decoder.mid_block.attentions.0.to_k.bias",
            ),
            ("decoder.conv_in.weight", "decoder.conv_in.weight"),
        ] {
            assert_eq!(modern_name(old), new);
        }
    }
}
