"""What each module of the tiny models answers: tokenizer, text encoder, VAE and UNet, with a few inner states."""

from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel

from common import out_dir, randn, save_json, save_tensors

PROMPTS = [
    "",
    " ",
    "a photo of a cat",
    "A PHOTOGRAPH of an Astronaut Riding a Horse",
    "wow! it's great, isn't it? (yes: 100%) -- [ok] {a|b} <c>",
    "I'm, you're, we've, they'll, she'd, don't, IT'S",
    "2048x1024 render, 35mm f/1.8, 4k 8K, year 1999",
    "caf\u00e9 na\u00efve \u0141\u00f3d\u017a \u00c9COLE stra\u00dfe \u0130stanbul",
    "cafe\u0301 a\u0308\u0323 e\u20dd \u1100\u1161\u11a8",
    "\u732b\u3068\u72ac, \u6771\u4eac\u306e\u591c \ud55c\uad6d\uc5b4 \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2",
    "\U0001f600 a cat \U0001f431\U0001f680!",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 family \u2764\ufe0f \U0001f44d\U0001f3fd",
    "line one\nline two\ttabbed\r\n  spaced   out  ",
    "nul \x00 bell \x07 esc \x1b del \x7f nbsp \xa0 zwsp \u200b bom \ufeff nel \x85 sep \u2028",
    "a cat <|endoftext|> a dog <|startoftext|> a fox<|endoftext|>",
    "<|ENDOFTEXT|> <| endoftext |> </w> a</w>",
    "\u0967\u0968\u0969 \u00bd \u2167 x\u00b2 \U0001d7d8 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0645\u0631\u062d\u0628\u0627",
    "!!! !a! ...",
    "_underscored_name __init__ snake_case 'quoted' ''s \u2019s",
    "\u00c5\u212b\ufb01\u2126 \u0958 \U0002f800",
    ", ".join(["a castle on a hill", "night sky", "highly detailed", "sharp focus"] * 8),
    " ".join(["cat"] * 80),
    "x" * 300,
    "a <|StartOfText|> b<|STARTOFTEXT|>c <|EndOfText|>",
]

# Prompts whose text encodings are kept (by index).
ENCODED = [0, 2, 20]


def tokens(tokenizer, prompts: list[str]) -> torch.Tensor:
    """The ids that the Stable Diffusion pipelines hand to the text encoder."""
    return tokenizer(
        prompts, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    ).input_ids


def text(pipeline, tensors: dict, notes: dict) -> None:
    ids = tokens(pipeline.tokenizer, PROMPTS)
    notes["tokenizer"] = [
        {"prompt": prompt, "ids": row.tolist()} for prompt, row in zip(PROMPTS, ids)
    ]
    chosen = ids[ENCODED]
    tensors["text.ids"] = chosen
    tensors["text.last_hidden_state"] = pipeline.text_encoder(chosen)[0]
    notes["text"] = {"prompts": [PROMPTS[index] for index in ENCODED]}


def picture(label: str, height: int, width: int) -> torch.Tensor:
    """A smooth picture with some noise, in [-1, 1]."""
    down, across = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    smooth = torch.stack([down, across, torch.cos(3 * down * across)])
    return (0.8 * smooth + 0.2 * randn(label, 3, height, width)).clamp(-1, 1)[None]


