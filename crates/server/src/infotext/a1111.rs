//! Reading the `parameters` text of AUTOMATIC1111's web UI.
//!
//! The prompt, of any number of lines; then the negative one behind `Negative prompt:`; then one
//! line of `Name: value, …`, in which values with a comma, colon or line break are JSON strings.

use std::collections::BTreeMap;

use diffusion_engine::PromptSyntax;

use super::info::{Info, Origin, Variant};
use crate::samplers;

/// How the negative prompt begins.
const NEGATIVE: &str = "Negative prompt:";
/// A last line with fewer settings belongs to the prompt.
const LEAST: usize = 3;
/// Settings that are read; the web UI writes some thirty.
const MOST: usize = 1000;

/// What the text says. Any text is one: without settings it is all prompt.
pub(crate) fn read(text: &str) -> Info {
    let text = text.trim();
    let (head, last) = text.rsplit_once('\n').unwrap_or(("", text));
    let pairs = pairs(last);
    let (head, parameters): (_, BTreeMap<String, String>) = match pairs.len() >= LEAST {
        true => (head, pairs.into_iter().collect()),
        false => (text, BTreeMap::new()),
    };
    let mut prompt: Vec<&str> = Vec::new();
    let mut negative: Option<Vec<&str>> = None;
    for line in head.lines().map(str::trim) {
        match (line.strip_prefix(NEGATIVE), &mut negative) {
            (Some(line), None) => negative = Some(vec![line.trim()]),
            (Some(line), Some(lines)) => lines.push(line.trim()),
            (None, Some(lines)) => lines.push(line),
            (None, None) => prompt.push(line),
        }
    }
    let mut info = settings(&parameters);
    info.prompt = Some(prompt.join("\n"));
    info.negative_prompt = negative.map(|lines| lines.join("\n"));
    info.parameters = parameters;
    info
}

fn settings(parameters: &BTreeMap<String, String>) -> Info {
    let get = |name: &str| parameters.get(name).cloned();
    fn number<T: std::str::FromStr>(text: Option<String>) -> Option<T> {
        text?.trim().parse().ok()
    }
    let float = |name| number::<f64>(get(name)).filter(|value| value.is_finite());
    let size = get("Size");
    let (width, height) = size
        .as_deref()
        .and_then(|size| size.split_once('x'))
        .map_or((None, None), |(w, h)| (w.trim().parse().ok(), h.trim().parse().ok()));
    let (sampler, schedule) = (get("Sampler"), get("Schedule type"));
    // What has a schedule of its own has always written it since there are two names.
    let told = schedule.as_deref().unwrap_or("Uniform");
    let scheduler = sampler.as_deref().and_then(|name| samplers::parse(name, Some(told)).ok());
    let variation = number(get("Variation seed")).zip(float("Variation seed strength"));
    Info {
        origin: Some(Origin::Automatic1111),
        steps: number(get("Steps")),
        guidance: float("CFG scale"),
        seed: number(get("Seed")),
        width,
        height,
        sampler,
        schedule,
        scheduler,
        strength: float("Denoising strength"),
        model: get("Model"),
        model_hash: get("Model hash"),
        clip_skip: number(get("Clip skip")),
        variation: variation.map(|(seed, strength)| Variant { seed, strength }),
        syntax: Some(PromptSyntax::A1111),
        ..Info::default()
    }
}

