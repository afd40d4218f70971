//! What a plan will take, before anything is allocated.

use crate::model::Model;
use crate::ops::{Meter, Shape, Tensor};
use crate::plan::Plan;

/// Bytes that a plan takes at its peak in each phase, beside the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPlan {
    /// The weights, as they are kept.
    pub weights: u64,
    /// Text encoder and, for image-to-image, VAE encoder.
    pub begin: u64,
    /// One UNet evaluation of the whole batch, conditioning included.
    pub step: u64,
    /// VAE decoder.
    pub finish: u64,
}

impl MemoryPlan {
    /// The peak.
    pub fn total(&self) -> u64 {
        self.weights + self.activations()
    }

    /// The peak of all but the weights.
    pub fn activations(&self) -> u64 {
        self.begin.max(self.step).max(self.finish)
    }
}

impl Model {
    /// The memory that `samples` images of this plan take when they step as one batch.
    ///
    /// The networks are walked with tensors that have shapes and no values, so the figure follows
    /// every tensor and every kernel's scratch of the real run. Pixels and latents outside the
    /// networks, and the matrix product's packing buffers (some MiB a thread), come on top.
    pub fn memory(&self, plan: &Plan, samples: usize) -> MemoryPlan {
        let guided = plan.is_guided() && self.info.unet.guidance_channels.is_none();
        let rows = samples * if guided { 2 } else { 1 };
        let (height, width) = self.latent_size(plan.width, plan.height);
        let channels = self.info.vae.latent_channels;
        self.runtime.run(|| {
            let meter = Meter::planning();
            let ids = vec![0; self.tokenizer.max_length().min(self.text.max_positions())];
            let conditioning: Vec<_> = (0..rows)
                .filter_map(|_| self.text.forward(&ids, &meter).ok())
                .map(|hidden| self.unet.condition(&hidden))
                .collect();
            let texts: Vec<_> = conditioning.iter().collect();
            // Begin and finish are done a sample at a time, beside the conditioning of all.
            let held = meter.live();
            let mut begin = meter.peak();
            if plan.strength.is_some() {
                let meter = Meter::planning();
                let (height, width) = (plan.height as usize, plan.width as usize);
                self.vae.encode(&planned(1, height, width, 3, &meter));
                begin = begin.max(held + meter.peak());
            }
            if !texts.is_empty() {
                let latents = planned(rows, height, width, channels, &meter);
                let timesteps = vec![0.0; rows];
                self.unet.forward(&latents, &timesteps, &texts, &[]);
            }
            let step = meter.peak();
            let meter = Meter::planning();
            self.vae.decode(&planned(1, height, width, channels, &meter));
            let finish = held + meter.peak();
            MemoryPlan { weights: self.weight_bytes(), begin, step, finish }
        })
    }
}

fn planned(batch: usize, height: usize, width: usize, channels: usize, meter: &Meter) -> Tensor {
    Tensor::planned(Shape { batch, height, width, channels }, meter)
}
