//! The engine's networks, through its public API.

use std::path::Path;
use std::time::Instant;

use diffusion_engine::models::{ClipText, Conditioning, UNet, Vae};
use diffusion_engine::noise::Generator;
use diffusion_engine::ops::{Packing, Residency, Tensor};
use diffusion_engine::source::Source;
use diffusion_engine::weights::Weights;
use diffusion_engine::{ModelInfo, Options, Precision, Runtime};

use super::Task;

/// Networks as a model of this size keeps them.
pub(super) struct Engine {
    runtime: Runtime,
    text: ClipText,
    unet: UNet,
    vae: Vae,
}

/// Side of the latent, and its channels.
const SIDE: usize = 64;
const CHANNELS: usize = 4;

impl Engine {
    pub(super) fn open(folder: &Path, precision: Precision) -> anyhow::Result<Self> {
        let source = Source::Folder(folder.to_owned());
        let ModelInfo { text, unet, vae, .. } = ModelInfo::read(&source)?;
        let weights = |component| Weights::open(&source, component);
        Ok(Self {
            runtime: Runtime::new(Options::default())?,
            text: ClipText::load(weights("text_encoder")?, text, Residency::Stored)?,
            unet: UNet::load(&weights("unet")?, unet, Packing::new(Residency::Stored, precision))?,
            vae: Vae::load(weights("vae")?, vae, Residency::Stored)?,
        })
    }

    /// Seconds of each task.
    pub(super) fn measure(&self) -> anyhow::Result<[(Task, f64); 3]> {
        let mut noise = Generator::new(0);
        let mut latent = || noise.randn(CHANNELS * SIDE * SIDE);
        let (first, second) = (latent(), latent());
        self.runtime.run(|| {
            let (text, conditioning) = timed(|| self.condition());
            let conditioning = conditioning?;
            let (unet, _) = timed(|| {
                let latents = self.latents(&[&first, &second]);
                let texts = [&conditioning, &conditioning];
                self.unet.forward(&latents, &[500.0; 2], &texts, &[])
            });
            let (vae, _) = timed(|| self.vae.decode(&self.latents(&[&first])));
            Ok([(Task::UNet, unet), (Task::Vae, vae), (Task::Text, text)])
        })
    }

    fn condition(&self) -> anyhow::Result<Conditioning> {
        let ids = vec![1; self.text.max_positions()];
        let hidden = self.text.forward(&ids, self.runtime.meter())?;
        Ok(self.unet.condition(&hidden))
    }

    fn latents(&self, rows: &[&[f32]]) -> Tensor {
        Tensor::images(rows, CHANNELS, SIDE, SIDE, self.runtime.meter())
    }
}

/// The seconds that `work` takes, and its result.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = work();
    (start.elapsed().as_secs_f64(), result)
}