/// The settings of a line. What is none is passed over, as the web UI does.
fn pairs(line: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = line;
    while !rest.is_empty() && pairs.len() < MOST {
        rest = rest.trim_start();
        let Some(first) = rest.chars().next() else { break };
        if !is_word(first) {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let in_name = |c: char| is_word(c) || matches!(c, ' ' | '-' | '/');
        let end = rest.find(|c| !in_name(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        // No shorter name could be followed by a colon: all of it is passed over.
        let Some(after) = after.strip_prefix(':').filter(|_| name.chars().nth(1).is_some()) else {
            rest = after;
            continue;
        };
        let (value, after) = value(after.trim_start());
        pairs.push((name.to_owned(), value));
        rest = after;
    }
    pairs
}

/// A value, and what follows its comma.
fn value(text: &str) -> (String, &str) {
    if let Some((quoted, after)) = quoted(text) {
        let value = serde_json::from_str(quoted).unwrap_or_else(|_| quoted.to_owned());
        return (value, after);
    }
    let (value, after) = text.split_once(',').unwrap_or((text, ""));
    (value.trim_end().to_owned(), after)
}

/// A JSON string up to the comma or the end that must follow it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = inner.find(|c| {
        let is_end = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    })?;
    let (quoted, after) = text.split_at(end + 2);
    if after.is_empty() { Some((quoted, "")) } else { Some((quoted, after.strip_prefix(',')?)) }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use diffusion_engine::SchedulerKind;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_of_the_web_ui() {
        let info = read(
            "a lighthouse, (storm:1.2)\nby the sea <lora:waves:0.8>\nNegative prompt: people,\n\
             boats\nSteps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 6.5, \
             Seed: 3141592653, Size: 512x768, Model hash: 6ce0161689, Model: v1-5-pruned, \
             Variation seed: 5, Variation seed strength: 0.1, Denoising strength: 0.75, \
             Clip skip: 2, Lora hashes: \"waves: 0a1b, more: \\\"2\\\"\", Version: v1.10.1",
        );
        assert_eq!(
            info.prompt.as_deref(),
            Some("a lighthouse, (storm:1.2)\nby the sea <lora:waves:0.8>")
        );
        assert_eq!(info.negative_prompt.as_deref(), Some("people,\nboats"));
        assert_eq!((info.steps, info.guidance), (Some(28), Some(6.5)));
        assert_eq!((info.seed, info.width, info.height), (Some(3141592653), Some(512), Some(768)));
        assert_eq!(info.scheduler, Some(SchedulerKind::DpmPp2mKarras));
        assert_eq!((info.strength, info.clip_skip), (Some(0.75), Some(2)));
        assert_eq!(info.variation, Some(Variant { seed: 5, strength: 0.1 }));
        assert_eq!(info.model.as_deref(), Some("v1-5-pruned"));
        assert_eq!(info.parameters["Lora hashes"], "waves: 0a1b, more: \"2\"");
        assert_eq!(info.parameters["Version"], "v1.10.1");
    }

    #[test]
    fn old_texts_mean_what_they_meant() {
        let kind = |settings: &str| read(&format!("a\nSteps: 1, Seed: 2, {settings}")).scheduler;
        assert_eq!(kind("Sampler: DPM++ 2M"), Some(SchedulerKind::DpmPp2m));
        assert_eq!(kind("Sampler: DPM++ 2M Karras"), Some(SchedulerKind::DpmPp2mKarras));
        assert_eq!(kind("Sampler: Euler a"), Some(SchedulerKind::EulerAncestral));
        assert_eq!(kind("Sampler: Restart"), None);
    }

    #[test]
    fn a_text_without_settings_is_a_prompt() {
        let info = read("a cat: black, white\nin rain");
        assert_eq!(info.prompt.as_deref(), Some("a cat: black, white\nin rain"));
        assert_eq!((info.negative_prompt, info.steps), (None, None));
        assert_eq!(read("").prompt.as_deref(), Some(""));
        let info = read("Negative prompt: rain\nSteps: 1, Seed: 2, Size: 8x8");
        assert_eq!(info.prompt.as_deref(), Some(""));
        assert_eq!(info.negative_prompt.as_deref(), Some("rain"));
    }

    #[test]
    fn broken_quotes_end_with_the_comma() {
        let read = pairs("Model: \"half, Seed: 3, Lora: \"a\" b, Size: 8x8");
        let expected = [("Model", "\"half"), ("Seed", "3"), ("Lora", "\"a\" b"), ("Size", "8x8")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn no_more_settings_are_read_than_anyone_writes() {
        let line: String = (0..2 * MOST).map(|i| format!("a{i}: 1, ")).collect();
        assert_eq!(read(&line).parameters.len(), MOST);
    }

    #[test]
    fn long_texts_take_no_longer_than_they_are_long() {
        let started = Instant::now();
        for part in ["a", " ", "ab:\"", "ab: \"\\", "a b-", "é", ",", "\n"] {
            read(&part.repeat(200_000));
        }
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "(\\PC|[\\n\":,\\\\x]){0,200}") {
            let info = read(&text);
            prop_assert!(info.prompt.is_some());
        }
    }
}
