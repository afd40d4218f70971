//! Reading what ComfyUI writes: the graph of nodes that was carried out (`prompt`), or the one of
//! its editor (`workflow`).
//!
//! A graph can do anything; what is read is what its first sampler was given, found by following
//! links. What is computed by nodes that are not known stays unsaid.

mod graph;
mod workflow;

use diffusion_engine::PromptSyntax;
use serde_json::Value;

use self::graph::{Graph, Node};
use super::info::{Info, Origin};
use crate::samplers;

/// The keyword of the graph that was carried out.
pub(super) const PROMPT: &str = "prompt";
/// The keyword of the editor's graph.
pub(super) const WORKFLOW: &str = "workflow";

/// What the texts of these keywords say, if one is such a graph with a sampler.
pub(super) fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Info> {
    let prompt = get(PROMPT).and_then(json).map(|value| Graph::of_prompt(&value));
    prompt.and_then(|graph| info(&graph)).or_else(|| {
        let value = get(WORKFLOW).and_then(json)?;
        info(&workflow::graph(&value))
    })
}

/// JSON as Python writes it, with `NaN` and infinities, which become null.
fn json(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let (mut plain, mut is_inside, mut is_escaped) = (String::new(), false, false);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let number = ["NaN", "-Infinity", "Infinity"].into_iter().find(|n| rest.starts_with(n));
        if let Some(number) = number.filter(|_| !is_inside) {
            plain += "null";
            rest = &rest[number.len()..];
            continue;
        }
        is_inside ^= c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        plain.push(c);
        rest = &rest[c.len_utf8()..];
    }
    serde_json::from_str(&plain).ok()
}

fn info(graph: &Graph) -> Option<Info> {
    let node = first_sampler(graph)?;
    // Newer graphs spread a sampler's settings over several nodes.
    let guider = graph.linked(node, "guider").unwrap_or(node);
    let noise = graph.linked(node, "noise").unwrap_or(node);
    let sigmas = graph.linked(node, "sigmas").unwrap_or(node);
    let chosen = graph.linked(node, "sampler").unwrap_or(node);

    let sampler = graph.text(chosen, &["sampler_name"]);
    let schedule = graph.text(sigmas, &["scheduler"]);
    let kind =
        |name: &String| samplers::parse_strictly(name, schedule.as_deref().unwrap_or("normal"));
    let denoise = graph.number(sigmas, &["denoise"]).filter(|&denoise| denoise < 1.0);
    let model = graph.find(guider, &["model"], |node| node.has(&CHECKPOINTS));
    let latent = graph.find(node, &["latent_image", "latent", "samples"], |node| {
        node.has(&["width"]) && node.has(&["height"])
    });
    let side = |name: &str| latent.and_then(|node| whole(graph.number(node, &[name])?));
    Some(Info {
        origin: Some(Origin::ComfyUi),
        prompt: prompt(graph, guider, &["positive", "conditioning"]),
        negative_prompt: prompt(graph, guider, &["negative"]),
        steps: graph.number(sigmas, &["steps"]).and_then(whole),
        guidance: graph.number(guider, &["cfg"]),
        seed: graph.integer(noise, &["seed", "noise_seed"]),
        width: side("width"),
        height: side("height"),
        scheduler: sampler.as_ref().and_then(|name| kind(name).ok()),
        sampler,
        schedule,
        strength: denoise,
        model: model.and_then(|node| graph.text(node, &CHECKPOINTS)),
        syntax: Some(PromptSyntax::A1111),
        ..Info::default()
    })
}

/// Inputs that name a file of weights.
const CHECKPOINTS: [&str; 2] = ["ckpt_name", "unet_name"];

/// Samplers among which the first is looked for.
const MOST_SAMPLERS: usize = 64;

