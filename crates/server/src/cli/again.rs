//! Following a file that says how it was made.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, bail};
use diffusion_engine::config::GenerationConfig;
use diffusion_engine::images::{Limits, read_file};
use diffusion_engine::{Precision, SchedulerKind, TextOptions, Variation, build_identity};
use diffusion_jobs::request::{Inpaint, Resize};

use crate::catalogue::{Catalogue, Known};
use crate::defaults::{GUIDANCE, STEPS, STRENGTH};
use crate::fingerprint;
use crate::infotext::{self, Info, Record};
use crate::inpaint::BLUR;
use crate::plan::StoredMask;

/// What a file says; nothing, where there is none to follow.
#[derive(Debug, Default)]
pub(super) struct Again(Info);

/// What `generate` does where it is not told otherwise.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) prompt: String,
    pub(super) negative_prompt: String,
    pub(super) size: Option<(u32, u32)>,
    pub(super) steps: usize,
    pub(super) guidance: f64,
    pub(super) scheduler: Option<SchedulerKind>,
    pub(super) seed: Option<u64>,
    pub(super) strength: f64,
    pub(super) text: TextOptions,
    pub(super) variation: Option<Variation>,
    pub(super) resize: Resize,
    pub(super) inpaint: Inpaint,
}

/// What this run has.
#[derive(Debug)]
pub(super) struct Here<'a> {
    pub(super) model: &'a str,
    /// As [`fingerprint::of`].
    pub(super) hash: &'a str,
    pub(super) precision: Precision,
    /// SHA-256 of the picture to start from.
    pub(super) input: Option<&'a str>,
    /// SHA-256 of the mask.
    pub(super) mask: Option<&'a str>,
}

/// The settings of other programs that are followed, or that change nothing.
const FOLLOWED: [&str; 16] = [
    "CFG scale",
    "Clip skip",
    "Denoising strength",
    "Hashes",
    "Model",
    "Model hash",
    "Precision",
    "RNG",
    "Sampler",
    "Schedule type",
    "Seed",
    "Size",
    "Steps",
    "Variation seed",
    "Variation seed strength",
    "Version",
];

impl Again {
    /// # Errors
    /// The file cannot be read, or says nothing that is known.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let place = || path.display().to_string();
        let bytes = read_file(path, &Limits::default())?;
        let info = infotext::read(&bytes).with_context(place)?;
        if info.origin.is_none() {
            bail!("{}: it does not say how it was made", path.display());
        }
        Ok(Self(info))
    }

    fn record(&self) -> Option<&Record> {
        self.0.record.as_ref()
    }

    /// Its model, if there is one of this name.
    pub(super) fn model(&self, catalogue: &Catalogue) -> Option<Known> {
        let name = self.0.model.as_deref()?;
        catalogue.all().iter().find(|known| known.name == name).cloned()
    }

    /// The numbers that it was computed in.
    pub(super) fn precision(&self) -> Precision {
        self.record().and_then(|record| record.precision.parse().ok()).unwrap_or_default()
    }

    /// What it says, and where it says nothing what the model does, `own`, or what is usual.
    ///
    /// # Errors
    /// It was drawn from a picture, or with a mask, that is not given.
    pub(super) fn base(
        &self,
        own: GenerationConfig,
        has_picture: bool,
        has_mask: bool,
    ) -> anyhow::Result<Base> {
        let info = &self.0;
        if let Some(record) = self.record() {
            if let (Some(input), false) = (&record.input, has_picture) {
                bail!(
                    "--from: it was drawn from a picture, that of SHA-256 {input}: give it with \
                     --init-image"
                );
            }
            if let (Some(mask), false) = (&record.mask, has_mask) {
                bail!(
                    "--from: a part of a picture was repainted, by the mask of SHA-256 {}: give it \
                     with --mask",
                    mask.picture
                );
            }
        }
        let variation = info.variation;
        Ok(Base {
            prompt: info.prompt.clone().unwrap_or_default(),
            negative_prompt: info.negative_prompt.clone().unwrap_or_default(),
            size: info.width.zip(info.height),
            steps: info.steps.or(own.steps).unwrap_or(STEPS) as usize,
            guidance: info.guidance.or(own.guidance).unwrap_or(GUIDANCE),
            scheduler: info.scheduler,
            seed: info.seed,
            strength: info.strength.unwrap_or(STRENGTH),
            text: TextOptions {
                syntax: info.syntax.unwrap_or_default(),
                clip_skip: info.clip_skip,
            },
            variation: variation
                .map(|other| Variation { seed: other.seed, strength: other.strength }),
            resize: self.record().map_or(Resize::Stretch, |record| record.resize),
            inpaint: self
                .record()
                .and_then(|record| record.mask.as_ref())
                .map_or(Inpaint { blur: BLUR, ..Inpaint::default() }, |mask| mask.inpaint),
        })
    }

    /// What will be otherwise than it was, although it was not asked for otherwise.
    pub(super) fn warnings(&self, here: &Here<'_>) -> Vec<String> {
        let Here { model, hash, input, .. } = *here;
        let info = &self.0;
        let mut warnings = Vec::new();
        let same_hash = info.model_hash.as_deref().is_none_or(|known| {
            known == hash || known.eq_ignore_ascii_case(fingerprint::short(hash))
        });
        match &info.model {
            Some(name) if name != model => {
                warnings.push(format!("it was made with the model {name:?}, not with {model:?}"));
            }
            Some(_) if !same_hash => {
                warnings.push(format!("it was made with other weights of the model {model:?}"));
            }
            _ => {}
        }
        if let (Some(sampler), None) = (&info.sampler, info.scheduler)
            && self.record().is_none()
        {
            let schedule = info.schedule.as_deref().unwrap_or_default();
            warnings.push(format!(
                "the sampler {:?} is not here; the model's own is used unless --scheduler names one",
                format!("{sampler} {schedule}").trim()
            ));
        }
        match self.record() {
            Some(record) => warnings.extend(differences(record, here)),
            None => {
                // Of an enlargement, the strength is that of its second pass.
                let is_enlarged = info.parameters.keys().any(|name| name.starts_with("Hires"));
                if info.strength.is_some() && input.is_none() && !is_enlarged {
                    let text = "it was drawn from a picture, which was not given (--init-image)";
                    warnings.push(text.into());
                }
                let others: BTreeSet<&str> = info.parameters.keys().map(String::as_str).collect();
                let others: Vec<&str> =
                    others.into_iter().filter(|name| !FOLLOWED.contains(name)).collect();
                if !others.is_empty() {
                    warnings.push(format!("not followed: {}", others.join(", ")));
                }
            }
        }
        warnings
    }
}

/// What sets this run apart from the one that made a file of ours.
fn differences(record: &Record, here: &Here<'_>) -> Vec<String> {
    let mut all = Vec::new();
    let precision = here.precision;
    if record.precision != precision.to_string() {
        all.push(format!("it was computed in {}, not in {precision}", record.precision));
    }
    if record.build.as_ref().is_some_and(|build| *build != build_identity()) {
        all.push(
            "it was made by another build, or on a processor of another kind: single values may \
             differ"
                .into(),
        );
    }
    if let (Some(theirs), Some(ours)) = (&record.input, here.input)
        && theirs != ours
    {
        all.push(format!("it was drawn from another picture, that of SHA-256 {theirs}"));
    }
    if let (Some(StoredMask { picture: theirs, .. }), Some(ours)) = (&record.mask, here.mask)
        && theirs != ours
    {
        all.push(format!("it was repainted by another mask, that of SHA-256 {theirs}"));
    }
    all
}
