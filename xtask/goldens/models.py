"""Tiny random models of both families, as diffusers folders: `tiny-sd1`, `tiny-sd2`, `tiny-lcm` and `tiny-vae`."""

import json
import shutil
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL, DDIMScheduler, LCMScheduler, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

import tokenizer
import weights
from common import out_dir

DOWN = ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"]
UP = ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"]

UNET = {"in_channels": 4, "out_channels": 4, "down_block_types": DOWN, "up_block_types": UP}
UNET |= {"block_out_channels": [8, 16, 24], "layers_per_block": 2}

# The keys of the files that Stable Diffusion 1.5 was published with: what is not there has to come from defaults.
SD1_UNET_KEYS = """_class_name _diffusers_version act_fn attention_head_dim block_out_channels center_input_sample
cross_attention_dim down_block_types downsample_padding flip_sin_to_cos freq_shift in_channels layers_per_block
mid_block_scale_factor norm_eps norm_num_groups out_channels sample_size up_block_types""".split()
SD1_VAE_KEYS = """_class_name _diffusers_version act_fn block_out_channels down_block_types in_channels
latent_channels layers_per_block norm_num_groups out_channels sample_size up_block_types""".split()

SCHEDULER = {"beta_end": 0.012, "beta_schedule": "scaled_linear", "beta_start": 0.00085, "clip_sample": False}
SCHEDULER |= {"num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1}
SD1_SCHEDULER = {"_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0"} | SCHEDULER | {"trained_betas": None}
SD2_SCHEDULER = {"_class_name": "DDIMScheduler", "_diffusers_version": "0.8.0"} | SCHEDULER
SD2_SCHEDULER |= {"prediction_type": "v_prediction", "trained_betas": None}


def text_encoder(vocabulary: int, hidden: int, activation: str, label: str) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=vocabulary, hidden_size=hidden, intermediate_size=2 * hidden, projection_dim=hidden,
        num_hidden_layers=3, num_attention_heads=4, max_position_embeddings=77, hidden_act=activation,
        bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1, pad_token_id=1,
    )
    model = CLIPTextModel(config).eval()
    weights.clip(model, label)
    return model


def vae(channels: list[int], groups: int, label: str, contrast: float, **config) -> AutoencoderKL:
    levels = len(channels)
    model = AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=4, block_out_channels=channels, norm_num_groups=groups,
        down_block_types=["DownEncoderBlock2D"] * levels, up_block_types=["UpDecoderBlock2D"] * levels, **config,
    ).eval()
    weights.vae(model, label, contrast)
    return model


def unet(label: str, predicts_noise: bool, **config) -> UNet2DConditionModel:
    model = UNet2DConditionModel(**(UNET | config)).eval()
    weights.unet(model, label, 0.7 if predicts_noise else 1.0)
    if predicts_noise:
        weights.predict_noise(model, 1.3)
    return model


def save(folder: Path, pad: str, as_json: bool, **parts) -> None:
    """Write the pipeline's folder, with the tokenizer files as we made them."""
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer.save(folder / "tokenizer", MERGES, pad, as_json)
    words = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    pipeline = StableDiffusionPipeline(
        tokenizer=words, safety_checker=None, feature_extractor=None, requires_safety_checker=False, **parts
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    shutil.rmtree(folder / "tokenizer")
    tokenizer.save(folder / "tokenizer", MERGES, pad, as_json)
    for config in folder.rglob("config.json"):
        edit(config, lambda values: {key: value for key, value in values.items() if key != "_name_or_path"})


def edit(path: Path, change) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text())), indent=2) + "\n")


def as_first_published(folder: Path) -> None:
    """Give tiny-sd1 the looks of the original files: few configuration keys, `text_model.` before CLIP's names."""
    for part, keys in [("unet", SD1_UNET_KEYS), ("vae", SD1_VAE_KEYS)]:
        edit(folder / part / "config.json", lambda config, keys=keys: {key: config[key] for key in keys})
    file = folder / "text_encoder/model.safetensors"
    tensors = {"text_model." + name.removeprefix("text_model."): value for name, value in load_file(file).items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(tensors, file, metadata={"format": "pt"})


MERGES = 300


def main() -> None:
    out = out_dir(__doc__)
    vocabulary = 512 + MERGES + 2

    save(
        out / "tiny-sd1", tokenizer.END, as_json=False,
        scheduler=PNDMScheduler.from_config(SD1_SCHEDULER),
        text_encoder=text_encoder(vocabulary, 32, "quick_gelu", "sd1.text"),
        vae=vae([8, 8, 16, 16], 4, "sd1.vae", 0.7, layers_per_block=2, sample_size=64),
        unet=unet("sd1.unet", True, cross_attention_dim=32, attention_head_dim=2, norm_num_groups=4, sample_size=8),
    )
    as_first_published(out / "tiny-sd1")
    edit(out / "tiny-sd1/scheduler/scheduler_config.json", lambda _: SD1_SCHEDULER)

    save(
        out / "tiny-sd2", "!", as_json=True,
        scheduler=DDIMScheduler.from_config(SD2_SCHEDULER),
        text_encoder=text_encoder(vocabulary, 48, "gelu", "sd2.text"),
        vae=vae([8, 16], 2, "sd2.vae", 0.45, layers_per_block=1, sample_size=64, scaling_factor=0.2),
        unet=unet(
            "sd2.unet", False, cross_attention_dim=48, attention_head_dim=[2, 2, 3], norm_num_groups=4, sample_size=32,
            use_linear_projection=True, only_cross_attention=False, upcast_attention=True,
        ),
    )
    edit(out / "tiny-sd2/scheduler/scheduler_config.json", lambda _: SD2_SCHEDULER)

    # What a latent consistency model has of its own; the other parts are those of tiny-sd1.
    shutil.rmtree(out / "tiny-lcm", ignore_errors=True)
    distilled = unet(
        "lcm.unet", True, cross_attention_dim=32, attention_head_dim=2, norm_num_groups=4, sample_size=8,
        down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"], up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
        block_out_channels=[8, 16], layers_per_block=1, time_cond_proj_dim=15,
    )
    distilled.save_pretrained(out / "tiny-lcm/unet", safe_serialization=True)
    LCMScheduler.from_config(SD1_SCHEDULER).save_pretrained(out / "tiny-lcm/scheduler")

    shutil.rmtree(out / "tiny-vae", ignore_errors=True)
    bare = vae(
        [8, 16, 16], 4, "bare.vae", 0.5, layers_per_block=1, sample_size=64,
        use_quant_conv=False, use_post_quant_conv=False,
    )
    bare.save_pretrained(out / "tiny-vae", safe_serialization=True)
    edit(
        out / "tiny-vae/config.json",
        lambda config: {key: value for key, value in config.items() if key != "shift_factor"},
    )


if __name__ == "__main__":
    main()
