//! The spatial transformer of the UNet (diffusers' `Transformer2DModel`).

use super::Loader;
use super::rows::Rows;
use crate::Result;
use crate::config::BlockAttention;
use crate::ops::{
    Conv2d, GatedLinear, GroupNorm, KeyValue, LayerNorm, Linear, Precision, Tensor, attention,
    conv2d, conv2d_plus, cross_attention, geglu, group_norm, layer_norm, linear, linear_plus,
};

/// Norm, projection in, transformer layers, projection out, and the residual.
#[derive(Debug)]
pub(super) struct Transformer {
    norm: GroupNorm,
    project_in: Projection,
    layers: Vec<Layer>,
    project_out: Projection,
}

#[derive(Debug)]
enum Projection {
    Linear(Linear),
    Conv(Conv2d),
}

#[derive(Debug)]
struct Layer {
    norm1: LayerNorm,
    own: Attention,
    norm2: LayerNorm,
    text: Attention,
    norm3: LayerNorm,
    feed_in: GatedLinear,
    feed_out: Linear,
    /// Which keys and values of a [`super::unet::Conditioning`] are this layer's.
    index: usize,
}

#[derive(Debug)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
    precision: Precision,
}

/// What all transformers of a UNet share.
#[derive(Debug, Clone, Copy)]
pub(super) struct TransformerConfig {
    pub(super) groups: usize,
    pub(super) linear_projection: bool,
}

impl Transformer {
    /// `next` counts the cross-attention layers of the UNet in loading order.
    pub(super) fn load(
        loader: &Loader<'_>,
        channels: usize,
        block: &BlockAttention,
        config: TransformerConfig,
        next: &mut usize,
    ) -> Result<Self> {
        let projection = |name: &str| {
            Ok::<_, crate::Error>(if config.linear_projection {
                Projection::Linear(loader.linear(name, (channels, channels))?)
            } else {
                Projection::Conv(loader.conv(name, (channels, channels), 1)?)
            })
        };
        Ok(Self {
            norm: loader.group_norm("norm", channels, config.groups, 1e-6)?,
            project_in: projection("proj_in")?,
            layers: (0..block.depth)
                .map(|i| {
                    let index = *next;
                    *next += 1;
                    Layer::load(&loader.at("transformer_blocks").at(i), channels, block, index)
                })
                .collect::<Result<_>>()?,
            project_out: projection("proj_out")?,
        })
    }

    /// A row for each text, whether `x` has one for each or one for each latent.
    pub(super) fn forward(&self, mut x: Tensor, rows: &Rows<'_>) -> Tensor {
        let (height, width) = (x.shape().height, x.shape().width);
        let mut hidden = self.project_in.apply(&group_norm(&x, &self.norm)).into_sequence();
        for layer in &self.layers {
            hidden = layer.forward(hidden, rows);
        }
        x = rows.split(&x).unwrap_or(x);
        self.project_out.add(&hidden.into_image(height, width), x)
    }

    /// Keys and values of `text` for each layer, in order.
    pub(super) fn condition(&self, text: &Tensor, into: &mut Vec<KeyValue>) {
        for Layer { text: attention, .. } in &self.layers {
            into.push(KeyValue {
                key: linear(text, &attention.key),
                value: linear(text, &attention.value),
            });
        }
    }
}

impl Projection {
    fn apply(&self, x: &Tensor) -> Tensor {
        match self {
            Self::Linear(layer) => linear(x, layer),
            Self::Conv(layer) => conv2d(x, layer),
        }
    }

    /// `y` and the projection of `x`.
    fn add(&self, x: &Tensor, y: Tensor) -> Tensor {
        match self {
            Self::Linear(layer) => linear_plus(x, layer, y),
            Self::Conv(layer) => conv2d_plus(x, layer, &y),
        }
    }
}

impl Layer {
    fn load(
        loader: &Loader<'_>,
        channels: usize,
        block: &BlockAttention,
        index: usize,
    ) -> Result<Self> {
        let feed = loader.at("ff.net");
        Ok(Self {
            norm1: loader.layer_norm("norm1", channels, 1e-5)?,
            own: Attention::load(&loader.at("attn1"), channels, block.heads)?,
            norm2: loader.layer_norm("norm2", channels, 1e-5)?,
            text: Attention::load_cross(&loader.at("attn2"), channels, block)?,
            norm3: loader.layer_norm("norm3", channels, 1e-5)?,
            feed_in: feed.gated("0.proj", (channels, 4 * channels))?,
            feed_out: feed.linear("2", (4 * channels, channels))?,
            index,
        })
    }

    fn forward(&self, x: Tensor, rows: &Rows<'_>) -> Tensor {
        let normed = layer_norm(&x, &self.norm1);
        let own = &self.own;
        let attended = attention(
            &linear(&normed, &own.query),
            &linear(&normed, &own.key),
            &linear(&normed, &own.value),
            own.heads,
            own.precision,
        );
        drop(normed);
        let mut x = linear_plus(&attended, &own.out, x);
        drop(attended);
        x = rows.split(&x).unwrap_or(x);

        let query = linear(&layer_norm(&x, &self.norm2), &self.text.query);
        let texts = rows.conditioning().iter();
        let sources: Vec<&KeyValue> = texts.map(|text| &text.layers[self.index]).collect();
        let attended = cross_attention(&query, &sources, self.text.heads);
        let x = linear_plus(&attended, &self.text.out, x);
        drop((query, attended));

        let inner = geglu(&layer_norm(&x, &self.norm3), &self.feed_in);
        linear_plus(&inner, &self.feed_out, x)
    }
}

impl Attention {
    fn load(loader: &Loader<'_>, channels: usize, heads: usize) -> Result<Self> {
        Self::load_over(loader, loader, (channels, channels), heads)
    }

    /// Keys and values of a text are computed once a sample, so that they can stay exact.
    fn load_cross(loader: &Loader<'_>, channels: usize, block: &BlockAttention) -> Result<Self> {
        Self::load_over(loader, &loader.in_f32(), (channels, block.conditioning), block.heads)
    }

    /// Queries of `channels` and keys and values of `inputs`, which `source` loads.
    fn load_over(
        loader: &Loader<'_>,
        source: &Loader<'_>,
        (channels, inputs): (usize, usize),
        heads: usize,
    ) -> Result<Self> {
        Ok(Self {
            query: loader.linear_no_bias("to_q", (channels, channels))?,
            key: source.linear_no_bias("to_k", (inputs, channels))?,
            value: source.linear_no_bias("to_v", (inputs, channels))?,
            // Its errors stay in what skips around the layer, and it is a small part of the work.
            out: loader.in_f32().linear("to_out.0", (channels, channels))?,
            heads,
            precision: source.precision(),
        })
    }
}
