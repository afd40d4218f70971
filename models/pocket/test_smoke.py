"""The whole pipeline for a few seconds with tiny settings: losses fall, files load, pictures come out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from diffusers import EulerDiscreteScheduler

from attributes import VALUES
from data import load_rows
from distil import CHUNK, EMPTY, Distiller
from evaluate import Case, Job, evaluate, structure, table
from export import FEW_STEPS
from focus import subject_masks
from recipes import MODELS
from sample import contact_sheet
from textures import random_texture
from train import Scale, everything, plan_of
from train_unet import Noise, Plan, Trainer
from world import sample
from world.styles import STYLES

TINY = Scale(
    Plan(channels=(8, 16, 16), text_width=32, batch=8, small_batch=8, bf16=False),
    scenes=96, size=32, vae_minutes=0.07, decoder_minutes=0.02, vae_channels=(8, 16, 16), vae_batch=4,
)
HURRY = 0.04 / 60  # of the hours that the recipes plan


def test_world_is_deterministic_and_scales() -> None:
    for seed in range(6):
        (a, text, scene), (b, text2, _) = sample(seed), sample(seed)
        assert text == text2 and np.array_equal(np.asarray(a), np.asarray(b))
        big, _, scene2 = sample(seed, 256)
        assert scene == scene2 and big.size == (256, 256)
        small = np.asarray(big.reduce(2), float)
        assert abs(small - np.asarray(a, float)).mean() < 6
    assert random_texture(np.random.default_rng(0), 64).shape == (64, 64, 3)


def test_styles_differ() -> None:
    looks = [np.asarray(sample(8, 64, style)[0], float) for style in STYLES]
    assert all(abs(a - b).mean() > 4 for k, a in enumerate(looks) for b in looks[:k])
    assert {recipe.style for recipe in MODELS.values()} == set(STYLES)


def test_captions_tell_what_they_mention() -> None:
    cases = [Case.of(seed) for seed in range(40)]
    assert all(c.said <= set(VALUES) and "subject" in c.said for c in cases)
    assert all(c.scene.colour in c.caption for c in cases if "colour" in c.said and c.scene.colour in ("red", "blue", "green"))


def test_noise_weights() -> None:
    eps, v = Noise("epsilon"), Noise("v_prediction")
    plain, snr = Noise("epsilon", low=0.0), eps.alpha / (1 - eps.alpha)
    assert float(plain.weight.max()) <= 1.0 and float(Noise("v_prediction", low=0.0).weight.max()) <= 5.0
    assert torch.equal(eps.weight > plain.weight, snr < 0.3) and bool((eps.weight >= plain.weight).all())
    x, e, t = torch.ones(2, 4, 8, 8), torch.zeros(2, 4, 8, 8), torch.tensor([10, 900])
    noisy, target = v.mix(x, e, t)
    a = v.alpha[t].view(-1, 1, 1, 1)
    assert torch.allclose(a.sqrt() * noisy - (1 - a).sqrt() * target, x, atol=1e-5)


def true_pictures(jobs: list[Job]) -> None:
    """A model that cannot be better: the true picture, or the unchanged input."""
    for job in jobs:
        Path(job.target).parent.mkdir(parents=True, exist_ok=True)
        if job.init:
            job.target.write_bytes(job.init.read_bytes())
        else:
            Case.of(job.seed).picture("paper").save(job.target)


def test_pipeline_from_nothing(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "weights"
    everything(work, out, ["pocket-neon-sd2", "pocket-paper-lightning"], TINY, 2 * HURRY)
    sheet = contact_sheet(out / "pocket-neon-sd2", ["cat dancing in rain", "\u6d77 \U0001f431"], 1, 2, 3.0, 1)
    assert sheet.size == (34, 68)
    paper = work / "pocket-paper-sd1"
    masks = subject_masks(paper, 8)
    assert all((mask.max() > 0) == (row["scene"]["subject"] is not None) for mask, row in zip(masks, load_rows(paper)))
    plan = plan_of(MODELS["pocket-paper-sd1"], TINY, HURRY / 2)
    losses = Trainer(paper, plan, run="second", start=out / "pocket-paper-sd1").run(report=20)
    assert np.isfinite(losses).all()
    few_steps(work / "pocket-paper-lightning", out)


def few_steps(work: Path, out: Path) -> None:
    """A distilled model asks for the steps that it has learnt, from what its teacher was walked with."""
    model = out / "pocket-paper-lightning"
    assert json.loads((model / "generation_config.json").read_text()) == {"num_inference_steps": FEW_STEPS, "guidance_scale": 1.0}
    assert contact_sheet(model, ["cat"], 1, FEW_STEPS, 1.0, 1).size == (34, 34)
    vae = "vae/diffusion_pytorch_model.safetensors"
    assert (model / vae).read_bytes() == (out / "pocket-paper-sd1" / vae).read_bytes()
    distiller = Distiller(work, plan_of(MODELS["pocket-paper-lightning"], TINY, 0.0), out / "pocket-paper-sd1", CHUNK)
    assert distiller.step > 0 and np.isfinite(distiller.deviation()).all()
    first, prompts = distiller.beginnings(0, 0)
    assert np.array_equal(prompts, distiller.prompts[:CHUNK]) and (prompts[EMPTY] == distiller.empty).all()
    assert np.allclose(distiller.points[:CHUNK, 0], first, atol=2e-3)
    assert all(distiller.points[row, k].any() for row, k in distiller.pairs)
    noise = first / distiller.sigma[0]
    # Each of the steps is what the exported scheduler makes of the same output.
    for prediction in ("epsilon", "v_prediction"):
        distiller.noise.prediction = prediction
        euler = EulerDiscreteScheduler.from_pretrained(model / "scheduler", prediction_type=prediction)
        euler.set_timesteps(FEW_STEPS)
        assert torch.equal(euler.timesteps.long(), distiller.timesteps)
        x = noise * euler.init_noise_sigma
        mine = first
        for k, t in enumerate(euler.timesteps):
            scaled, out_k = euler.scale_model_input(x, t), torch.randn(noise.shape)
            assert torch.allclose(scaled, mine, atol=2e-3 * float(mine.abs().max())), (prediction, k)
            x = euler.step(out_k, t, x).prev_sample
            mine = distiller.few_step(mine, out_k, torch.full((len(mine),), k))
        assert torch.allclose(x, mine, atol=2e-3 * float(mine.abs().max())), prediction


def test_evaluation(tmp_path: Path) -> None:
    work, out = tmp_path / "work", tmp_path / "weights"
    everything(work, out, ["pocket-paper-sd1"], TINY, HURRY / 4)
    options = {"steps": 6, "batch": 16, "trips": 8, "held": 16}
    result, pictures, _ = evaluate(out / "pocket-paper-sd1", tmp_path / "judge", true_pictures, 12, 2, "paper", 64, options)
    drawn = result["text_to_image"]
    assert drawn["generated"] == drawn["renders"] and pictures.shape == (12, 128, 128, 3)
    assert result["image_to_image"]["0.5"]["structure_own_input"] > 0.99
    assert structure(pictures[0], pictures[1]) < 0.9
    print(table(result))


if __name__ == "__main__":
    import tempfile

    test_world_is_deterministic_and_scales()
    test_styles_differ()
    test_captions_tell_what_they_mention()
    test_noise_weights()
    for test in (test_pipeline_from_nothing, test_evaluation):
        with tempfile.TemporaryDirectory() as folder:
            test(Path(folder))
    print("all fine")
