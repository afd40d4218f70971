//! `text_encoder/config.json`: transformers' `CLIPTextConfig`.

use serde_json::json;

use super::Reader;
use super::reader::MAX_LAYERS;
use crate::Result;
use crate::ops::Activation;

/// A CLIP text model.
#[derive(Debug, Clone)]
pub struct ClipTextConfig {
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Channels of every token.
    pub hidden_size: usize,
    /// Channels inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Transformer layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// The longest sequence.
    pub max_positions: usize,
    /// Activation of the feed-forward layers.
    pub activation: Activation,
    /// Epsilon of the layer norms.
    pub epsilon: f32,
}

impl ClipTextConfig {
    /// Reads the configuration.
    ///
    /// # Errors
    /// A value has the wrong type or is not supported.
    pub fn read(config: &Reader) -> Result<Self> {
        config.only("use_attention_mask", &[json!(false)])?;
        let read = Self {
            vocab_size: config.size("vocab_size", 49408)?,
            hidden_size: config.size("hidden_size", 512)?,
            intermediate_size: config.size("intermediate_size", 2048)?,
            layers: config.size("num_hidden_layers", 12)?,
            heads: config.size("num_attention_heads", 8)?,
            max_positions: config.size("max_position_embeddings", 77)?,
            activation: config.activation("hidden_act", Activation::QuickGelu)?,
            epsilon: config.finite("layer_norm_eps", 1e-5)? as f32,
        };
        if !read.hidden_size.is_multiple_of(read.heads) {
            return Err(config.unsupported("num_attention_heads", "it must divide hidden_size"));
        }
        config.at_most("num_hidden_layers", &[read.layers], MAX_LAYERS)?;
        Ok(read)
    }
}
