"""The whole pipeline for a few seconds with tiny settings: losses fall, files load, pictures come out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from data import render_dataset
from export import export
from finetune_decoder import finetune
from sample import contact_sheet
from textures import random_texture
from train_unet import Noise, Plan, Trainer
from train_vae import cache_latents, cache_small, train as train_vae
from world import sample


def test_world_is_deterministic_and_scales() -> None:
    for seed in range(6):
        (a, text, scene), (b, text2, _) = sample(seed), sample(seed)
        assert text == text2 and np.array_equal(np.asarray(a), np.asarray(b))
        big, _, scene2 = sample(seed, 256)
        assert scene == scene2 and big.size == (256, 256)
        small = np.asarray(big.reduce(2), float)
        assert abs(small - np.asarray(a, float)).mean() < 6
    assert random_texture(np.random.default_rng(0), 64).shape == (64, 64, 3)


def test_noise_weights() -> None:
    eps, v = Noise("epsilon"), Noise("v_prediction")
    assert float(eps.weight.max()) <= 1.0 and float(v.weight.max()) <= 5.0
    x, e, t = torch.ones(2, 4, 8, 8), torch.zeros(2, 4, 8, 8), torch.tensor([10, 900])
    noisy, target = v.mix(x, e, t)
    a = v.alpha[t].view(-1, 1, 1, 1)
    assert torch.allclose(a.sqrt() * noisy - (1 - a).sqrt() * target, x, atol=1e-5)


def test_pipeline_from_nothing(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "model"
    render_dataset(work, 96, 32)
    vae = train_vae(work, 0.1, 4, 32, 2e-3, False, (8, 16, 16))
    cache_latents(work, vae, 96)
    cache_small(work, vae)
    plan = replace(Plan(), channels=(8, 16, 16), text_width=32, text_layers=1, batch=8, minutes=0.2, small_minutes=0.05, small_batch=8, bf16=False)
    losses = Trainer(work, plan).run(report=20)
    assert np.mean(losses[-10:]) < np.mean(losses[:5])
    assert finetune(work, 0.02, batch=4, crop=32, bf16=False) > 5
    export(work, plan, out)
    sheet = contact_sheet(out, ["cat dancing in rain", "\u6d77 \U0001f431"], 1, 2, 3.0, 1)
    assert sheet.size == (34, 68)
    resumed = Trainer(work, replace(plan, minutes=0.01), run="second", start=out)
    assert np.isfinite(resumed.loss().item())


if __name__ == "__main__":
    import tempfile

    test_world_is_deterministic_and_scales()
    test_noise_weights()
    with tempfile.TemporaryDirectory() as folder:
        test_pipeline_from_nothing(Path(folder))
    print("all fine")
