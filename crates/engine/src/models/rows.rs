//! Rows of a batch that begin as one.

use super::unet::Conditioning;
use crate::ops::{Tensor, repeat_rows};

/// The rows that a UNet predicts for: under guidance two for each latent, one for each of its texts.
///
/// Until the first cross-attention they have all in common, and are one row.
pub(super) struct Rows<'a> {
    /// For each row its latent, in order.
    latent: Vec<usize>,
    /// What every residual block takes of the time, for each latent.
    time: Vec<Vec<f32>>,
    /// The same for each row.
    time_of_rows: Vec<Vec<f32>>,
    conditioning: Vec<&'a Conditioning>,
}

impl<'a> Rows<'a> {
    /// `time` and the texts of each latent.
    pub(super) fn new(time: Vec<Vec<f32>>, texts: &[Vec<&'a Conditioning>]) -> Self {
        assert_eq!(time.len(), texts.len(), "a timestep and texts for each latent");
        assert!(texts.iter().all(|texts| !texts.is_empty()), "a latent without a text");
        let rows = texts.iter().enumerate();
        let latent: Vec<_> = rows.flat_map(|(i, texts)| texts.iter().map(move |_| i)).collect();
        let time_of_rows = latent.iter().map(|&latent| time[latent].clone()).collect();
        Self { latent, time, time_of_rows, conditioning: texts.concat() }
    }

    /// The time for each batch row of `x`.
    pub(super) fn time(&self, x: &Tensor) -> &[Vec<f32>] {
        if self.are_apart(x) { &self.time_of_rows } else { &self.time }
    }

    /// The conditioning of each row.
    pub(super) fn conditioning(&self) -> &[&'a Conditioning] {
        &self.conditioning
    }

    /// Whether `x` has a row for each text.
    fn are_apart(&self, x: &Tensor) -> bool {
        x.shape().batch == self.latent.len()
    }

    /// `x` with a row for each text, where it has one for each latent only.
    pub(super) fn split(&self, x: &Tensor) -> Option<Tensor> {
        (!self.are_apart(x)).then(|| repeat_rows(x, &self.latent))
    }
}
