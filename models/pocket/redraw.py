"""What the denoiser makes of the training scenes, for the decoder to learn from.

A denoiser's latents are not those of the encoder: they carry a faint grain and soft edges.
Here each scene's latent is noised part of the way and denoised again in a few steps.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from data import load_rows
from train_unet import Noise, tokens_for


@torch.no_grad()
def redraw(work: Path, model: Path, count: int, first: int = 150, last: int = 350, steps: int = 4, batch: int = 32) -> np.ndarray:
    """Latents of the first ``count`` scenes, taken from a random time step back to the start."""
    torch.manual_seed(1)
    latents = np.load(work / "latents.npy", mmap_mode="r")[:count]
    scale = json.loads((work / "vae" / "config.json").read_text())["scaling_factor"]
    unet = UNet2DConditionModel.from_pretrained(model / "unet", dtype=torch.float32).to(memory_format=torch.channels_last)
    text = CLIPTextModel.from_pretrained(model / "text_encoder", dtype=torch.float32)
    ids = tokens_for(CLIPTokenizer.from_pretrained(model / "tokenizer"), [row["caption"] for row in load_rows(work)[:count]])
    kind = json.loads((model / "scheduler" / "scheduler_config.json").read_text())["prediction_type"]
    noise, out = Noise(kind), np.empty(latents.shape, np.float16)
    for k in range(0, count, batch):
        x = torch.from_numpy(latents[k : k + batch].astype(np.float32)) * scale
        start = torch.randint(first, last, (len(x),))
        noisy, _ = noise.mix(x, torch.randn_like(x), start)
        words = text(torch.from_numpy(ids[k : k + batch].astype(np.int64))).last_hidden_state
        for step in range(steps):
            now, after = (start * (steps - step) // steps).clamp(min=1), start * (steps - step - 1) // steps
            with torch.autocast("cpu", torch.bfloat16):
                said = unet(noisy.contiguous(memory_format=torch.channels_last), now, words).sample.float()
            a, b = (noise.alpha[t].view(-1, 1, 1, 1) for t in (now, after))
            e = said if kind == "epsilon" else a.sqrt() * said + (1 - a).sqrt() * noisy
            clean = (noisy - (1 - a).sqrt() * e) / a.sqrt()
            noisy = clean if step == steps - 1 else b.sqrt() * clean + (1 - b).sqrt() * e
        out[k : k + batch] = (noisy / scale).numpy()
    return out
