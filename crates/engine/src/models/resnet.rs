//! The residual block that UNet and VAE share (diffusers' `ResnetBlock2D`).

use super::Loader;
use crate::Result;
use crate::ops::{
    Conv2d, GroupNorm, Linear, Tensor, conv2d, conv2d_plus, conv2d_shifted, group_norm_silu,
    linear_vector,
};

/// Two convolutions with norms, a timestep embedding between them where there is one, and a
/// shortcut.
#[derive(Debug)]
pub(super) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

/// What a residual block is made of besides its channels.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResnetConfig {
    pub(super) groups: usize,
    pub(super) epsilon: f32,
    /// Channels of the timestep embedding.
    pub(super) time_channels: Option<usize>,
}

impl Resnet {
    pub(super) fn load(
        loader: &Loader<'_>,
        (input, output): (usize, usize),
        config: &ResnetConfig,
    ) -> Result<Self> {
        let ResnetConfig { groups, epsilon, time_channels } = *config;
        Ok(Self {
            norm1: loader.group_norm("norm1", input, groups, epsilon)?,
            conv1: loader.conv("conv1", (input, output), 3)?,
            time: time_channels
                .map(|channels| loader.in_f32().linear("time_emb_proj", (channels, output)))
                .transpose()?,
            norm2: loader.group_norm("norm2", output, groups, epsilon)?,
            conv2: loader.conv("conv2", (output, output), 3)?,
            shortcut: (input != output)
                .then(|| loader.conv("conv_shortcut", (input, output), 1))
                .transpose()?,
        })
    }

    /// `time` holds, for each batch row, the SiLU of its timestep embedding; empty for a VAE.
    pub(super) fn forward(&self, x: &Tensor, time: &[Vec<f32>]) -> Tensor {
        let hidden = group_norm_silu(x, &self.norm1);
        let hidden = match &self.time {
            Some(layer) => {
                let shifts: Vec<_> = time.iter().map(|row| linear_vector(row, layer)).collect();
                conv2d_shifted(&hidden, &self.conv1, &shifts)
            }
            None => conv2d(&hidden, &self.conv1),
        };
        let hidden = group_norm_silu(&hidden, &self.norm2);
        match &self.shortcut {
            Some(shortcut) => conv2d_plus(&hidden, &self.conv2, &conv2d(x, shortcut)),
            None => conv2d_plus(&hidden, &self.conv2, x),
        }
    }
}
