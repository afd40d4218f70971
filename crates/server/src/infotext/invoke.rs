//! Reading what InvokeAI writes: `invokeai_metadata` since 3.0, `sd-metadata` before, and the
//! command line `Dream` of its first versions.

use diffusion_engine::PromptSyntax;
use serde_json::Value;

use super::info::{Info, Origin};
use crate::samplers;

/// What the texts of these keywords say, if one is there and can be read.
pub(super) fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Info> {
    let json = |keyword| get(keyword).and_then(|text| serde_json::from_str::<Value>(text).ok());
    json("invokeai_metadata")
        .filter(Value::is_object)
        .map(|value| metadata(&value))
        .or_else(|| json("sd-metadata").as_ref().and_then(old_metadata))
        .or_else(|| get("Dream").map(dream))
}

fn metadata(value: &Value) -> Info {
    let model = &value["model"];
    let name = [&model["name"], &model["model_name"], model];
    Info {
        prompt: text(&value["positive_prompt"]),
        negative_prompt: text(&value["negative_prompt"]),
        model: name.into_iter().find_map(text),
        model_hash: text(&model["hash"]),
        // There it counts the layers that are left out.
        clip_skip: int(&value["clip_skip"]).filter(|&skip| skip > 0).and_then(|n| n.checked_add(1)),
        ..common(value, &value["scheduler"])
    }
}

fn old_metadata(value: &Value) -> Option<Info> {
    let image = value.get("image").filter(|image| image.is_object())?;
    let prompt = match &image["prompt"] {
        Value::Array(parts) => parts.iter().find_map(|part| text(&part["prompt"])),
        prompt => text(prompt),
    };
    let (prompt, negative) = prompt.as_deref().map(split).unzip();
    Some(Info {
        prompt,
        negative_prompt: negative,
        model: text(&value["model_weights"]).or_else(|| text(&value["model"])),
        model_hash: text(&value["model_hash"]),
        ..common(image, &image["sampler"])
    })
}

/// What both have under the same names.
fn common(value: &Value, sampler: &Value) -> Info {
    let sampler = text(sampler);
    Info {
        origin: Some(Origin::InvokeAi),
        steps: int(&value["steps"]),
        guidance: value["cfg_scale"].as_f64(),
        seed: value["seed"].as_u64(),
        width: int(&value["width"]),
        height: int(&value["height"]),
        scheduler: sampler
            .as_deref()
            .and_then(|name| samplers::parse_strictly(name, "normal").ok()),
        sampler,
        strength: value["strength"].as_f64(),
        syntax: Some(PromptSyntax::Plain),
        ..Info::default()
    }
}

/// `"a cat [rain]" -s 50 -S 7 -W 512 -H 512 -C 7.5 -A k_lms`
fn dream(line: &str) -> Info {
    let line = line.trim();
    let (prompt, options) = match line.strip_prefix('"').and_then(|line| line.split_once('"')) {
        Some(parts) => parts,
        None => {
            line.split_once(" -").map_or((line, ""), |(prompt, _)| (prompt, &line[prompt.len()..]))
        }
    };
    let (prompt, negative) = split(prompt.trim());
    let mut info = Info {
        prompt: Some(prompt),
        negative_prompt: Some(negative),
        ..common(&Value::Null, &Value::Null)
    };
    let words: Vec<&str> = options.split_whitespace().collect();
    let mut i = 0;
    while let Some(word) = words.get(i) {
        i += 1;
        // `-s 50` and `-s50`; long names stand with a space.
        let Some(option) = word.strip_prefix('-') else { continue };
        let letter = option.chars().next().unwrap_or_default();
        let glued = &option[letter.len_utf8().min(option.len())..];
        let value = match glued.is_empty() {
            true => words.get(i).copied().unwrap_or_default(),
            false => glued,
        };
        match letter {
            's' => info.steps = value.parse().ok(),
            'S' => info.seed = value.parse().ok(),
            'W' => info.width = value.parse().ok(),
            'H' => info.height = value.parse().ok(),
            'C' => info.guidance = value.parse().ok().filter(|value: &f64| value.is_finite()),
            'f' => info.strength = value.parse().ok().filter(|value: &f64| value.is_finite()),
            'A' => {
                info.scheduler = samplers::parse_strictly(value, "normal").ok();
                info.sampler = Some(value.to_owned());
            }
            _ => {}
        }
    }
    info
}

