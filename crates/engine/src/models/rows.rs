//! Rows of a batch that begin as one.

use super::unet::Conditioning;
use crate::ops::{Tensor, repeat_rows};

/// The rows that a UNet predicts for: under guidance two for each latent, one for each of its texts.
///
/// Until the first cross-attention they have all in common, and are one row.
pub(super) struct Rows<'a> {
    /// For each row its latent, in order.
    latent: Vec<usize>,
    /// What every residual block takes of the time, for each latent and for each row.
    time: [Vec<Vec<f32>>; 2],
    conditioning: Vec<&'a Conditioning>,
}

impl<'a> Rows<'a> {
    /// `time` and the texts of each latent.
    pub(super) fn new(time: Vec<Vec<f32>>, texts: &[Vec<&'a Conditioning>]) -> Self {
        assert_eq!(time.len(), texts.len(), "a timestep and texts for each latent");
        let rows = texts.iter().enumerate();
        let latent: Vec<_> = rows.flat_map(|(i, texts)| texts.iter().map(move |_| i)).collect();
        let each = latent.iter().map(|&latent| time[latent].clone()).collect();
        Self { latent, time: [time, each], conditioning: texts.concat() }
    }

    /// The time for each batch row of `x`.
    pub(super) fn time(&self, x: &Tensor) -> &[Vec<f32>] {
        let [one, each] = &self.time;
        if x.shape().batch == each.len() { each } else { one }
    }

    /// The conditioning of each row.
    pub(super) fn conditioning(&self) -> &[&'a Conditioning] {
        &self.conditioning
    }

    /// Whether `x` has a row for each text.
    pub(super) fn are_apart(&self, x: &Tensor) -> bool {
        x.shape().batch == self.latent.len()
    }

    /// A row for each text of what has one for each latent.
    pub(super) fn part(&self, x: &Tensor) -> Tensor {
        repeat_rows(x, &self.latent)
    }
}
