//! The editor's graph, which has the values of a node's fields in a list, in their order on it.

use std::collections::HashMap;

use serde_json::Value;

use super::graph::{Graph, Input, Node};

/// The fields of the nodes that matter, in order; an empty name is a field that does not.
const FIELDS: [(&str, &[&str]); 17] = [
    ("KSampler", &["seed", "", "steps", "cfg", "sampler_name", "scheduler", "denoise"]),
    ("KSamplerAdvanced", &["", "noise_seed", "", "steps", "cfg", "sampler_name", "scheduler"]),
    ("KSamplerSelect", &["sampler_name"]),
    ("BasicScheduler", &["scheduler", "steps", "denoise"]),
    ("RandomNoise", &["noise_seed"]),
    ("CFGGuider", &["cfg"]),
    ("CLIPTextEncode", &["text"]),
    ("CheckpointLoaderSimple", &["ckpt_name"]),
    ("CheckpointLoader", &["", "ckpt_name"]),
    ("UNETLoader", &["unet_name"]),
    ("EmptyLatentImage", &["width", "height"]),
    ("EmptySD3LatentImage", &["width", "height"]),
    ("LatentUpscale", &["", "width", "height"]),
    ("PrimitiveNode", &["value"]),
    ("PrimitiveInt", &["value"]),
    ("PrimitiveString", &["value"]),
    ("PrimitiveStringMultiline", &["value"]),
];

/// `{nodes: [{id, type, inputs: [{name, link}], widgets_values: […]}], links: [[LINK, FROM, …]]}`
pub(super) fn graph(value: &Value) -> Graph {
    let links: HashMap<u64, String> = list(&value["links"])
        .filter_map(|link| Some((link[0].as_u64()?, link[1].as_u64()?.to_string())))
        .collect();
    let nodes = list(&value["nodes"]).filter_map(|node| {
        let class = node["type"].as_str()?;
        let fields = FIELDS.iter().find(|(known, _)| *known == class).map_or(&[][..], |(_, f)| f);
        let values = fields.iter().zip(list(&node["widgets_values"]));
        let mut inputs: HashMap<String, Input> = values
            .filter(|(name, _)| !name.is_empty())
            .map(|(name, value)| ((*name).to_owned(), Input::Is(value.clone())))
            .collect();
        // A field that was made an input is linked in place of its value.
        inputs.extend(list(&node["inputs"]).filter_map(|input| {
            let from = links.get(&input["link"].as_u64()?)?;
            Some((input["name"].as_str()?.to_owned(), Input::From(from.clone())))
        }));
        Some((node["id"].as_u64()?.to_string(), Node::new(class, inputs)))
    });
    Graph::new(nodes)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{WORKFLOW, read};

    #[test]
    fn the_usual_workflow() {
        let text = json!({
            "nodes": [
                {"id": 3, "type": "KSampler",
                    "widgets_values": [7, "randomize", 20, 8, "euler_ancestral", "normal", 0.6],
                    "inputs": [{"name": "model", "link": 1}, {"name": "positive", "link": 4},
                        {"name": "negative", "link": 6}, {"name": "latent_image", "link": 2}]},
                {"id": 4, "type": "CheckpointLoaderSimple", "widgets_values": ["v1-5.safetensors"]},
                {"id": 5, "type": "EmptyLatentImage", "widgets_values": [512, 768, 1]},
                {"id": 6, "type": "CLIPTextEncode", "widgets_values": ["a cat"]},
                {"id": 7, "type": "CLIPTextEncode", "widgets_values": ["rain"]},
                {"id": 9, "type": "Unknown", "widgets_values": {"a": 1}}
            ],
            "links": [[1, 4, 0, 3, 0, "MODEL"], [2, 5, 0, 3, 3, "LATENT"],
                [4, 6, 0, 3, 1, "CONDITIONING"], [6, 7, 0, 3, 2, "CONDITIONING"], "broken"]
        })
        .to_string();
        let info = read(|keyword| (keyword == WORKFLOW).then_some(&*text)).unwrap();
        assert_eq!(info.prompt.as_deref(), Some("a cat"));
        assert_eq!(info.negative_prompt.as_deref(), Some("rain"));
        assert_eq!((info.seed, info.steps, info.guidance), (Some(7), Some(20), Some(8.0)));
        assert_eq!((info.width, info.height, info.strength), (Some(512), Some(768), Some(0.6)));
        assert_eq!(info.sampler.as_deref(), Some("euler_ancestral"));
        assert_eq!(info.model.as_deref(), Some("v1-5.safetensors"));
    }
}
