"""Make a work folder from exported weights, to train on without the original run.

    python cache.py --model weights/pocket-paper-sd1 --work build --scenes 13000
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL

from data import render_dataset
from train_vae import cache_latents


def prepare(model: Path, work: Path, scenes: int, style: str = "paper", first_seed: int = 0, size: int = 128) -> None:
    """Render scenes, encode them with the model's autoencoder, copy its tokenizer."""
    render_dataset(work, scenes, size, style, first_seed=first_seed)
    if not (work / "tokenizer").exists():
        shutil.copytree(model / "tokenizer", work / "tokenizer")
    vae = AutoencoderKL.from_pretrained(model / "vae", dtype=torch.float32)
    if not (work / "latents.npy").exists():
        cache_latents(work, vae, scenes, keep_scale=True)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--model", type=Path, default=Path("weights/pocket-paper-sd1"))
    ap.add_argument("--work", type=Path, default=Path("build"))
    ap.add_argument("--scenes", type=int, default=13000)
    ap.add_argument("--style", default="paper")
    ap.add_argument("--first-seed", type=int, default=0)
    args = ap.parse_args()
    prepare(args.model, args.work, args.scenes, args.style, args.first_seed)


if __name__ == "__main__":
    main()
