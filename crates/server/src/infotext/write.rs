//! The `parameters` text that AUTOMATIC1111's web UI writes and tools of the field read.

use std::borrow::Cow;
use std::fmt::Write as _;

use diffusion_engine::{OwnScheduler, PromptSyntax};
use diffusion_jobs::request::Fill;

use super::record::Record;
use crate::{fingerprint, samplers};

/// Prompt, negative prompt, and a line of settings in the web UI's names and order.
pub(super) fn parameters(record: &Record, own: Option<OwnScheduler>) -> String {
    let plan = &record.plan;
    let mut text = in_syntax(&plan.prompt, plan.text.syntax).into_owned();
    if !plan.negative_prompt.is_empty() {
        text += "\nNegative prompt: ";
        text += &in_syntax(&plan.negative_prompt, plan.text.syntax);
    }
    let settings: Vec<String> = settings(record, own)
        .into_iter()
        .map(|(name, value)| format!("{name}: {}", quote(&value)))
        .collect();
    text + "\n" + &settings.join(", ")
}

/// A prompt as the web UI writes what was read in this syntax: there, brackets weigh.
fn in_syntax(prompt: &str, syntax: PromptSyntax) -> Cow<'_, str> {
    if syntax == PromptSyntax::A1111 || !prompt.contains(['\\', '(', ')', '[', ']']) {
        return prompt.into();
    }
    let mut escaped = String::with_capacity(prompt.len() + 8);
    for c in prompt.chars() {
        if matches!(c, '\\' | '(' | ')' | '[' | ']') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped.into()
}

fn settings(record: &Record, own: Option<OwnScheduler>) -> Vec<(&'static str, String)> {
    let plan = &record.plan;
    let mut all = Vec::new();
    let mut add = |name, value: Option<String>| all.extend(value.map(|value| (name, value)));
    let named = plan.scheduler.map(samplers::names).or_else(|| own.map(samplers::own_names));
    add("Steps", Some(plan.steps.to_string()));
    add("Sampler", named.map(|(sampler, _)| sampler.into()));
    add("Schedule type", named.and_then(|(_, schedule)| schedule).map(Into::into));
    add("CFG scale", Some(plan.guidance.to_string()));
    add("Seed", Some(plan.seed.to_string()));
    add("Size", Some(format!("{}x{}", plan.width, plan.height)));
    add("Model hash", record.model_hash.as_deref().map(|hash| fingerprint::short(hash).into()));
    add("Model", Some(record.model.clone()));
    let variation = plan.variation.filter(|variation| variation.strength != 0.0);
    add("Variation seed", variation.map(|variation| variation.seed.to_string()));
    add("Variation seed strength", variation.map(|variation| variation.strength.to_string()));
    add("Denoising strength", plan.strength.map(|strength| strength.to_string()));
    let skip = plan.text.clip_skip.filter(|&skip| skip > 1);
    add("Clip skip", skip.map(|skip| skip.to_string()));
    // Readers that are not told think of a graphics card's noise.
    add("RNG", Some("CPU".into()));
    if let Some(inpaint) = record.mask.as_ref().map(|mask| mask.inpaint) {
        add("Mask blur", (inpaint.blur > 0.0).then(|| inpaint.blur.to_string()));
        add("Mask mode", inpaint.invert.then(|| "Inpaint not masked".into()));
        add("Inpaint area", inpaint.only_masked.map(|_| "Only masked".into()));
        add("Masked area padding", inpaint.only_masked.map(|padding| padding.to_string()));
        let content = match inpaint.fill {
            Fill::Original => None,
            Fill::Surround => Some("fill"),
            Fill::LatentNoise => Some("latent noise"),
            Fill::LatentNothing => Some("latent nothing"),
        };
        add("Masked content", content.map(Into::into));
    }
    add("Precision", (record.precision != "f32").then(|| record.precision.clone()));
    add("Version", Some(concat!("diffusion-server ", env!("CARGO_PKG_VERSION")).into()));
    all
}