/// The prompt without what stands in brackets, and that, which is the negative one there.
fn split(prompt: &str) -> (String, String) {
    let (mut positive, mut negative) = (String::new(), Vec::new());
    let mut rest = prompt;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((inside, after)) = after.split_once(']') else { break };
        positive += before;
        negative.push(inside.trim());
        rest = after;
    }
    positive += rest;
    (positive.trim().to_owned(), negative.join(", "))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(Into::into)
}

fn int(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|value| u32::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use diffusion_engine::SchedulerKind;
    use proptest::prelude::*;

    use super::*;

    fn of(keyword: &str, text: &str) -> Option<Info> {
        read(|asked: &str| (asked == keyword).then_some(text))
    }

    #[test]
    fn metadata_of_today() {
        let info = of(
            "invokeai_metadata",
            r#"{"app_version": "5.0.0", "generation_mode": "img2img", "positive_prompt": "a cat",
                "negative_prompt": "rain", "width": 512, "height": 768, "seed": 4294967295,
                "cfg_scale": 7.5, "steps": 30, "scheduler": "dpmpp_2m_k", "strength": 0.6,
                "clip_skip": 1, "model": {"key": "k", "name": "dreamy", "hash": "blake3:00"}}"#,
        );
        let info = info.unwrap();
        assert_eq!(
            (info.prompt.as_deref(), info.negative_prompt.as_deref()),
            (Some("a cat"), Some("rain"))
        );
        assert_eq!((info.width, info.height, info.seed), (Some(512), Some(768), Some(4294967295)));
        assert_eq!((info.steps, info.guidance, info.strength), (Some(30), Some(7.5), Some(0.6)));
        assert_eq!(info.scheduler, Some(SchedulerKind::DpmPp2mKarras));
        assert_eq!((info.model.as_deref(), info.clip_skip), (Some("dreamy"), Some(2)));
    }

    #[test]
    fn metadata_of_before() {
        let info = of(
            "sd-metadata",
            r#"{"model": "stable diffusion", "model_weights": "sd-1.5", "model_hash": "cc6c",
                "image": {"prompt": [{"prompt": "a cat [rain] in town [snow]", "weight": 1}],
                "steps": 50, "cfg_scale": 7.5, "height": 512, "width": 512, "seed": 7,
                "sampler": "k_euler_a"}}"#,
        );
        let info = info.unwrap();
        assert_eq!(info.prompt.as_deref(), Some("a cat  in town"));
        assert_eq!(info.negative_prompt.as_deref(), Some("rain, snow"));
        assert_eq!((info.model.as_deref(), info.seed), (Some("sd-1.5"), Some(7)));
        assert_eq!(info.scheduler, Some(SchedulerKind::EulerAncestral));
    }

    #[test]
    fn the_command_line_of_its_first_versions() {
        for line in [
            "\"a cat\" -s 50 -S 7 -W512 -H 768 -C 7.5 -A k_lms",
            "a cat -s50 -S7 -W 512 -H768 -C7.5 -Ak_lms",
        ] {
            let info = of("Dream", line).unwrap();
            assert_eq!(info.prompt.as_deref(), Some("a cat"), "{line}");
            assert_eq!(
                (info.steps, info.seed, info.width, info.height),
                (Some(50), Some(7), Some(512), Some(768))
            );
            assert_eq!((info.guidance, info.scheduler), (Some(7.5), Some(SchedulerKind::Lms)));
        }
    }

    #[test]
    fn what_is_something_else_is_left_alone() {
        for (keyword, text) in
            [("invokeai_metadata", "[]"), ("invokeai_metadata", "{"), ("sd-metadata", "{}")]
        {
            assert_eq!(of(keyword, text), None);
        }
    }

    proptest! {
        #[test]
        fn no_line_breaks_it(line in "(\\PC|[ \"\\[\\]-]){0,80}") {
            dream(&line);
        }
    }
}
