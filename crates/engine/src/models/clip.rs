//! CLIP's text model (transformers' `CLIPTextModel`).

use super::Loader;
use crate::config::ClipTextConfig;
use crate::ops::{
    Activation, LayerNorm, Linear, Meter, Packing, Shape, Tensor, causal_attention, layer_norm,
    linear, linear_activated, linear_plus,
};
use crate::weights::{Param, Weights};
use crate::{Error, Result};

/// A text encoder: token ids to one vector of conditioning for each.
#[derive(Debug)]
pub struct ClipText {
    tokens: Param,
    positions: Param,
    layers: Vec<Layer>,
    final_norm: LayerNorm,
    config: ClipTextConfig,
    packed_bytes: u64,
}

#[derive(Debug)]
struct Layer {
    norm1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    activation: Activation,
}

impl ClipText {
    /// Loads the model; keys may carry the prefix `text_model.` or not.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn load(mut weights: Weights, config: ClipTextConfig, packing: Packing) -> Result<Self> {
        weights.rename(|key| key.strip_prefix("text_model.").unwrap_or(key).to_owned())?;
        let loader = Loader::new(&weights, packing);
        let hidden = config.hidden_size;
        let embeddings = loader.at("embeddings");
        Ok(Self {
            tokens: embeddings.table("token_embedding.weight", config.vocab_size, hidden)?,
            positions: embeddings.table(
                "position_embedding.weight",
                config.max_positions,
                hidden,
            )?,
            layers: (0..config.layers)
                .map(|i| Layer::load(&loader.at("encoder.layers").at(i), &config))
                .collect::<Result<_>>()?,
            final_norm: loader.layer_norm("final_layer_norm", hidden, config.epsilon)?,
            config,
            packed_bytes: loader.packed_bytes(),
        })
    }

    /// Bytes that packed weights take at the most, beside the file.
    pub fn packed_bytes(&self) -> u64 {
        self.packed_bytes
    }

    /// The longest sequence that the model takes.
    pub fn max_positions(&self) -> usize {
        self.config.max_positions
    }

    /// The hidden state of the last layer but `left_out`, after the final norm: `[1, tokens,
    /// hidden_size]`.
    ///
    /// # Errors
    /// An id is outside the vocabulary, there are more tokens than positions, or no layer is left.
    pub fn forward(&self, ids: &[u32], left_out: usize, meter: &Meter) -> Result<Tensor> {
        let layers = match self.layers.len().checked_sub(left_out) {
            None | Some(0) => {
                let count = self.layers.len();
                let message = format!("{left_out} of the text encoder's {count} layers left out");
                return Err(Error::Invalid(message));
            }
            Some(layers) => &self.layers[..layers],
        };
        let hidden = self.config.hidden_size;
        if ids.len() > self.config.max_positions {
            return Err(Error::Invalid(format!(
                "{} tokens for a text encoder of {} positions",
                ids.len(),
                self.config.max_positions
            )));
        }
        let mut rows = Vec::with_capacity(ids.len() * hidden);
        for (position, &id) in ids.iter().enumerate() {
            if id as usize >= self.config.vocab_size {
                return Err(Error::Invalid(format!(
                    "token {id} is outside the text encoder's vocabulary of {}",
                    self.config.vocab_size
                )));
            }
            let token = self.tokens.row(id as usize, hidden);
            let place = self.positions.row(position, hidden);
            rows.extend(token.iter().zip(place).map(|(t, p)| t + p));
        }
        let mut x = if meter.is_planning() {
            let shape = Shape { batch: 1, height: ids.len(), width: 1, channels: hidden };
            Tensor::planned(shape, meter)
        } else {
            Tensor::sequences(&[&rows], hidden, meter)
        };
        for layer in layers {
            x = layer.forward(x);
        }
        Ok(layer_norm(&x, &self.final_norm))
    }
}

impl Layer {
    fn load(loader: &Loader<'_>, config: &ClipTextConfig) -> Result<Self> {
        let hidden = config.hidden_size;
        let square = (hidden, hidden);
        let attention = loader.at("self_attn");
        let mlp = loader.at("mlp");
        Ok(Self {
            norm1: loader.layer_norm("layer_norm1", hidden, config.epsilon)?,
            query: attention.linear("q_proj", square)?,
            key: attention.linear("k_proj", square)?,
            value: attention.linear("v_proj", square)?,
            out: attention.linear("out_proj", square)?,
            norm2: loader.layer_norm("layer_norm2", hidden, config.epsilon)?,
            fc1: mlp.linear("fc1", (hidden, config.intermediate_size))?,
            fc2: mlp.linear("fc2", (config.intermediate_size, hidden))?,
            heads: config.heads,
            activation: config.activation,
        })
    }

    fn forward(&self, x: Tensor) -> Tensor {
        let normed = layer_norm(&x, &self.norm1);
        let attended = causal_attention(
            &linear(&normed, &self.query),
            &linear(&normed, &self.key),
            &linear(&normed, &self.value),
            self.heads,
        );
        let x = linear_plus(&attended, &self.out, x);
        let inner = linear_activated(&layer_norm(&x, &self.norm2), &self.fc1, self.activation);
        linear_plus(&inner, &self.fc2, x)
    }
}