def vae(model: AutoencoderKL, label: str, tensors: dict, notes: dict) -> None:
    factor = 2 ** (len(model.config.block_out_channels) - 1)
    notes["vae_encode"], notes["vae_decode"] = [], []
    for height, width in [(40, 24), (64, 64)]:
        name = f"vae.encode.{height}x{width}"
        image = picture(f"{label}.{name}", height, width)
        posterior = model.encode(image).latent_dist
        tensors |= {f"{name}.image": image, f"{name}.mean": posterior.mean, f"{name}.logvar": posterior.logvar}
        notes["vae_encode"].append(name)
    for height, width in [(40, 24), (24, 48)]:
        name = f"vae.decode.{height}x{width}"
        latents = 5 * randn(f"{label}.{name}", 1, 4, height // factor, width // factor)
        tensors |= {f"{name}.latents": latents, f"{name}.image": model.decode(latents).sample}
        notes["vae_decode"].append(name)


# Name, height and width of the latents, timesteps (one for each sample of the batch), inner states kept.
UNET_CASES = [
    ("unet.b1", 8, 12, [801], True),
    ("unet.b3", 8, 12, [999, 0, 481.25], False),
    ("unet.odd", 9, 7, [21, 500.5], True),
    ("unet.small", 2, 3, [1], False),
    ("unet.thin", 3, 1, [333], False),
    ("unet.wide", 5, 30, [640], False),
]


def unet(model, label: str, tensors: dict, notes: dict) -> None:
    notes["unet"] = []
    for name, height, width, timesteps, inner in UNET_CASES:
        batch = len(timesteps)
        sample = randn(f"{label}.{name}.sample", batch, 4, height, width)
        context = randn(f"{label}.{name}.context", batch, 77, model.config.cross_attention_dim)
        times = torch.tensor(timesteps, dtype=torch.float32)
        states, handles = {}, []
        if inner:
            for part, module in stages(model):
                handles.append(module.register_forward_hook(keep(states, f"{name}.{part}")))
        noise = model(sample, times, context).sample
        for handle in handles:
            handle.remove()
        tensors |= {f"{name}.sample": sample, f"{name}.timesteps": times, f"{name}.context": context}
        tensors |= {f"{name}.noise": noise} | states
        notes["unet"].append({"name": name, "inner": [key.removeprefix(name + ".") for key in states]})


# Name and guidance scale of each sample of the batch, for a UNet that is told the scale.
GUIDED_CASES = [("unet.g1", [8.5]), ("unet.g3", [1.0, 3.7, 14.0])]


def guided_unet(model, label: str, tensors: dict, notes: dict) -> None:
    notes["unet"] = []
    for name, scales in GUIDED_CASES:
        batch = len(scales)
        sample = randn(f"{label}.{name}.sample", batch, 4, 6, 9)
        context = randn(f"{label}.{name}.context", batch, 77, model.config.cross_attention_dim)
        times = torch.tensor([999.0, 259.0, 499.0])[:batch]
        embedding = guidance_embedding(model, scales)
        noise = model(sample, times, context, timestep_cond=embedding).sample
        tensors |= {f"{name}.sample": sample, f"{name}.timesteps": times, f"{name}.context": context}
        tensors |= {f"{name}.embedding": embedding, f"{name}.noise": noise}
        notes["unet"].append({"name": name, "guidance": scales})


def guidance_embedding(model, scales: list[float]) -> torch.Tensor:
    """What the pipelines hand to the UNet as `timestep_cond`."""
    # The method does not look at its pipeline.
    embed = StableDiffusionPipeline.get_guidance_scale_embedding
    return torch.cat([
        embed(None, torch.tensor(scale - 1).repeat(1), embedding_dim=model.config.time_cond_proj_dim)
        for scale in scales
    ])


def stages(model):
    """The modules whose outputs help to find a mistake."""
    yield "time_embedding", model.time_embedding
    yield "conv_in", model.conv_in
    yield "down.0.resnets.0", model.down_blocks[0].resnets[0]
    yield "down.0.attentions.0", model.down_blocks[0].attentions[0]
    yield from ((f"down.{index}", block) for index, block in enumerate(model.down_blocks))
    yield "mid", model.mid_block
    yield from ((f"up.{index}", block) for index, block in enumerate(model.up_blocks))


def keep(states: dict, name: str):
    """A hook that stores a module's (first) output."""

    def hook(_module, _inputs, output):
        states[name] = (output[0] if isinstance(output, tuple) else output).clone()

    return hook


def family(out: Path, name: str) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(out / f"tiny-{name}")
    tensors, notes = {}, {"model": f"tiny-{name}"}
    text(pipeline, tensors, notes)
    vae(pipeline.vae, name, tensors, notes)
    unet(pipeline.unet, name, tensors, notes)
    save_tensors(out / f"modules-{name}.safetensors", tensors)
    save_json(out / f"modules-{name}.json", notes)


def main() -> None:
    out = out_dir(__doc__)
    family(out, "sd1")
    family(out, "sd2")

    tensors, notes = {}, {"model": "tiny-lcm"}
    guided_unet(UNet2DConditionModel.from_pretrained(out / "tiny-lcm/unet"), "lcm", tensors, notes)
    save_tensors(out / "modules-lcm.safetensors", tensors)
    save_json(out / "modules-lcm.json", notes)

    tensors, notes = {}, {"model": "tiny-vae"}
    vae(AutoencoderKL.from_pretrained(out / "tiny-vae"), "bare", tensors, notes)
    save_tensors(out / "modules-vae.safetensors", tensors)
    save_json(out / "modules-vae.json", notes)


if __name__ == "__main__":
    main()
