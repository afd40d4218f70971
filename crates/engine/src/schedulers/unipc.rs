//! UniPC, a predictor with a corrector: Zhao et al. 2023,
//! <https://huggingface.co/papers/2302.04867>, diffusers' `UniPCMultistepScheduler`.

use serde_json::json;

use super::State;
use super::betas::{BetaDefaults, Training};
use super::lambdas::{LambdaSchedule, Level, Options, read_order};
use super::prediction::{Prediction, Range};
use super::solver::Solver;
use crate::Result;
use crate::config::Reader;
use crate::noise::Generator;

/// UniPC of order 1 to 3.
#[derive(Debug)]
pub(super) struct UniPc {
    schedule: LambdaSchedule,
    prediction: Prediction,
    range: Range,
    /// Whether clean latents are integrated, not noise.
    predicts_clean: bool,
    order: usize,
    /// B(h) = h (`bh1`) in place of e^h − 1 (`bh2`).
    linear: bool,
    lower_order_final: bool,
    /// Steps whose result is not corrected.
    uncorrected: Vec<f64>,
}

/// Weights of a predictor or corrector step.
#[derive(Debug, Clone, Default)]
struct Update {
    latent: f32,
    /// Of the model output at the step's beginning.
    output: f32,
    /// Of the weighted sum of differences.
    sum: f32,
    /// Lengths in λ from the beginning back to earlier outputs, relative to the step's.
    ratios: Vec<f32>,
    /// Of the differences to earlier outputs and, for the corrector, to the one at the end.
    weights: Vec<f32>,
}

impl Update {
    fn is_finite(&self) -> bool {
        let scalars = [self.latent, self.output, self.sum];
        let inverse = self.ratios.iter().map(|ratio| 1.0 / ratio);
        scalars.into_iter().chain(inverse).chain(self.weights.iter().copied()).all(f32::is_finite)
    }

    /// The latent at the end of a step from `start`; `outputs` are those at the beginning and
    /// before, latest first, `end` is that at the end if it is known.
    fn apply(&self, start: &[f32], outputs: &[&[f32]], end: Option<&[f32]>, to: &mut [f32]) {
        let Some((first, earlier)) = outputs.split_first() else { return };
        for (i, x) in to.iter_mut().enumerate() {
            let differences = earlier.iter().zip(&self.ratios).map(|(m, r)| (m[i] - first[i]) / r);
            let differences = differences.chain(end.map(|end| end[i] - first[i]));
            let sum: f32 = differences.zip(&self.weights).map(|(d, weight)| weight * d).sum();
            *x = self.latent * start[i] - self.output * first[i] - self.sum * sum;
        }
    }
}

impl UniPc {
    pub(super) fn new(params: &Reader, steps: usize) -> Result<Self> {
        let training = Training::read(params, BetaDefaults::COMMON)?.nearly_zero_snr();
        let options = Options {
            lambda_min: f32::NEG_INFINITY,
            knows_lu: false,
            rounds: true,
            ends_with_spacing: true,
        };
        let solvers = [
            ("bh1", true),
            ("bh2", false),
            ("midpoint", false),
            ("heun", false),
            ("logrho", false),
        ];
        for key in ["solver_p", "use_dynamic_shifting", "shift_terminal"] {
            params.only(key, &[json!(false)])?;
        }
        let scheduler = Self {
            schedule: LambdaSchedule::new(params, &training, steps, options)?,
            prediction: Prediction::read(params)?,
            range: Range::read_thresholding(params)?,
            predicts_clean: params.flag("predict_x0", true)?,
            order: read_order(params)?,
            linear: params.choice("solver_type", false, &solvers)?,
            lower_order_final: params.flag("lower_order_final", true)?,
            uncorrected: params.optional_numbers("disable_corrector")?.unwrap_or_default(),
        };
        scheduler.check(params)?;
        Ok(scheduler)
    }

    /// Refuses what has no finite update.
    fn check(&self, params: &Reader) -> Result<()> {
        if self.schedule.ends_clean && (self.linear || !self.predicts_clean) {
            let supported = "sigma_min with solver_type bh1 or with predict_x0 false";
            return Err(params.unsupported("final_sigmas_type", supported));
        }
        let steps = self.schedule.timesteps.len();
        let finite = |step: usize| {
            let order = self.order_at(step, step);
            let corrected = step + 1 < steps && self.is_corrected(step + 1);
            self.predictor(step, order).is_finite()
                && (!corrected || self.corrector(step + 1, order).is_finite())
        };
        match (0..steps).find(|step| !finite(*step)) {
            None => Ok(()),
            Some(step) => Err(params.unsuited(format!(
                "step {step} of {steps} has no finite update: ask for another number of steps or \
                 another scheduler"
            ))),
        }
    }

    /// The order of the predictor at `step`, when `done` evaluations came before it.
    fn order_at(&self, step: usize, done: usize) -> usize {
        let left = self.schedule.timesteps.len().saturating_sub(step).max(1);
        let order = if self.lower_order_final { self.order.min(left) } else { self.order };
        order.min(done + 1)
    }

    /// Whether the result of the step before `step` is corrected with the output at `step`.
    fn is_corrected(&self, step: usize) -> bool {
        step > 0 && !self.uncorrected.contains(&(step as f64 - 1.0))
    }