/// A value as it stands, or as a JSON string where it would end too early.
fn quote(value: &str) -> Cow<'_, str> {
    if !value.contains([',', '\n', ':']) {
        return value.into();
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for c in value.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() && u32::from(c) < 0x20 => {
                // Writing to a text cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted.into()
}

#[cfg(test)]
mod tests {
    use diffusion_engine::{Plan, SchedulerKind, SigmaSpacing, TextOptions, Variation};
    use diffusion_jobs::request::{Inpaint, Resize};
    use proptest::prelude::*;

    use super::*;
    use crate::infotext::a1111;
    use crate::plan::StoredMask;

    pub(crate) fn record() -> Record {
        Record {
            model: "pocket".into(),
            model_hash: Some("0123456789abcdef".into()),
            precision: "f32".into(),
            build: None,
            input: None,
            resize: Resize::default(),
            mask: None,
            plan: Plan {
                prompt: "a cat".into(),
                negative_prompt: "rain".into(),
                width: 128,
                height: 96,
                steps: 20,
                guidance: 7.0,
                scheduler: Some(SchedulerKind::DpmPp2mKarras),
                seed: 1,
                strength: Some(0.8),
                text: TextOptions::default(),
                variation: None,
                inpaint: None,
            },
        }
    }

    #[test]
    fn parameters_read_as_the_field_writes_them() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            parameters(&record(), None),
            format!(
                "a cat\nNegative prompt: rain\nSteps: 20, Sampler: DPM++ 2M, Schedule type: Karras, \
                 CFG scale: 7, Seed: 1, Size: 128x96, Model hash: 0123456789, Model: pocket, \
                 Denoising strength: 0.8, RNG: CPU, Version: diffusion-server {version}"
            )
        );
    }

    #[test]
    fn the_models_own_scheduler_is_named() {
        let mut record = record();
        let unipc = OwnScheduler { kind: SchedulerKind::UniPc, spacing: SigmaSpacing::Karras };
        assert!(parameters(&record, Some(unipc)).contains(", Sampler: DPM++ 2M, "));
        record.plan.scheduler = None;
        let text = parameters(&record, Some(unipc));
        assert!(text.contains(", Sampler: UniPC, Schedule type: Karras, CFG "), "{text}");
        let pndm = OwnScheduler { kind: SchedulerKind::Pndm, spacing: SigmaSpacing::Training };
        let text = parameters(&record, Some(pndm));
        assert!(text.contains(", Sampler: PLMS, CFG scale: "), "{text}");
        assert!(!parameters(&record, None).contains("Sampler"));
    }

    #[test]
    fn what_was_done_beside_is_told() {
        let mut record = record();
        record.plan.negative_prompt.clear();
        record.plan.text.clip_skip = Some(2);
        record.plan.variation = Some(Variation { seed: 9, strength: 0.25 });
        record.precision = "int8".into();
        record.model = "a, b: \"c\"\\".into();
        let inpaint =
            Inpaint { invert: true, blur: 4.0, fill: Fill::LatentNoise, only_masked: Some(32) };
        record.mask = Some(StoredMask { picture: "00".into(), inpaint });
        let text = parameters(&record, None);
        assert!(text.starts_with("a cat\nSteps: 20, "), "{text}");
        for part in [
            ", Model: \"a, b: \\\"c\\\"\\\\\", Variation seed: 9, Variation seed strength: 0.25, ",
            ", Clip skip: 2, RNG: CPU, Mask blur: 4, Mask mode: Inpaint not masked, ",
            ", Inpaint area: Only masked, Masked area padding: 32, Masked content: latent noise, ",
            ", Precision: int8, ",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn brackets_that_were_words_stay_words() {
        let mut record = record();
        record.plan.prompt = "a sign (closed) [old]".into();
        record.plan.negative_prompt = "a\\b".into();
        let text = parameters(&record, None);
        let start = "a sign \\(closed\\) \\[old\\]\nNegative prompt: a\\\\b\nSteps: ";
        assert!(text.starts_with(start), "{text}");
        record.plan.text.syntax = PromptSyntax::A1111;
        let text = parameters(&record, None);
        assert!(
            text.starts_with("a sign (closed) [old]\nNegative prompt: a\\b\nSteps: "),
            "{text}"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            prompt in "[a-z(),:\\\\\" ]{0,20}[a-z.]",
            negative in "([a-z(),:\\\\\" ]{0,20}[a-z.])?",
            model in "[a-z\\\\\",:\\n\\t é][a-z\\\\\",:\\n\\t é]{0,12}[a-z]",
            seed: u64,
            guidance in 0.0..30.0,
        ) {
            let mut record = record();
            record.plan.text.syntax = PromptSyntax::A1111;
            record.plan.prompt = prompt.trim().to_owned();
            record.plan.negative_prompt = negative.trim().to_owned();
            record.plan.seed = seed;
            record.plan.guidance = guidance;
            record.model = model.trim().to_owned();
            // A value in quotes from the start is taken for a quoted one.
            prop_assume!(!record.model.starts_with('"'));
            let read = a1111::read(&parameters(&record, None));
            prop_assert_eq!(read.prompt.unwrap(), record.plan.prompt);
            prop_assert_eq!(read.negative_prompt.unwrap_or_default(), record.plan.negative_prompt);
            prop_assert_eq!(read.model.unwrap(), record.model);
            prop_assert_eq!((read.seed, read.guidance), (Some(seed), Some(guidance)));
            prop_assert_eq!(read.scheduler, record.plan.scheduler);
        }
    }
}
