"""Write a diffusers ``StableDiffusionPipeline`` folder in float16 from a training run."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, PNDMScheduler
from safetensors.torch import save_file
from transformers import CLIPTokenizer

from tokenizer import pad_with
from train_unet import FAMILIES, Plan, build_text, build_unet

FEW_STEPS = 4  # of a distilled model
GUIDANCE = 5.0  # that suits the others, and which a distilled one learns
BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


def model_index(scheduler: str) -> dict:
    """The pipeline's table of contents."""
    return {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.42.1",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", scheduler],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }


def _text_weights(text: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Weights under the names of the classic checkpoints (``text_model.`` in front)."""
    out = {}
    for name, value in text.state_dict().items():
        if name.endswith("position_ids"):
            continue
        out[name if name.startswith("text_model.") else "text_model." + name] = value
    return out


def _write(folder: Path, config: dict, weights: dict[str, torch.Tensor], name: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    half = {k: v.detach().to(torch.float16).contiguous() for k, v in weights.items()}
    save_file(half, folder / name, metadata={"format": "pt"})


def _clean(config: dict) -> dict:
    """A config without private or machine-specific entries."""
    return {k: v for k, v in config.items() if k in ("_class_name", "_diffusers_version") or not k.startswith("_")}


def export(work: Path, plan: Plan, target: Path, run: str = "unet") -> None:
    """Export the averaged weights of a run."""
    state = torch.load(work / f"{run}.pt")
    tokenizer = CLIPTokenizer.from_pretrained(work / "tokenizer")
    vae = AutoencoderKL.from_pretrained(work / "vae")
    side = vae.config.sample_size // 2 ** (len(vae.config.block_out_channels) - 1)
    unet, text = build_unet(plan, side), build_text(plan, len(tokenizer))
    torch.nn.ModuleList([unet, text]).load_state_dict(state["ema"])
    target.mkdir(parents=True, exist_ok=True)
    prediction = FAMILIES[plan.family]["prediction"]
    if run == "distilled":
        scheduler = EulerDiscreteScheduler(**BETAS, prediction_type=prediction, timestep_spacing="trailing")
        usual = {"num_inference_steps": FEW_STEPS, "guidance_scale": 1.0}
    else:
        scheduler = PNDMScheduler(**BETAS, prediction_type=prediction, steps_offset=1, set_alpha_to_one=False, skip_prk_steps=True)
        scheduler.register_to_config(clip_sample=False)
        usual = {"guidance_scale": GUIDANCE}
    (target / "model_index.json").write_text(json.dumps(model_index(type(scheduler).__name__), indent=2) + "\n")
    (target / "generation_config.json").write_text(json.dumps(usual, indent=2) + "\n")
    scheduler.save_pretrained(target / "scheduler")
    shutil.copytree(work / "tokenizer", target / "tokenizer", dirs_exist_ok=True)
    pad_with(target / "tokenizer", FAMILIES[plan.family]["pad"])
    _write(target / "unet", _clean(json.loads(unet.to_json_string())), unet.state_dict(), "diffusion_pytorch_model.safetensors")
    _write(target / "vae", _clean(json.loads(vae.to_json_string())), vae.state_dict(), "diffusion_pytorch_model.safetensors")
    config = {**text.config.to_diff_dict(), "architectures": ["CLIPTextModel"], "dtype": "float16", "torch_dtype": "float16"}
    for key, value in text.config.to_dict().items():
        if key in ("attention_dropout", "bos_token_id", "eos_token_id", "pad_token_id", "hidden_act", "hidden_size", "initializer_factor",
                   "initializer_range", "intermediate_size", "layer_norm_eps", "max_position_embeddings", "model_type",
                   "num_attention_heads", "num_hidden_layers", "projection_dim", "vocab_size"):
            config[key] = value
    _write(target / "text_encoder", config, _text_weights(text), "model.safetensors")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--work", type=Path, default=Path("build"))
    ap.add_argument("--family", choices=list(FAMILIES), default="sd1")
    ap.add_argument("--channels", default="32,64,128")
    ap.add_argument("--run", choices=("unet", "distilled"), default="unet")
    ap.add_argument("--out", type=Path, default=Path("weights/pocket-paper-sd1"))
    args = ap.parse_args()
    export(args.work, Plan(family=args.family, channels=tuple(map(int, args.channels.split(",")))), args.out, args.run)
    for path in sorted(args.out.rglob("*")):
        if path.is_file():
            print(f"{path.stat().st_size:>10}  {path}")


if __name__ == "__main__":
    main()
