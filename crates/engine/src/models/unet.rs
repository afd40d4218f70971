//! The conditional UNet (diffusers' `UNet2DConditionModel`).

use std::rc::Rc;

use super::resnet::{Resnet, ResnetConfig};
use super::rows::Rows;
use super::transformer::{Transformer, TransformerConfig};
use super::{Loader, timestep_embedding};
use crate::Result;
use crate::config::{Block, UNetConfig};
use crate::ops::{
    Conv2d, GroupNorm, KeyValue, Linear, Packing, Tensor, concat_channels, conv2d, group_norm_silu,
    linear_vector, silu_vector, upsample_conv2d,
};
use crate::weights::Weights;

/// A UNet: a noisy latent, a timestep and a conditioning to a prediction.
#[derive(Debug)]
pub struct UNet {
    time: TimeEmbedding,
    conv_in: Conv2d,
    down: Vec<DownBlock>,
    middle: (Resnet, Transformer, Resnet),
    up: Vec<UpBlock>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    config: UNetConfig,
    packed_bytes: u64,
}

/// One text, as keys and values for every cross-attention layer; computed once a sample.
#[derive(Debug)]
pub struct Conditioning {
    pub(super) layers: Vec<KeyValue>,
}

#[derive(Debug)]
struct TimeEmbedding {
    guidance: Option<Linear>,
    linear1: Linear,
    linear2: Linear,
}

#[derive(Debug)]
struct Layer {
    resnet: Resnet,
    transformer: Option<Transformer>,
}

#[derive(Debug)]
struct DownBlock {
    layers: Vec<Layer>,
    downsample: Option<Conv2d>,
}

#[derive(Debug)]
struct UpBlock {
    layers: Vec<Layer>,
    upsample: Option<Conv2d>,
}

impl UNet {
    /// Loads the model.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn load(weights: &Weights, config: UNetConfig, packing: Packing) -> Result<Self> {
        let loader = Loader::new(weights, packing);
        let exact = loader.in_f32();
        let first = config.down[0].channels;
        let last = config.up[0].channels;
        let parts = Parts {
            resnet: ResnetConfig {
                groups: config.norm_groups,
                epsilon: config.norm_epsilon,
                time_channels: Some(config.time_channels),
            },
            transformer: TransformerConfig {
                groups: config.norm_groups,
                linear_projection: config.linear_projection,
            },
        };
        let mut next = 0;

        // Channels of every skip connection, in the order in which they are made.
        let mut skips = vec![first];
        let mut down = Vec::new();
        let mut channels = first;
        for (i, block) in config.down.iter().enumerate() {
            let at = loader.at("down_blocks").at(i);
            let inputs: Vec<usize> =
                (0..block.layers).map(|l| if l == 0 { channels } else { block.channels }).collect();
            channels = block.channels;
            skips.extend(vec![channels; block.layers]);
            let downsample = if i + 1 < config.down.len() {
                skips.push(channels);
                let conv = at.conv("downsamplers.0.conv", (channels, channels), 3)?;
                Some(conv.halving(config.downsample_padding))
            } else {
                None
            };
            down.push(DownBlock {
                layers: parts.layers(&at, block, &inputs, &mut next)?,
                downsample,
            });
        }

        let at = loader.at("mid_block");
        let wide = (channels, channels);
        let middle = (
            Resnet::load(&at.at("resnets.0"), wide, &parts.resnet)?,
            Transformer::load(
                &at.at("attentions.0"),
                channels,
                &config.middle,
                parts.transformer,
                &mut next,
            )?,
            Resnet::load(&at.at("resnets.1"), wide, &parts.resnet)?,
        );

        let mut up = Vec::new();
        channels = last;
        for (i, block) in config.up.iter().enumerate() {
            let at = loader.at("up_blocks").at(i);
            let inputs: Vec<usize> = (0..block.layers)
                .map(|l| {
                    let below = if l == 0 { channels } else { block.channels };
                    below + skips.pop().unwrap_or(0)
                })
                .collect();
            channels = block.channels;
            let upsample = (i + 1 < config.up.len())
                .then(|| at.conv("upsamplers.0.conv", (channels, channels), 3))
                .transpose()?;
            up.push(UpBlock { layers: parts.layers(&at, block, &inputs, &mut next)?, upsample });
        }

