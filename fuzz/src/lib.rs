//! What the targets and their seeds have in common.

use std::path::Path;
use std::sync::LazyLock;

use diffusion_engine::{Model, Options, Plan, Runtime, SchedulerKind, Source, TextOptions};

/// The tests' tiny model.
pub const TINY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/engine/tests/goldens/tiny-sd1");

/// The file of its UNet's weights.
pub const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

/// The list of such files, where there are several.
pub const UNET_INDEX: &str = "unet/diffusion_pytorch_model.safetensors.index.json";

/// The files of a model that the target `model` reads. An input begins with `a` for the first one,
/// `b` for the second, and so on. In the last place, the UNet's header stands alone: its length
/// before it and zeros behind it, as many as the tiny model's file has bytes there, are added.
pub const MODEL_FILES: [&str; 15] = [
    "model_index.json",
    "unet/config.json",
    "vae/config.json",
    "text_encoder/config.json",
    "scheduler/scheduler_config.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer_config.json",
    "tokenizer/special_tokens_map.json",
    "tokenizer/added_tokens.json",
    "tokenizer/tokenizer.json",
    "generation_config.json",
    UNET_INDEX,
    UNET,
    UNET,
];

/// The tiny model, loaded, on one thread.
pub static MODEL: LazyLock<Model> = LazyLock::new(|| {
    let threads = Some(1.try_into().unwrap());
    let runtime = Runtime::new(Options { threads, ..Options::default() }).unwrap();
    Model::open(&runtime, &Source::Folder(Path::new(TINY).into())).unwrap()
});

/// What every stored sample of this build and model begins with. The plan follows, whose prompt is
/// first.
pub static SAMPLE_PREFIX: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let saved = |prompt: &str| {
        let plan = Plan { prompt: prompt.into(), ..plan(None) };
        MODEL.begin(&plan, None).unwrap().save().unwrap()
    };
    let pairs = saved("a").into_iter().zip(saved("bb"));
    pairs.take_while(|(one, other)| one == other).map(|(byte, _)| byte).collect()
});

/// A small image in a few steps.
pub fn plan(scheduler: Option<SchedulerKind>) -> Plan {
    Plan {
        prompt: "a cat".into(),
        negative_prompt: String::new(),
        width: 16,
        height: 16,
        steps: 5,
        guidance: 4.0,
        scheduler,
        seed: 7,
        strength: None,
        text: TextOptions::default(),
        variation: None,
        inpaint: None,
    }
}
