"""Everything from nothing: autoencoder, then each model in turn. Resumable.

    python train.py --work build                             # all models
    python train.py --work build --models pocket-paper-sd1   # one (and what it starts from)
    python train.py --work build --hurry 0.1                 # a tenth of the time

Stop it whenever you like; the same command goes on where it was. What is exported
already and has no work folder counts as done: delete it under ``--out`` to train it anew.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from diffusers import AutoencoderKL

from cache import prepare
from data import render_dataset
from distil import CHUNK, Distiller
from export import export
from finetune_decoder import finetune
from recipes import MODELS, Recipe
from train_unet import Plan, Trainer
from train_vae import cache_latents, cache_small, train as train_vae


@dataclass(frozen=True)
class Scale:
    """How large everything is; the test has a tiny one."""

    plan: Plan = Plan(batch=24, small_batch=64)
    scenes: int = 28000
    size: int = 128
    vae_minutes: float = 60
    decoder_minutes: float = 20
    vae_channels: tuple[int, ...] = (16, 32, 64)
    vae_batch: int = 20


def autoencoder(work: Path, scale: Scale) -> Path:
    """The autoencoder that all models share, trained on all styles; returns its folder."""
    if (work / "decoder.done").exists():
        return work / "vae"
    render_dataset(work, scale.scenes, scale.size, style="mixed")
    if not (work / "latents.npy").exists():
        vae = train_vae(work, scale.vae_minutes, scale.vae_batch, min(64, scale.size), 2e-3, scale.plan.bf16, scale.vae_channels)
        cache_latents(work, vae, min(scale.scenes, 4000))
    finetune(work, scale.decoder_minutes, batch=scale.vae_batch, crop=min(64, scale.size), bf16=scale.plan.bf16)
    (work / "decoder.done").touch()
    return work / "vae"


def pictures(work: Path, vae: Path, tokenizer: Path | None, recipe: Recipe, scale: Scale) -> None:
    """Render a style's scenes and encode them."""
    render_dataset(work, scale.scenes, scale.size, recipe.style)
    if tokenizer and not (work / "tokenizer").exists():
        shutil.copytree(tokenizer, work / "tokenizer")
    if not (work / "latents.npy").exists():
        cache_latents(work, AutoencoderKL.from_pretrained(vae), scale.scenes, keep_scale=True)
    if recipe.small_minutes and not (work / "latents_small.npy").exists():
        cache_small(work, AutoencoderKL.from_pretrained(work / "vae"))


def plan_of(recipe: Recipe, scale: Scale, hurry: float) -> Plan:
    """The training plan of a recipe."""
    return replace(
        scale.plan, family=recipe.family, minutes=recipe.minutes * hurry, small_minutes=recipe.small_minutes * hurry,
        text_steps=round(recipe.text_steps * min(1.0, hurry)), lr=recipe.lr,
    )


def everything(work: Path, out: Path, names: list[str], scale: Scale = Scale(), hurry: float = 1.0) -> None:
    """Train and export the named models and whatever they start from."""
    for name in names:
        recipe, folder = MODELS[name], work / name
        if (out / name / "model_index.json").exists() and not folder.exists():
            continue
        if recipe.start:
            everything(work, out, [recipe.start], scale, hurry)
        start = out / recipe.start if recipe.start else None
        plan = plan_of(recipe, scale, hurry)
        if recipe.trajectories:
            # With the autoencoder of the start, whose latents they are in.
            prepare(start, folder, scale.scenes, recipe.style, size=scale.size)
            Distiller(folder, plan, start, max(CHUNK, round(recipe.trajectories * min(1.0, hurry)))).run()
            export(folder, plan, out / name, run="distilled")
        else:
            tokenizer = start / "tokenizer" if start else None
            pictures(folder, autoencoder(work / "autoencoder", scale), tokenizer, recipe, scale)
            Trainer(folder, plan, start=start).run()
            export(folder, plan, out / name)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", type=Path, default=Path("build"))
    ap.add_argument("--out", type=Path, default=Path("weights"))
    ap.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    ap.add_argument("--hurry", type=float, default=1.0, help="share of the planned time")
    args = ap.parse_args()
    scale = Scale()
    everything(args.work, args.out, args.models, replace(scale, vae_minutes=scale.vae_minutes * args.hurry, decoder_minutes=scale.decoder_minutes * args.hurry), args.hurry)


if __name__ == "__main__":
    main()
