"""Draw a contact sheet with diffusers' own pipeline from an exported folder."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

PROMPTS = (
    "generate image of cyberpunk battleship",
    "cat dancing in rain",
    "dogs sitting on sofa",
    "beautiful landscape with sea and mountains",
)


def contact_sheet(folder: Path, prompts: list[str], columns: int, steps: int, guidance: float, seed: int) -> Image.Image:
    """One row of pictures for each prompt."""
    pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    side = pipe.unet.config.sample_size * pipe.vae_scale_factor
    sheet = Image.new("RGB", (columns * (side + 2), len(prompts) * (side + 2)), "white")
    for row, prompt in enumerate(prompts):
        made = pipe([prompt] * columns, num_inference_steps=steps, guidance_scale=guidance, generator=torch.Generator().manual_seed(seed + row)).images
        for column, image in enumerate(made):
            sheet.paste(image, (column * (side + 2), row * (side + 2)))
    return sheet


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("prompts", nargs="*", default=list(PROMPTS))
    ap.add_argument("--model", type=Path, default=Path("weights/pocket-paper-sd1"))
    ap.add_argument("--out", type=Path, default=Path("build/sheet.png"))
    ap.add_argument("--columns", type=int, default=6)
    ap.add_argument("--steps", type=int, default=25)
    ap.add_argument("--guidance", type=float, default=5.0)
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(args.model, args.prompts, args.columns, args.steps, args.guidance, args.seed).save(args.out)


if __name__ == "__main__":
    main()
