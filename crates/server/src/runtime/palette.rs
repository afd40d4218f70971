//! Latents as small pictures: a linear map from a model's latent channels to colours.

use diffusion_engine::images::RgbImage;
use diffusion_engine::{Error, Model, Result};

/// Red, green and blue, in 0…255, as linear functions of the channels of a latent pixel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Palette {
    /// For each channel its part of each colour; the last row is constant.
    weights: Vec<[f64; 3]>,
}

/// Pictures that the map is fitted to.
const PICTURES: u32 = 4;
/// Side of these pictures in multiples of what the model takes.
const SIDE: u32 = 8;
/// Side of the squares of one colour, in the same.
const SQUARE: u32 = 2;
/// Keeps the fit calm where a channel says nothing.
const RIDGE: f64 = 1e-3;

/// Width and height of the pictures that a model's map is fitted to.
pub(super) fn side(model: &Model) -> u32 {
    SIDE * model.info().multiple()
}

impl Palette {
    /// Fits the map to what the model's own VAE makes of coloured squares.
    ///
    /// # Errors
    /// The VAE gives values that are not finite.
    pub(super) fn fit(model: &Model) -> Result<Self> {
        let side = side(model);
        let channels = model.info().vae.latent_channels;
        let mut normal = vec![vec![0.0; channels + 1 + 3]; channels + 1];
        for seed in 0..PICTURES {
            let picture = squares(side, SQUARE * model.info().multiple(), seed);
            let latent = model.mean_latent(&picture)?;
            let pixels = latent.len() / channels;
            let wide = pixels.isqrt() as u32;
            let scale = side / wide;
            for pixel in 0..pixels {
                let (x, y) = (pixel as u32 % wide, pixel as u32 / wide);
                let color = picture.get_pixel(x * scale + scale / 2, y * scale + scale / 2).0;
                let mut row: Vec<f64> =
                    (0..channels).map(|c| f64::from(latent[c * pixels + pixel])).collect();
                row.push(1.0);
                row.extend(color.map(f64::from));
                for (i, sums) in normal.iter_mut().enumerate() {
                    for (sum, value) in sums.iter_mut().zip(&row) {
                        *sum += row[i] * value;
                    }
                }
            }
        }
        for (i, row) in normal.iter_mut().enumerate().take(channels) {
            row[i] += RIDGE;
        }
        let weights = solve(normal).ok_or_else(|| {
            Error::Invalid("the VAE tells no colours apart: there are no previews".into())
        })?;
        Ok(Self { weights })
    }

    /// The picture of a latent of planes `[channels, height, width]`, a pixel for each of its own.
    pub(super) fn paint(&self, latent: &[f32], width: u32, height: u32) -> Option<RgbImage> {
        let pixels = width as usize * height as usize;
        let (constant, channels) = self.weights.split_last()?;
        if latent.len() != pixels * channels.len() {
            return None;
        }
        let mut bytes = Vec::with_capacity(3 * pixels);
        for pixel in 0..pixels {
            let mut color = *constant;
            for (c, weights) in channels.iter().enumerate() {
                let value = f64::from(latent[c * pixels + pixel]);
                color.iter_mut().zip(weights).for_each(|(color, weight)| *color += value * weight);
            }
            // Values out of range, and those that are no numbers, saturate.
            bytes.extend(color.map(|level| level.round() as u8));
        }
        RgbImage::from_raw(width, height, bytes)
    }
}

/// Squares of colours from all over the cube, others for each seed.
fn squares(side: u32, square: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| {
        let index = (x / square) + (y / square) * (side / square) + seed * 251;
        // Additive recurrence: three irrational steps fill the cube evenly.
        let level = |step: f64| (f64::from(index + 1) * step).fract() * 255.0;
        let steps = [0.819_172_513, 0.671_043_607, 0.549_700_478];
        steps.map(|step| level(step).round() as u8).into()
    })
}

/// Solves `rows · x = right sides` for three right sides by elimination with pivots; `None` where
/// there is no finite solution.
fn solve(mut rows: Vec<Vec<f64>>) -> Option<Vec<[f64; 3]>> {
    let n = rows.len();
    for i in 0..n {
        let pivot = (i..n).max_by(|a, b| rows[*a][i].abs().total_cmp(&rows[*b][i].abs()))?;
        rows.swap(i, pivot);
        let pivot = rows[i].clone();
        for (j, row) in rows.iter_mut().enumerate() {
            if j != i {
                let factor = row[i] / pivot[i];
                row.iter_mut().zip(&pivot).for_each(|(value, pivot)| *value -= factor * pivot);
            }
        }
    }
    let solution = |(i, row): (usize, &Vec<f64>)| {
        let x = [row[n] / row[i], row[n + 1] / row[i], row[n + 2] / row[i]];
        x.iter().all(|x| x.is_finite()).then_some(x)
    };
    rows.iter().enumerate().map(solution).collect()
}