/// The sampler that no other sampler comes before; the others refine what it made.
fn first_sampler(graph: &Graph) -> Option<&Node> {
    let is_sampler =
        |node: &Node| node.has(&["steps", "sigmas"]) && node.has(&["seed", "noise_seed", "noise"]);
    let samplers = || graph.nodes().filter(|node| is_sampler(node));
    let is_first = |node: &&Node| {
        let inputs = ["latent_image", "latent", "samples", "image", "pixels"];
        graph.find(node, &inputs, is_sampler).is_none()
    };
    samplers().take(MOST_SAMPLERS).find(is_first).or_else(|| samplers().next())
}

/// The text behind a conditioning.
fn prompt(graph: &Graph, node: &Node, inputs: &[&str]) -> Option<String> {
    let inputs = [inputs, &["conditioning", "conditioning_1", "conditioning_to"]].concat();
    let encoder = graph.find(node, &inputs, |node| node.has(&TEXTS) || node.is_zero())?;
    if encoder.is_zero() {
        return Some(String::new());
    }
    graph.text(encoder, &TEXTS)
}

/// Inputs of nodes that encode a text.
const TEXTS: [&str; 3] = ["text", "text_g", "prompt"];

fn whole(number: f64) -> Option<u32> {
    (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number))
        .then_some(number as u32)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use diffusion_engine::SchedulerKind;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> Option<Info> {
        let text = value.to_string();
        read(|keyword| (keyword == PROMPT).then_some(&*text))
    }

    fn simple() -> Value {
        json!({
            "3": {"class_type": "KSampler", "inputs": {
                "seed": 156680208700286_u64, "steps": 20, "cfg": 8, "sampler_name": "dpmpp_2m",
                "scheduler": "karras", "denoise": 1, "model": ["10", 0], "positive": ["6", 0],
                "negative": ["7", 0], "latent_image": ["5", 0]
            }},
            "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "v1-5.safetensors"}},
            "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 512, "height": 768}},
            "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
            "7": {"class_type": "CLIPTextEncode", "inputs": {"text": ["11", 0], "clip": ["4", 1]}},
            "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
            "10": {"class_type": "LoraLoader", "inputs": {"model": ["4", 0], "clip": ["4", 1]}},
            "11": {"class_type": "PrimitiveString", "inputs": {"value": "rain"}}
        })
    }

    #[test]
    fn the_usual_graph() {
        let info = of(&simple()).unwrap();
        assert_eq!(info.prompt.as_deref(), Some("a cat"));
        assert_eq!(info.negative_prompt.as_deref(), Some("rain"));
        assert_eq!((info.steps, info.guidance), (Some(20), Some(8.0)));
        assert_eq!(info.seed, Some(156680208700286));
        assert_eq!((info.width, info.height), (Some(512), Some(768)));
        assert_eq!(info.scheduler, Some(SchedulerKind::DpmPp2mKarras));
        assert_eq!(info.model.as_deref(), Some("v1-5.safetensors"));
        assert_eq!(info.strength, None);
    }

    #[test]
    fn a_graph_whose_sampler_is_spread_over_nodes() {
        let info = of(&json!({
            "1": {"class_type": "SamplerCustomAdvanced", "inputs": {
                "noise": ["2", 0], "guider": ["3", 0], "sampler": ["4", 0], "sigmas": ["5", 0],
                "latent_image": ["6", 0]
            }},
            "2": {"class_type": "RandomNoise", "inputs": {"noise_seed": 7}},
            "3": {"class_type": "CFGGuider", "inputs": {
                "cfg": 3.5, "model": ["8", 0], "positive": ["9", 0], "negative": ["10", 0]
            }},
            "4": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
            "5": {"class_type": "BasicScheduler", "inputs": {
                "scheduler": "normal", "steps": 12, "denoise": 0.5, "model": ["8", 0]
            }},
            "6": {"class_type": "EmptySD3LatentImage", "inputs": {"width": ["7", 0], "height": 64}},
            "7": {"class_type": "PrimitiveInt", "inputs": {"value": 128}},
            "8": {"class_type": "UNETLoader", "inputs": {"unet_name": "net.safetensors"}},
            "9": {"class_type": "ControlNetApplyAdvanced", "inputs": {
                "positive": ["11", 0], "negative": ["10", 0]
            }},
            "10": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["11", 0]}},
            "11": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat"}}
        }));
        let info = info.unwrap();
        assert_eq!(info.prompt.as_deref(), Some("a cat"));
        assert_eq!(info.negative_prompt.as_deref(), Some(""));
        assert_eq!((info.seed, info.steps, info.guidance), (Some(7), Some(12), Some(3.5)));
        assert_eq!((info.width, info.height), (Some(128), Some(64)));
        assert_eq!((info.scheduler, info.strength), (Some(SchedulerKind::Euler), Some(0.5)));
        assert_eq!(info.model.as_deref(), Some("net.safetensors"));
    }

    #[test]
    fn of_two_samplers_the_first_counts() {
        let mut graph = simple();
        graph["1"] = json!({"class_type": "KSampler", "inputs": {
            "seed": 5, "steps": 9, "denoise": 0.5, "latent_image": ["2", 0]
        }});
        graph["2"] = json!({"class_type": "LatentUpscaleBy", "inputs": {"samples": ["3", 0]}});
        assert_eq!(of(&graph).unwrap().steps, Some(20));
    }

    #[test]
    fn numbers_that_json_does_not_have() {
        let text = simple().to_string().replacen(
            '{',
            r#"{"x": {"is_changed": [NaN, -Infinity, "a NaN"]},"#,
            1,
        );
        let info = read(|keyword| (keyword == PROMPT).then_some(&*text)).unwrap();
        assert_eq!(info.steps, Some(20));
    }

    #[test]
    fn circles_and_crowds_end() {
        let started = Instant::now();
        let mut nodes = serde_json::Map::new();
        for i in 0..5000 {
            let next = [((i + 1) % 5000).to_string(), ((i * 7) % 5000).to_string()];
            nodes.insert(
                i.to_string(),
                json!({"class_type": "KSampler", "inputs": {
                    "seed": [next[0], 0], "steps": [next[1], 0], "text": [next[0], 0],
                    "positive": [next[0], 0], "negative": [next[1], 0], "model": [next[0], 0],
                    "latent_image": [next[0], 0], "conditioning": [next[1], 0]
                }}),
            );
        }
        let info = of(&Value::Object(nodes)).unwrap();
        assert_eq!((info.seed, info.prompt), (None, None));

        // Many samplers at the end of one long way, none of which is the first.
        let mut nodes = serde_json::Map::new();
        let sampler = |from: u32| {
            json!({"class_type": "KSampler", "inputs": {
                "seed": 1, "steps": 2, "latent_image": [from.to_string(), 0]
            }})
        };
        for i in 0..190 {
            let from = (i + 1).to_string();
            nodes.insert(
                i.to_string(),
                json!({"class_type": "Way", "inputs": {"samples": [from, 0]}}),
            );
        }
        nodes.insert("190".into(), sampler(190));
        for i in 1000..20_000 {
            nodes.insert(i.to_string(), sampler(0));
        }
        assert_eq!(of(&Value::Object(nodes)).unwrap().steps, Some(2));
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    proptest! {
        #[test]
        fn no_graph_breaks_it(
            links in proptest::collection::vec((0_u8..6, 0_u8..12, 0_u8..6), 0..20),
            text in "\\PC{0,20}",
        ) {
            let names = [
                "seed", "steps", "positive", "negative", "model", "latent_image", "text", "guider",
                "sigmas", "noise", "sampler", "conditioning",
            ];
            let mut graph = json!({});
            for (from, name, to) in links {
                graph[from.to_string()]["class_type"] = json!("Zero");
                graph[from.to_string()]["inputs"][names[usize::from(name)]] =
                    json!([to.to_string(), 0]);
            }
            of(&graph);
            json(&text);
        }
    }
}
