//! The way from a plan to pixels: `begin`, `step`, `finish`; [`generate`] is the three in a loop.
//!
//! Reference: diffusers' `StableDiffusionPipeline`, `StableDiffusionImg2ImgPipeline` and
//! `StableDiffusionInpaintPipeline`, with their order of random draws: the VAE's posterior, the
//! initial noise, for inpainting another posterior, then the steps' own.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::images::{RgbImage, from_unit, to_unit};
use crate::inpaint::{Initial, Kept};
use crate::model::Model;
use crate::models::{Conditioning, Posterior, guidance_embedding};
use crate::noise::Generator;
use crate::ops::{Meter, Tensor};
use crate::plan::Plan;
use crate::prompt::Texts;
use crate::sample::Sample;
use crate::schedulers::{self, Scheduler, State, begin_index};
use crate::variation::initial_noise;
use crate::{Error, Result};

/// Makes one image. `on_step` is told the evaluations done and their total after each, and ends
/// the work by breaking.
///
/// # Errors
/// As [`Model::begin`], [`Model::step`] and [`Model::finish`]; [`Error::Cancelled`] after a break.
pub fn generate(
    model: &Model,
    plan: &Plan,
    initial: Option<&Initial>,
    mut on_step: impl FnMut(&Sample) -> ControlFlow<()>,
) -> Result<RgbImage> {
    let mut sample = model.begin(plan, initial)?;
    while !sample.is_done() {
        if on_step(&sample).is_break() {
            return Err(Error::Cancelled);
        }
        model.step(std::slice::from_mut(&mut sample))?;
    }
    if on_step(&sample).is_break() {
        return Err(Error::Cancelled);
    }
    model.finish(sample)
}

impl Model {
    /// The sample before its first step. Image-to-image takes an `initial` image of the plan's
    /// size, inpainting a mask with it, and nothing else does.
    ///
    /// # Errors
    /// The plan is out of range, needs more memory than is allowed, or `initial` does not fit it
    /// or leaves nothing to repaint.
    pub fn begin(&self, plan: &Plan, initial: Option<&Initial>) -> Result<Sample> {
        let mut warnings = Vec::new();
        let texts = self.admit(plan, &mut warnings)?;
        Initial::check(initial, plan)?;
        let scheduler: Arc<dyn Scheduler> =
            schedulers::build(&self.info.scheduler, plan.scheduler, plan.steps)?.into();
        let mut noise = Generator::new(plan.seed);
        let conditioning = self.condition(plan, &texts)?;
        let planes = self.latent_planes(plan);
        let mut kept = None;
        let (begin, latent) = match (initial, plan.strength) {
            (Some(Initial { image, mask }), Some(strength)) => {
                let begin = begin_index(plan.steps, strength, scheduler.order())?;
                let clean = self.encode(image, &mut noise);
                let initial_noise = initial_noise(plan, &mut noise, 1, planes);
                let latent = match mask {
                    None => scheduler.add_noise(begin, &clean, &initial_noise),
                    Some(mask) => {
                        // The reference encodes the picture without the masked part, for UNets
                        // that look at it. Nothing else here depends on that draw.
                        noise.randn(initial_noise.len());
                        let kept = kept.insert(Kept::new(
                            mask,
                            self.info.vae.scale(),
                            clean,
                            initial_noise,
                        )?);
                        kept.begin(&*scheduler, begin, plan)
                    }
                };
                (begin, latent)
            }
            _ => {
                let sigma = scheduler.init_noise_sigma();
                let noise = initial_noise(plan, &mut noise, 0, planes);
                (0, noise.into_iter().map(|n| n * sigma).collect())
            }
        };
        let state = State::begin(begin);
        Ok(Sample {
            plan: plan.clone(),
            model: self.fingerprint,
            latent,
            clean: None,
            state,
            noise,
            kept,
            scheduler,
            conditioning,
            warnings,
        })
    }

    /// Advances every sample by one UNet evaluation, all in one batch. They may differ in all but
    /// their size; what each becomes does not depend on the others.
    ///
    /// # Errors
    /// A sample is finished already, or sizes differ. No sample is changed then.
    pub fn step(&self, samples: &mut [Sample]) -> Result<()> {
        let Some(first) = samples.first() else { return Ok(()) };
        let (width, height) = (first.plan.width, first.plan.height);
        for Sample { plan, .. } in samples.iter() {
            if (plan.width, plan.height) != (width, height) {
                return Err(Error::Invalid(format!(
                    "samples of {width}×{height} and {}×{} cannot share a batch",
                    plan.width, plan.height
                )));
            }
        }
        if samples.iter().any(Sample::is_done) {
            return Err(Error::Invalid("a sample of the batch is finished".into()));
        }

        // A prediction for each text: unconditional first where there is guidance.
        let mut latents = Vec::new();
        let mut timesteps = Vec::new();
        let mut conditioning: Vec<Vec<&Conditioning>> = Vec::new();
        let mut guidance = Vec::new();
        for sample in samples.iter() {
            let step = sample.state.step;
            let mut latent = sample.latent.clone();
            sample.scheduler.scale_model_input(step, &mut latent);
            latents.push(latent);
            timesteps.push(sample.scheduler.timesteps()[step]);
            let texts = sample.conditioning.iter();
            conditioning.push(texts.map(|texts| texts.at(sample.state.done)).collect());
            if let Some(channels) = self.info.unet.guidance_channels {
                guidance.push(guidance_embedding(sample.plan.guidance, channels));
            }
        }
        let rows: Vec<&[f32]> = latents.iter().map(Vec::as_slice).collect();
        let predictions = self.runtime.run(|| {
            let latents = self.latents(&rows, width, height, self.runtime.meter());
            let out = self.unet.forward(&latents, &timesteps, &conditioning, &guidance);
            (0..out.shape().batch).map(|row| out.planes(row)).collect::<Vec<_>>()
        });

        let mut predictions = predictions.into_iter();
        for sample in samples {
            let Some(mut output) = predictions.next() else { break };
            if sample.conditioning.len() == 2
                && let Some(conditional) = predictions.next()
            {
                let scale = sample.plan.guidance as f32;
                for (u, c) in output.iter_mut().zip(conditional) {
                    *u += scale * (c - *u);
                }
            }
            let Sample { scheduler, state, latent, clean, noise, kept, .. } = sample;
            let mut predicted = scheduler.clean(state.step, latent, &output);
            scheduler.step(state, &output, latent, noise)?;
            if let Some(kept) = kept {
                kept.put_back(&**scheduler, state.step, latent);
                kept.put_back_clean(&mut predicted);
            }
            *clean = Some(predicted);
        }
        Ok(())
    }

