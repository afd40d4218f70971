//! The three networks of a model, over weights or over none.

use crate::Result;
use crate::info::ModelInfo;
use crate::models::{ClipText, UNet, Vae};
use crate::ops::{Packing, Precision};
use crate::runtime::Options;
use crate::weights::Weights;

/// The networks, and what they keep beside the files of their weights.
#[derive(Debug)]
pub(crate) struct Networks {
    pub(crate) text: ClipText,
    pub(crate) unet: UNet,
    pub(crate) vae: Vae,
    /// Bytes of packed weights that they keep at the most.
    pub(crate) packed_bytes: u64,
}

impl Networks {
    /// Loads them from the weights of text encoder, UNet and VAE, which are `stored` bytes.
    pub(crate) fn load(
        options: &Options,
        info: &ModelInfo,
        (text, unet, vae): (Weights, &Weights, Weights),
        stored: u64,
    ) -> Result<Self> {
        let mut left = keep(options, stored);
        // The UNet first: it runs in each step, the others once for an image.
        let unet = UNet::load(unet, info.unet.clone(), Packing::new(left, options.precision))?;
        left = left.saturating_sub(unet.packed_bytes());
        let text = ClipText::load(text, info.text.clone(), Packing::new(left, Precision::F32))?;
        left -= text.packed_bytes();
        let vae = Vae::load(vae, info.vae.clone(), Packing::new(left, Precision::F32))?;
        let packed_bytes = unet.packed_bytes() + text.packed_bytes() + vae.packed_bytes();
        Ok(Self { text, unet, vae, packed_bytes })
    }
}

/// Bytes of packed weights that a model of `stored` bytes may keep: where memory is limited, a
/// quarter of what is left beside twice the stored weights, so that most of it is for images.
fn keep(options: &Options, stored: u64) -> u64 {
    let left = |limit: u64| limit.saturating_sub(2 * stored) / 4;
    options.memory_limit.map_or(u64::MAX, left).min(options.keep_packed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_memory_there_is_the_less_is_kept() {
        let keep = |memory_limit| keep(&Options { memory_limit, ..Options::default() }, 2 << 30);
        let most = Options::default().keep_packed;
        assert_eq!(
            [None, Some(64 << 30), Some(8 << 30), Some(3 << 30)].map(keep),
            [most, most, 1 << 30, 0]
        );
    }
}