        Ok(Self {
            time: TimeEmbedding::load(&exact.at("time_embedding"), &config)?,
            conv_in: exact.conv("conv_in", (config.in_channels, first), config.conv_in_kernel)?,
            down,
            middle,
            up,
            norm_out: loader.group_norm(
                "conv_norm_out",
                first,
                config.norm_groups,
                config.norm_epsilon,
            )?,
            conv_out: exact.conv(
                "conv_out",
                (first, config.out_channels),
                config.conv_out_kernel,
            )?,
            config,
            packed_bytes: loader.packed_bytes(),
        })
    }

    /// Bytes that packed weights take at the most, beside the file.
    pub fn packed_bytes(&self) -> u64 {
        self.packed_bytes
    }

    /// The configuration.
    pub fn config(&self) -> &UNetConfig {
        &self.config
    }

    /// Keys and values for one text `[1, tokens, cross_attention_dim]`.
    pub fn condition(&self, text: &Tensor) -> Conditioning {
        let mut layers = Vec::new();
        let down = self.down.iter().flat_map(|block| &block.layers);
        let up = self.up.iter().flat_map(|block| &block.layers);
        let transformers = down
            .filter_map(|layer| layer.transformer.as_ref())
            .chain([&self.middle.1])
            .chain(up.filter_map(|layer| layer.transformer.as_ref()));
        for transformer in transformers {
            transformer.condition(text, &mut layers);
        }
        Conditioning { layers }
    }

    /// The predictions for a batch of latents, each at a timestep and under one text or more: a row
    /// for each text. What does not depend on the text yet is computed once for each latent.
    ///
    /// `guidance` holds, for each latent, the embedding of its guidance scale, where the model was
    /// distilled with one; otherwise it is empty.
    pub fn forward(
        &self,
        latents: &Tensor,
        timesteps: &[f32],
        texts: &[Vec<&Conditioning>],
        guidance: &[Vec<f32>],
    ) -> Tensor {
        let rows = Rows::new(self.time.forward(timesteps, guidance, &self.config), texts);
        let mut x = Rc::new(conv2d(latents, &self.conv_in));
        let mut skips = vec![x.clone()];
        for block in &self.down {
            for layer in &block.layers {
                x = Rc::new(layer.forward(&x, &rows));
                skips.push(x.clone());
            }
            if let Some(conv) = &block.downsample {
                x = Rc::new(conv2d(&x, conv));
                skips.push(x.clone());
            }
        }

        let (resnet1, transformer, resnet2) = &self.middle;
        let mut x = resnet1.forward(&x, rows.time(&x));
        x = transformer.forward(x, &rows);
        x = resnet2.forward(&x, rows.time(&x));

        for block in &self.up {
            for layer in &block.layers {
                if let Some(skip) = skips.pop() {
                    x = concat_channels(&x, rows.split(&skip).as_ref().unwrap_or(&skip));
                }
                x = layer.forward(&x, &rows);
            }
            if let (Some(conv), Some(next)) = (&block.upsample, skips.last()) {
                // To the skip's size: twice as large, or one less where a side was odd.
                let size = (next.shape().height, next.shape().width);
                x = upsample_conv2d(&x, size, conv);
            }
        }
        conv2d(&group_norm_silu(&x, &self.norm_out), &self.conv_out)
    }
}

/// What the blocks of one UNet are built of.
struct Parts {
    resnet: ResnetConfig,
    transformer: TransformerConfig,
}

impl Parts {
    /// The layers of a block; layer `i` takes `inputs[i]` channels.
    fn layers(
        &self,
        loader: &Loader<'_>,
        block: &Block,
        inputs: &[usize],
        next: &mut usize,
    ) -> Result<Vec<Layer>> {
        let channels = block.channels;
        inputs
            .iter()
            .enumerate()
            .map(|(i, &input)| {
                let resnets = loader.at("resnets").at(i);
                let attentions = loader.at("attentions").at(i);
                let transformer = block.attention.as_ref().map(|attention| {
                    Transformer::load(&attentions, channels, attention, self.transformer, next)
                });
                Ok(Layer {
                    resnet: Resnet::load(&resnets, (input, channels), &self.resnet)?,
                    transformer: transformer.transpose()?,
                })
            })
            .collect()
    }
}

impl Layer {
    fn forward(&self, x: &Tensor, rows: &Rows<'_>) -> Tensor {
        let x = self.resnet.forward(x, rows.time(x));
        match &self.transformer {
            Some(transformer) => transformer.forward(x, rows),
            None => x,
        }
    }
}

impl TimeEmbedding {
    fn load(loader: &Loader<'_>, config: &UNetConfig) -> Result<Self> {
        let input = config.down[0].channels;
        let channels = config.time_channels;
        Ok(Self {
            guidance: config
                .guidance_channels
                .map(|guidance| loader.linear_no_bias("cond_proj", (guidance, input)))
                .transpose()?,
            linear1: loader.linear("linear_1", (input, channels))?,
            linear2: loader.linear("linear_2", (channels, channels))?,
        })
    }

    /// For each latent the SiLU of its embedding: no residual block uses it without.
    fn forward(
        &self,
        timesteps: &[f32],
        guidance: &[Vec<f32>],
        config: &UNetConfig,
    ) -> Vec<Vec<f32>> {
        let channels = config.down[0].channels;
        timesteps
            .iter()
            .enumerate()
            .map(|(i, &timestep)| {
                let UNetConfig { flip_sin_to_cos, freq_shift, .. } = *config;
                let mut x = timestep_embedding(timestep, channels, flip_sin_to_cos, freq_shift);
                if let (Some(layer), Some(embedding)) = (&self.guidance, guidance.get(i)) {
                    let shift = linear_vector(embedding, layer);
                    x.iter_mut().zip(shift).for_each(|(x, s)| *x += s);
                }
                let hidden = silu_vector(linear_vector(&x, &self.linear1));
                silu_vector(linear_vector(&hidden, &self.linear2))
            })
            .collect()
    }
}