    /// The image of a sample, after its last step or at any before it.
    ///
    /// # Errors
    /// The model produced values that are no colours (not finite).
    pub fn finish(&self, sample: Sample) -> Result<RgbImage> {
        let Plan { width, height, .. } = sample.plan;
        let scale = self.info.vae.scaling_factor;
        let latent: Vec<f32> = sample.latent.iter().map(|v| v / scale).collect();
        let pixels = self.runtime.run(|| {
            let latents = self.latents(&[&latent], width, height, self.runtime.meter());
            self.vae.decode(&latents).interleaved(0)
        });
        from_unit(&pixels, width, height)
    }

    /// Checks a plan against the model and the memory limit, with nothing computed.
    ///
    /// # Errors
    /// The plan is out of range, its scheduler cannot be built, its prompts cannot be read, or it
    /// needs more memory than is allowed.
    pub fn check(&self, plan: &Plan) -> Result<()> {
        self.admit(plan, &mut Vec::new()).map(drop)
    }

    /// As [`Model::check`]; gives the plan's texts, which are read once.
    pub(crate) fn admit(&self, plan: &Plan, warnings: &mut Vec<String>) -> Result<Vec<Texts>> {
        self.info.check_numbers(plan)?;
        let texts = self.info.texts(&self.tokenizer, plan, warnings)?;
        if let Some(limit) = self.runtime.options().memory_limit {
            // Other models that are loaded count as well.
            let weights = self.runtime.weights().live();
            let planned = self.memory_of(plan, 1, &texts);
            let needed = weights + planned.threads + planned.activations();
            if needed > limit {
                return Err(Error::Memory { needed, limit });
            }
        }
        Ok(texts)
    }

    /// Values of the plan's latent.
    pub(crate) fn latent_len(&self, plan: &Plan) -> usize {
        let (channels, height, width) = self.latent_planes(plan);
        channels * height * width
    }

    /// Channels, height and width of the plan's latent.
    fn latent_planes(&self, plan: &Plan) -> (usize, usize, usize) {
        let (height, width) = self.info.latent_size(plan.width, plan.height);
        (self.info.vae.latent_channels, height, width)
    }

    fn latents(&self, rows: &[&[f32]], width: u32, height: u32, meter: &Meter) -> Tensor {
        let (height, width) = self.info.latent_size(width, height);
        Tensor::images(rows, self.info.vae.latent_channels, height, width, meter)
    }

    /// The mean of the latents of an image, scaled for the UNet: planes
    /// `[channels, height, width]`.
    ///
    /// # Errors
    /// A side of the image is 0 or no multiple of [`crate::ModelInfo::multiple`].
    pub fn mean_latent(&self, image: &RgbImage) -> Result<Vec<f32>> {
        let (width, height) = image.dimensions();
        let multiple = self.info.multiple();
        if [width, height].iter().any(|side| *side == 0 || !side.is_multiple_of(multiple)) {
            return Err(Error::Invalid(format!(
                "an image of {width}×{height}: sides are multiples of {multiple}"
            )));
        }
        Ok(self.scale(self.posterior(image).mean))
    }

    /// A draw from the latents of an image, scaled for the UNet.
    fn encode(&self, image: &RgbImage, noise: &mut Generator) -> Vec<f32> {
        let posterior = self.posterior(image);
        self.scale(posterior.sample(&noise.randn(posterior.mean.len())))
    }

    fn posterior(&self, image: &RgbImage) -> Posterior {
        let (width, height) = image.dimensions();
        let pixels = to_unit(image);
        self.runtime.run(|| {
            let meter = self.runtime.meter();
            let (height, width) = (height as usize, width as usize);
            let images = Tensor::interleaved_images(&[&pixels], 3, height, width, meter);
            self.vae.encode(&images).remove(0)
        })
    }

    fn scale(&self, mut latent: Vec<f32>) -> Vec<f32> {
        latent.iter_mut().for_each(|v| *v *= self.info.vae.scaling_factor);
        latent
    }
}
