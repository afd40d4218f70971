//! Which training timesteps a sampler visits
//! (table 2 of Lin et al. 2023, <https://huggingface.co/papers/2305.08891>).

use super::grid::{descending, linspace};
use crate::Result;
use crate::config::Reader;

/// `timestep_spacing` with `steps_offset`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spacing {
    kind: Kind,
    /// Added to every timestep; read for `leading` only.
    offset: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Linspace,
    Leading,
    Trailing,
}

impl Spacing {
    /// Reads `timestep_spacing`, and `steps_offset` from 0 to `train`.
    pub(super) fn read(params: &Reader, leading_by_default: bool, train: usize) -> Result<Self> {
        let default = if leading_by_default { Kind::Leading } else { Kind::Linspace };
        let known = [
            ("linspace", Kind::Linspace),
            ("leading", Kind::Leading),
            ("trailing", Kind::Trailing),
        ];
        Ok(Self {
            kind: params.choice("timestep_spacing", default, &known)?,
            offset: params.count("steps_offset", 0, 0..=train)?,
        })
    }

    /// Whether the timesteps begin below the last training timestep, for which the samplers that
    /// work with σ begin from a noisier latent.
    pub(super) fn is_leading(self) -> bool {
        self.kind == Kind::Leading
    }

    /// Falling timesteps for `steps` of `train`, 1 ≤ `steps` ≤ `train`; those of `linspace` are
    /// not rounded.
    ///
    /// `trailing` gives one more timestep, −1, for a few step counts such as 61 of 1000, because
    /// diffusers counts down in floating point.
    pub(super) fn timesteps(self, train: usize, steps: usize) -> Vec<f64> {
        match self.kind {
            Kind::Linspace => reversed(linspace(0.0, train as f64 - 1.0, steps)),
            Kind::Leading => self.leading(train / steps, 0..steps),
            Kind::Trailing => trailing(train, train, steps),
        }
    }

    /// Falling whole timesteps as the multistep solvers space them: as for one step more, less
    /// the last, from below `last`, 1 ≤ `last` ≤ `train`.
    pub(super) fn multistep_timesteps(self, last: usize, train: usize, steps: usize) -> Vec<f64> {
        match self.kind {
            Kind::Linspace => {
                let rising = linspace(0.0, last as f64 - 1.0, steps + 1).into_iter().skip(1);
                reversed(rising.map(f64::round_ties_even).collect())
            }
            Kind::Leading => self.leading(last / (steps + 1), 1..steps + 1),
            Kind::Trailing => trailing(last, train, steps),
        }
    }

    fn leading(self, stride: usize, indices: std::ops::Range<usize>) -> Vec<f64> {
        indices.rev().map(|i| (i * stride + self.offset) as f64).collect()
    }
}

fn trailing(last: usize, train: usize, steps: usize) -> Vec<f64> {
    let falling = descending(last as f64, train as f64 / steps as f64);
    falling.into_iter().map(|t| t.round_ties_even() - 1.0).collect()
}

fn reversed(mut values: Vec<f64>) -> Vec<f64> {
    values.reverse();
    values
}
