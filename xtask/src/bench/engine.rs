//! `cargo xtask bench-engine`: the engine as one of the programs that are timed, through its
//! public API. It takes and prints what `bench/peers/README.md` asks of a peer.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use diffusion_engine::models::{ClipText, UNet, Vae};
use diffusion_engine::ops::{Packing, Tensor};
use diffusion_engine::source::Source;
use diffusion_engine::weights::Weights;
use diffusion_engine::{Model, ModelInfo, Options, Precision, Runtime, generate};

use super::inputs::{CHANNELS, Inputs, PIXELS, SIDE, WIDTH, read_array, write_array};
use super::machine::{peak_bytes, processor_seconds};
use super::program::Figures;
use super::task::Task;

/// Run one task on the engine, as `bench` has it done
#[derive(Debug, Args)]
pub(crate) struct BenchEngine {
    #[arg(long)]
    model: PathBuf,
    #[arg(long)]
    inputs: PathBuf,
    #[arg(long)]
    output: PathBuf,
    #[arg(long)]
    task: Task,
    #[arg(long)]
    threads: NonZeroUsize,
    #[arg(long)]
    warm_ups: usize,
    #[arg(long)]
    repeats: usize,
    #[arg(long)]
    int8: bool,
}

/// A task that is ready to run, and gives its result.
type Work = Box<dyn FnMut() -> anyhow::Result<Vec<f32>> + Send>;

impl BenchEngine {
    pub(crate) fn execute(self) -> anyhow::Result<()> {
        let start = Instant::now();
        let options = Options {
            threads: Some(self.threads),
            precision: self.precision(),
            ..Options::default()
        };
        let runtime = Runtime::new(options)?;
        let mut work = match self.task {
            Task::Unet => self.unet(&runtime)?,
            Task::Decode => self.decode(&runtime)?,
            Task::Encode => self.encode(&runtime)?,
            Task::Text => self.text(&runtime)?,
            Task::Image => self.image(&runtime)?,
        };
        let load = start.elapsed().as_secs_f64();
        let (mut seconds, mut processor, mut result) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.warm_ups + self.repeats {
            let (start, used) = (Instant::now(), processor_seconds());
            result = work()?;
            seconds.push(start.elapsed().as_secs_f64());
            processor.extend(processor_seconds().zip(used).map(|(now, before)| now - before));
        }
        write_array(&self.output, &result)?;
        let counted = seconds.split_off(self.warm_ups);
        let figures = Figures {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            load,
            warm_ups: seconds,
            seconds: counted,
            processor: processor.split_off(self.warm_ups.min(processor.len())),
            peak_bytes: peak_bytes(),
        };
        println!("{}", serde_json::to_string(&figures)?);
        Ok(())
    }

    /// Cross-attention's keys and values are counted here, though the pipeline makes them once for
    /// all steps: the peers make them in every step.
    fn unet(&self, runtime: &Runtime) -> anyhow::Result<Work> {
        let unet = {
            let packing = packing(self.precision());
            UNet::load(&self.weights("unet")?, self.info()?.unet, packing)?
        };
        let (latents, text) = (self.array("latents")?, self.array("text")?);
        let timestep = Inputs::read(&self.inputs)?.timestep;
        Ok(on(runtime, move |runtime| {
            let (first, second) = text.split_at(text.len() / 2);
            let condition =
                |text| unet.condition(&Tensor::sequences(&[text], WIDTH, runtime.meter()));
            let (first, second) = (condition(first), condition(second));
            // Both rows have the same latent, as in every step with guidance.
            let latent = &latents[..latents.len() / 2];
            let out = unet.forward(
                &Tensor::images(&[latent], CHANNELS, SIDE, SIDE, runtime.meter()),
                &[timestep],
                &[vec![&first, &second]],
                &[],
            );
            Ok([out.planes(0), out.planes(1)].concat())
        }))
    }

    fn decode(&self, runtime: &Runtime) -> anyhow::Result<Work> {
        let (vae, latent) = (self.vae()?, self.array("noise")?);
        Ok(on(runtime, move |runtime| {
            let latents = Tensor::images(&[&latent], CHANNELS, SIDE, SIDE, runtime.meter());
            Ok(vae.decode(&latents).planes(0))
        }))
    }

    fn encode(&self, runtime: &Runtime) -> anyhow::Result<Work> {
        let (vae, picture) = (self.vae()?, self.array("picture")?);
        Ok(on(runtime, move |runtime| {
            let images = Tensor::images(&[&picture], 3, PIXELS, PIXELS, runtime.meter());
            Ok(vae.encode(&images).remove(0).mean)
        }))
    }

    fn text(&self, runtime: &Runtime) -> anyhow::Result<Work> {
        let weights = self.weights("text_encoder")?;
        let text = ClipText::load(weights, self.info()?.text, packing(Precision::F32))?;
        let tokens = Inputs::read(&self.inputs)?.prompt_tokens;
        Ok(on(runtime, move |runtime| {
            Ok(text.forward(&tokens, 0, runtime.meter())?.interleaved(0))
        }))
    }

    fn image(&self, runtime: &Runtime) -> anyhow::Result<Work> {
        let model = Model::open(runtime, &self.source())?;
        let plan = Inputs::read(&self.inputs)?.plan();
        Ok(Box::new(move || {
            let image = generate(&model, &plan, None, |_| ControlFlow::Continue(()))?;
            Ok(image.as_raw().iter().map(|&level| f32::from(level)).collect())
        }))
    }

    fn precision(&self) -> Precision {
        if self.int8 { Precision::Int8 } else { Precision::F32 }
    }

    fn vae(&self) -> anyhow::Result<Vae> {
        Ok(Vae::load(self.weights("vae")?, self.info()?.vae, packing(Precision::F32))?)
    }

    fn weights(&self, component: &str) -> anyhow::Result<Weights> {
        Ok(Weights::open(&self.source(), component)?)
    }

    fn info(&self) -> anyhow::Result<ModelInfo> {
        Ok(ModelInfo::read(&self.source())?)
    }

    fn source(&self) -> Source {
        Source::Folder(self.model.clone())
    }

    fn array(&self, name: &str) -> anyhow::Result<Vec<f32>> {
        read_array(&self.inputs.join(format!("{name}.f32")))
    }
}

/// `work` on the threads of `runtime`.
/// As much as a model would keep.
fn packing(precision: Precision) -> Packing {
    Packing::new(Options::default().keep_packed, precision)
}

fn on(
    runtime: &Runtime,
    work: impl Fn(&Runtime) -> anyhow::Result<Vec<f32>> + Send + Sync + 'static,
) -> Work {
    let runtime = runtime.clone();
    Box::new(move || runtime.run(|| work(&runtime)))
}
