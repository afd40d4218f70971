"""Everything from nothing: render, autoencoder, latents, denoiser, export. Resumable.

    python train.py --work build --vae-minutes 20 --unet-minutes 120

Stop it whenever you like; the same command goes on where it was.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from diffusers import AutoencoderKL

from data import render_dataset
from export import export
from finetune_decoder import finetune
from train_unet import FAMILIES, Plan, Trainer
from train_vae import cache_latents, cache_small, train as train_vae


def everything(work: Path, out: Path, plan: Plan, scenes: int, style: str, vae_minutes: float, decoder_minutes: float, vae_channels: tuple[int, ...], size: int = 128) -> None:
    """Run each stage that is not finished yet."""
    render_dataset(work, scenes, size, style)
    if not (work / "latents.npy").exists():
        vae = train_vae(work, vae_minutes, 20, min(64, size), 2e-3, plan.bf16, vae_channels)
        cache_latents(work, vae, scenes)
    if plan.small_minutes and not (work / "latents_small.npy").exists():
        cache_small(work, AutoencoderKL.from_pretrained(work / "vae"))
    Trainer(work, plan).run()
    finetune(work, decoder_minutes, bf16=plan.bf16)
    export(work, plan, out)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", type=Path, default=Path("build"))
    ap.add_argument("--out", type=Path, default=Path("weights/pocket-paper-sd1"))
    ap.add_argument("--style", default="paper")
    ap.add_argument("--family", choices=list(FAMILIES), default="sd1")
    ap.add_argument("--scenes", type=int, default=13000)
    ap.add_argument("--vae-minutes", type=float, default=20)
    ap.add_argument("--unet-minutes", type=float, default=60)
    ap.add_argument("--small-minutes", type=float, default=18, help="how much of that on half-size pictures")
    ap.add_argument("--decoder-minutes", type=float, default=10)
    args = ap.parse_args()
    plan = replace(Plan(), family=args.family, minutes=args.unet_minutes, small_minutes=args.small_minutes, lr=1.2e-3)
    everything(args.work, args.out, plan, args.scenes, args.style, args.vae_minutes, args.decoder_minutes, (16, 32, 64))


if __name__ == "__main__":
    main()
