//! Loading layers by name, with the path so far.

use crate::Result;
use crate::ops::{Conv2d, GatedLinear, GroupNorm, LayerNorm, Linear, Packing, Precision};
use crate::weights::Weights;

/// A place in a component's weights, such as `down_blocks.0.resnets.1`.
#[derive(Clone)]
pub struct Loader<'a> {
    weights: &'a Weights,
    prefix: String,
    packing: Packing,
}

impl<'a> Loader<'a> {
    /// The root of a component.
    pub fn new(weights: &'a Weights, packing: Packing) -> Self {
        Self { weights, prefix: String::new(), packing }
    }

    /// The same place, for layers that stay in `f32` where others are quantised.
    pub fn in_f32(&self) -> Self {
        Self { packing: self.packing.in_f32(), ..self.clone() }
    }

    /// In which numbers layers compute here.
    pub fn precision(&self) -> Precision {
        self.packing.precision()
    }

    /// Bytes that the layers loaded so far keep at the most, beside their files.
    pub fn packed_bytes(&self) -> u64 {
        self.packing.bytes()
    }

    /// The place `name` below this one.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self { prefix: self.name(&name.to_string()), ..self.clone() }
    }

    fn name(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    /// A linear layer with bias.
    ///
    /// # Errors
    /// A tensor is missing or has another shape; so for all the following.
    pub fn linear(&self, name: &str, sizes: (usize, usize)) -> Result<Linear> {
        Linear::load(self.weights, &self.name(name), sizes, true, &self.packing)
    }

    /// A linear layer without bias.
    #[allow(clippy::missing_errors_doc)]
    pub fn linear_no_bias(&self, name: &str, sizes: (usize, usize)) -> Result<Linear> {
        Linear::load(self.weights, &self.name(name), sizes, false, &self.packing)
    }

    /// A linear layer with bias whose outputs are values, then as many gates.
    #[allow(clippy::missing_errors_doc)]
    pub fn gated(&self, name: &str, sizes: (usize, usize)) -> Result<GatedLinear> {
        GatedLinear::load(self.weights, &self.name(name), sizes, &self.packing)
    }

    /// A convolution that keeps the size.
    #[allow(clippy::missing_errors_doc)]
    pub fn conv(&self, name: &str, channels: (usize, usize), kernel: usize) -> Result<Conv2d> {
        Conv2d::load(self.weights, &self.name(name), channels, kernel, &self.packing)
    }

    /// A group norm.
    #[allow(clippy::missing_errors_doc)]
    pub fn group_norm(
        &self,
        name: &str,
        channels: usize,
        groups: usize,
        epsilon: f32,
    ) -> Result<GroupNorm> {
        GroupNorm::load(self.weights, &self.name(name), channels, groups, epsilon)
    }

    /// A layer norm.
    #[allow(clippy::missing_errors_doc)]
    pub fn layer_norm(&self, name: &str, channels: usize, epsilon: f32) -> Result<LayerNorm> {
        LayerNorm::load(self.weights, &self.name(name), channels, epsilon)
    }

    /// A table of `[rows, width]`, as stored.
    #[allow(clippy::missing_errors_doc)]
    pub fn table(&self, name: &str, rows: usize, width: usize) -> Result<crate::weights::Param> {
        self.weights.get(&self.name(name), &[rows, width])
    }
}