    /// From `step` to the next; `order` at most `step` + 1.
    fn predictor(&self, step: usize, order: usize) -> Update {
        let (mut update, matrix, mut right) = self.common(step, order);
        update.weights = match order {
            1 => Vec::new(),
            2 => vec![0.5],
            _ => {
                right.pop();
                let rows = matrix.iter().take(order - 1).map(|row| row[..order - 1].to_vec());
                solve(rows.collect(), right)
            }
        };
        update
    }

    /// From the step before `step` to `step`; `order` at most `step`.
    fn corrector(&self, step: usize, order: usize) -> Update {
        let (mut update, matrix, right) = self.common(step - 1, order);
        update.weights = if order == 1 { vec![0.5] } else { solve(matrix, right) };
        update
    }

    /// What a step from `step` to the next has whatever is known of its end, and the linear
    /// system for the weights of the differences (the paper's equation 5).
    fn common(&self, step: usize, order: usize) -> (Update, Vec<Vec<f32>>, Vec<f32>) {
        let (from, to) = (self.schedule.level(step), self.schedule.level(step + 1));
        let h = to.lambda - from.lambda;
        let ratios: Vec<f32> = (1..order)
            .map(|back| (self.schedule.level(step - back).lambda - from.lambda) / h)
            .collect();
        let signed = if self.predicts_clean { -h } else { h };
        let growth = signed.exp_m1();
        let bh = if self.linear { signed } else { growth };

        let (mut phi, mut factorial) = (growth / signed - 1.0, 1.0);
        let (mut matrix, mut right) = (Vec::with_capacity(order), Vec::with_capacity(order));
        for i in 0..order {
            let power = i32::try_from(i).unwrap_or(i32::MAX);
            let row = ratios.iter().copied().chain([1.0]).map(|ratio| ratio.powi(power));
            matrix.push(row.collect());
            right.push(phi * factorial / bh);
            factorial *= (i + 2) as f32;
            phi = phi / signed - 1.0 / factorial;
        }
        let (latent, scale) = if self.predicts_clean {
            (to.noise / from.noise, to.signal)
        } else {
            (to.signal / from.signal, to.noise)
        };
        let update =
            Update { latent, output: scale * growth, sum: scale * bh, ratios, weights: Vec::new() };
        (update, matrix, right)
    }

    /// The model output as a clean latent, or as noise.
    fn convert(&self, step: usize, latent: &[f32], output: &[f32]) -> Vec<f32> {
        let Level { signal, noise, .. } = self.schedule.level(step);
        let pairs = latent.iter().zip(output);
        if !self.predicts_clean {
            return pairs.map(|(x, out)| self.prediction.noise(signal, noise, *x, *out)).collect();
        }
        let mut clean: Vec<f32> =
            pairs.map(|(x, out)| self.prediction.clean(signal, noise, *x, *out)).collect();
        self.range.apply(&mut clean);
        clean
    }
}

/// Solves a small linear system by elimination with row pivots; not finite if it is singular.
fn solve(matrix: Vec<Vec<f32>>, right: Vec<f32>) -> Vec<f32> {
    let n = right.len();
    let mut rows: Vec<Vec<f32>> = matrix
        .into_iter()
        .zip(right)
        .map(|(row, b)| row.into_iter().chain([b]).collect())
        .collect();
    for column in 0..n {
        let magnitude = |row: &usize| rows[*row][column].abs();
        let pivot = (column..n).max_by(|a, b| magnitude(a).total_cmp(&magnitude(b)));
        rows.swap(column, pivot.unwrap_or(column));
        let (done, below) = rows.split_at_mut(column + 1);
        let pivot = &done[column];
        for row in below {
            let factor = row[column] / pivot[column];
            row.iter_mut().zip(pivot).for_each(|(x, pivot)| *x -= factor * pivot);
        }
    }
    let mut solution = vec![0.0; n];
    for (i, row) in rows.iter().enumerate().rev() {
        let known: f32 = (i + 1..n).map(|k| row[k] * solution[k]).sum();
        solution[i] = (row[n] - known) / row[i];
    }
    solution
}

impl Solver for UniPc {
    type Schedule = LambdaSchedule;

    fn schedule(&self) -> &LambdaSchedule {
        &self.schedule
    }

    fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// Corrects the latent with the output for it, then predicts the next from there.
    fn solve(&self, state: &mut State, output: &[f32], latent: &mut [f32], _noise: &mut Generator) {
        let step = state.step;
        let done = state.done.min(step);
        let converted = self.convert(step, latent, output);
        if let Some(start) = state.held.take()
            && self.is_corrected(step)
        {
            let order = self.order_at(step - 1, done.saturating_sub(1)).min(state.history.len());
            let outputs = latest(&state.history, order);
            self.corrector(step, order.max(1)).apply(&start, &outputs, Some(&converted), latent);
        }
        state.remember(converted, self.order);
        let order = self.order_at(step, done).min(state.history.len());
        let start = latent.to_vec();
        let outputs = latest(&state.history, order);
        self.predictor(step, order).apply(&start, &outputs, None, latent);
        state.held = Some(start);
    }
}

/// The last `n` outputs, latest first.
fn latest(history: &[Vec<f32>], n: usize) -> Vec<&[f32]> {
    history.iter().rev().take(n).map(Vec::as_slice).collect()
}
