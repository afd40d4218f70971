//! Inpainting by masked latents, with UNets that know nothing of masks.
//!
//! Reference: diffusers' `StableDiffusionInpaintPipeline` with a UNet of four channels. The whole
//! latent is denoised; after each evaluation the kept part gives way to the initial latent at the
//! noise level that comes next, and after the last to the initial latent itself.
//!
//! The reference looks at one pixel of a mask for each point of the latent, the one at its upper
//! left, so that it loses or moves what is thin. Here a point is repainted where any of its pixels
//! is. Both are the same for masks of whole squares, one for each point.

use image::{GrayImage, RgbImage};
use serde::{Deserialize, Serialize};

use crate::plan::{MaskedStart, Plan};
use crate::schedulers::Scheduler;
use crate::{Error, Result};

/// Levels of a mask from this one on are repainted.
const REPAINTED: u8 = 128;

/// What image-to-image and inpainting start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initial {
    /// A picture of the plan's size.
    pub image: RgbImage,
    /// For inpainting, of the same size: what is 128 or more is repainted, the rest is kept, but
    /// for what shares a point of the latent with it.
    pub mask: Option<GrayImage>,
}

impl From<RgbImage> for Initial {
    /// All of it is drawn anew.
    fn from(image: RgbImage) -> Self {
        Self { image, mask: None }
    }
}

impl Initial {
    /// Checks that a plan has what it asks for and nothing else: an image of its size where it has
    /// a strength, a mask where it inpaints.
    pub(crate) fn check(initial: Option<&Self>, plan: &Plan) -> Result<()> {
        let size = (plan.width, plan.height);
        let mask = initial.and_then(|initial| initial.mask.as_ref());
        let wrong = |what: &str, (width, height): (u32, u32)| {
            Some(format!("{what} of {width}×{height} for a plan of {}×{}", size.0, size.1))
        };
        let image = match (initial.map(|initial| initial.image.dimensions()), plan.strength) {
            (Some(found), Some(_)) if found != size => wrong("an initial image", found),
            (Some(_), None) => Some("an initial image without a strength".to_owned()),
            (None, Some(_)) => Some("a strength without an initial image".to_owned()),
            _ => None,
        };
        let mask = match (mask.map(GrayImage::dimensions), plan.inpaint) {
            (Some(found), Some(_)) if found != size => wrong("a mask", found),
            (Some(_), None) => Some("a mask for a plan that does not inpaint".to_owned()),
            (None, Some(_)) => Some("a plan that inpaints without a mask".to_owned()),
            _ => None,
        };
        image.or(mask).map_or(Ok(()), |message| Err(Error::Invalid(message)))
    }
}

/// The part of a sample that is kept as it is in the initial image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Of each point of the latent's plane, whether it is repainted.
    repainted: Vec<bool>,
    /// The latent of the initial image.
    clean: Vec<f32>,
    /// The initial noise, which the kept part has at every step.
    noise: Vec<f32>,
}

impl Kept {
    /// The kept part of an image of this latent, under a mask that has `scale` × `scale` pixels for
    /// each of its points.
    ///
    /// # Errors
    /// The mask keeps all.
    pub(crate) fn new(
        mask: &GrayImage,
        scale: usize,
        clean: Vec<f32>,
        noise: Vec<f32>,
    ) -> Result<Self> {
        let (across, down) = (mask.width() as usize / scale, mask.height() as usize / scale);
        let mut repainted = vec![false; across * down];
        for (x, y, level) in mask.enumerate_pixels() {
            if level.0[0] >= REPAINTED {
                repainted[y as usize / scale * across + x as usize / scale] = true;
            }
        }
        if !repainted.contains(&true) {
            return Err(Error::Invalid(format!(
                "the mask leaves nothing to repaint: no pixel of it is {REPAINTED} or more"
            )));
        }
        Ok(Self { repainted, clean, noise })
    }

    /// The latent at evaluation `begin`, before its first.
    pub(crate) fn begin(&self, scheduler: &dyn Scheduler, begin: usize, plan: &Plan) -> Vec<f32> {
        match plan.inpaint {
            // The reference starts from noise alone then.
            None | Some(MaskedStart::Image) if plan.strength == Some(1.0) => {
                let sigma = scheduler.init_noise_sigma();
                self.noise.iter().map(|noise| noise * sigma).collect()
            }
            None | Some(MaskedStart::Image) => scheduler.add_noise(begin, &self.clean, &self.noise),
            Some(MaskedStart::Noise) => {
                scheduler.add_noise(begin, &self.with_repainted(&self.noise), &self.noise)
            }
            Some(MaskedStart::Nothing) => {
                let nothing = vec![0.0; self.clean.len()];
                scheduler.add_noise(begin, &self.with_repainted(&nothing), &self.noise)
            }
        }
    }

    /// Puts the kept part back into a latent that comes to evaluation `step`.
    pub(crate) fn put_back(&self, scheduler: &dyn Scheduler, step: usize, latent: &mut [f32]) {
        if step < scheduler.timesteps().len() {
            self.keep(&scheduler.add_noise(step, &self.clean, &self.noise), latent);
        } else {
            self.put_back_clean(latent);
        }
    }

    /// Puts the kept part back into a latent without noise.
    pub(crate) fn put_back_clean(&self, latent: &mut [f32]) {
        self.keep(&self.clean, latent);
    }

    /// Whether it is of latents of so many values, in planes of so many points.
    pub(crate) fn fits(&self, values: usize, points: usize) -> bool {
        self.repainted.len() == points && [&self.clean, &self.noise].map(Vec::len) == [values; 2]
    }

    /// The clean latent with other values in the repainted part.
    fn with_repainted(&self, values: &[f32]) -> Vec<f32> {
        let mut latent = values.to_vec();
        self.keep(&self.clean, &mut latent);
        latent
    }

    /// Replaces the kept part of a latent.
    fn keep(&self, kept: &[f32], latent: &mut [f32]) {
        let repainted = self.repainted.iter().cycle();
        for ((value, kept), repainted) in latent.iter_mut().zip(kept).zip(repainted) {
            if !repainted {
                *value = *kept;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    #[test]
    fn a_point_with_any_pixel_to_repaint_is_repainted() {
        for place in [(8, 8), (15, 8), (8, 15), (15, 15), (11, 13)] {
            let mask = GrayImage::from_fn(24, 16, |x, y| Luma([127 + u8::from((x, y) == place)]));
            let kept = Kept::new(&mask, 8, vec![1.0; 12], vec![2.0; 12]).unwrap();
            assert_eq!(kept.repainted, [false, false, false, false, true, false]);
            let mut latent = vec![3.0; 12];
            kept.keep(&kept.clean, &mut latent);
            let plane = [1.0, 1.0, 1.0, 1.0, 3.0, 1.0];
            assert_eq!(latent, [plane, plane].concat());
            assert!(kept.fits(12, 6) && !kept.fits(6, 6) && !kept.fits(12, 3));
        }
    }

    #[test]
    fn a_mask_that_keeps_all_is_refused() {
        let mask = GrayImage::from_pixel(16, 16, Luma([127]));
        let error = Kept::new(&mask, 8, vec![0.0; 4], vec![0.0; 4]).unwrap_err();
        assert!(error.to_string().contains("nothing to repaint"), "{error}");
    }
}
