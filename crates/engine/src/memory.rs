//! What a plan will take, before anything is allocated.

use diffusion_kernels as kernels;

use crate::Result;
use crate::conditioning::Conditioned;
use crate::info::ModelInfo;
use crate::model::Model;
use crate::models::{ClipText, UNet, Vae};
use crate::networks::Networks;
use crate::ops::{Meter, Shape, Tensor};
use crate::plan::{Plan, PromptSyntax};
use crate::prompt::{self, Chunk, Role, Texts};
use crate::required::hollow;
use crate::runtime::Runtime;

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
    /// Working memory that the threads keep from op to op.
    pub threads: u64,
}

/// How much text a prompt is, in chunks of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TextSize {
    /// Of the longest of the texts that it changes into; at least 1.
    pub longest: usize,
    /// Of all of them; at least as many.
    pub all: usize,
}

impl Default for TextSize {
    /// One text in one chunk.
    fn default() -> Self {
        Self { longest: 1, all: 1 }
    }
}

impl TextSize {
    /// What is enough for either.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { longest: self.longest.max(other.longest), all: self.all.max(other.all) }
    }
}

impl MemoryPlan {
    /// The peak.
    pub fn total(&self) -> u64 {
        self.weights + self.threads + self.activations()
    }

    /// The peak of tensors, and of what an op needs while it runs.
    pub fn activations(&self) -> u64 {
        self.begin.max(self.step).max(self.finish)
    }
}

impl Model {
    /// The memory that `samples` images of this plan take when they step as one batch.
    ///
    /// The networks are walked with tensors that have shapes and no values, so the figure follows
    /// every tensor and every kernel's scratch of the real run. Pixels and latents outside the
    /// networks come on top. A plan whose prompts cannot be read is counted with short ones.
    pub fn memory(&self, plan: &Plan, samples: usize) -> MemoryPlan {
        let texts = self.info.texts(&self.tokenizer, plan, &mut Vec::new());
        let texts = texts.unwrap_or_else(|_| short_texts(&self.info, plan, self.chunk_tokens()));
        self.memory_of(plan, samples, &texts)
    }

    /// As [`Model::memory`], with prompts of this size instead of the plan's.
    pub fn memory_with(&self, plan: &Plan, samples: usize, size: TextSize) -> MemoryPlan {
        let chunk = Chunk::plain(vec![0; self.chunk_tokens()]);
        let sized = |(role, _)| {
            let mut texts = Texts::single(chunk.clone(), role);
            texts.chunks =
                vec![vec![chunk.clone(); size.longest]; size.all.div_ceil(size.longest.max(1))];
            texts
        };
        let texts: Vec<_> = plan.prompts(&self.info).into_iter().map(sized).collect();
        self.memory_of(plan, samples, &texts)
    }

    /// How long the plan's prompts are.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn text_size(&self, plan: &Plan) -> Result<TextSize> {
        let sizes =
            self.info.texts(&self.tokenizer, plan, &mut Vec::new())?.into_iter().map(|texts| {
                let longest = texts.chunks.iter().map(Vec::len).max().unwrap_or(1);
                TextSize { longest, all: texts.chunks.iter().map(Vec::len).sum() }
            });
        Ok(sizes.fold(TextSize::default(), TextSize::max))
    }

    pub(crate) fn memory_of(&self, plan: &Plan, samples: usize, texts: &[Texts]) -> MemoryPlan {
        let Self { info, text, unet, vae, .. } = self;
        let walk = Walk { info, text, unet, vae, texts };
        self.runtime.run(|| walk.plan(plan, samples, self.weight_bytes()))
    }

    fn chunk_tokens(&self) -> usize {
        self.tokenizer.max_length().min(self.text.max_positions())
    }
}

impl ModelInfo {
    /// As [`Model::memory`], for a model of this configuration that is not at hand: with its
    /// weights in 16 bits, and on the threads and in the precision of `runtime`. Each text that a
    /// prompt changes into is counted as one chunk of tokens, for there is no vocabulary.
    ///
    /// # Errors
    /// The operating system gives no address space for tensors of these sizes.
    pub fn memory(&self, runtime: &Runtime, plan: &Plan, samples: usize) -> Result<MemoryPlan> {
        let options = runtime.options();
        let (_, tensors) = hollow(self, options, 0)?;
        let values = tensors.iter().map(|tensor| tensor.shape.iter().product::<usize>());
        let stored: u64 = values.map(|values| 2 * values as u64).sum();
        let (networks, _) = hollow(self, options, stored)?;
        let Networks { text, unet, vae, packed_bytes } = &networks;
        let texts = &short_texts(self, plan, self.text.max_positions);
        let walk = Walk { info: self, text, unet, vae, texts };
        Ok(runtime.run(|| walk.plan(plan, samples, stored + packed_bytes)))
    }
}

/// Networks, with or without weights, to be walked on the threads that will compute.
struct Walk<'a> {
    info: &'a ModelInfo,
    text: &'a ClipText,
    unet: &'a UNet,
    vae: &'a Vae,
    /// What conditions each row of a sample.
    texts: &'a [Texts],
}

/// The texts of a plan, each as one chunk of `tokens`.
fn short_texts(info: &ModelInfo, plan: &Plan, tokens: usize) -> Vec<Texts> {
    let short = |(role, text): (Role, &str)| {
        let mut texts = Texts::single(Chunk::plain(vec![0; tokens]), role);
        if plan.text.syntax == PromptSyntax::A1111
            && let Ok(evaluations) = info.evaluations(plan)
            && let Ok((schedule, _)) = prompt::read(text, role, evaluations)
        {
            texts.chunks.resize(schedule.texts.len(), texts.chunks[0].clone());
        }
        texts
    };
    plan.prompts(info).into_iter().map(short).collect()
}

impl Walk<'_> {
    fn plan(&self, plan: &Plan, samples: usize, weights: u64) -> MemoryPlan {
        let (height, width) = self.info.latent_size(plan.width, plan.height);
        let channels = self.info.vae.latent_channels;
        let meter = Meter::planning();
        let encode = |texts: &Texts| {
            Conditioned::new(texts, self.text, self.unet, plan.left_out(), &meter).ok()
        };
        let conditioning: Vec<_> =
            (0..samples).flat_map(|_| self.texts.iter().filter_map(encode)).collect();
        // All texts of a row are equally long.
        let texts = conditioning.chunks(self.texts.len().max(1));
        let texts: Vec<Vec<_>> =
            texts.map(|of| of.iter().map(|conditioned| conditioned.at(0)).collect()).collect();
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
            let latents = planned(texts.len(), height, width, channels, &meter);
            let timesteps = vec![0.0; texts.len()];
            self.unet.forward(&latents, &timesteps, &texts, &[]);
        }
        let step = meter.peak();
        let meter = Meter::planning();
        self.vae.decode(&planned(1, height, width, channels, &meter));
        let finish = held + meter.peak();
        let threads = (rayon::current_num_threads() * kernels::thread_scratch()) as u64;
        MemoryPlan { weights, begin, step, finish, threads }
    }
}

fn planned(batch: usize, height: usize, width: usize, channels: usize, meter: &Meter) -> Tensor {
    Tensor::planned(Shape { batch, height, width, channels }, meter)
}
