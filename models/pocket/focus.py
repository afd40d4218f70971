"""Where the subject is: masks that let the denoising loss look at subjects more closely.

A subject fills a fifth of its picture, the rest is waves, windows and raindrops that no
model can foresee. Without masks most of the training is spent on those.
"""

from __future__ import annotations

from multiprocessing import Pool
from pathlib import Path

import numpy as np

from data import load_rows
from world import random_scene
from world.captions import caption_for
from world.scene import draw_mask


def _mask(job: tuple[int, int]) -> np.ndarray:
    seed, side = job
    rng = np.random.default_rng(seed)
    scene = random_scene(rng)
    caption_for(scene, rng)  # draws what the picture's own caption drew
    full = np.asarray(draw_mask(scene, rng, side * 2, side * 2), np.float32)
    return full.reshape(side, 2, side, 2).mean((1, 3)).round().astype(np.uint8)


def subject_masks(work: Path, side: int, workers: int = 2) -> np.ndarray:
    """How much of each latent pixel the subject covers (0 to 255), cached in ``masks.npy``."""
    path = work / "masks.npy"
    if not path.exists():
        jobs = [(row["seed"], side) for row in load_rows(work)]
        with Pool(workers) as pool:
            np.save(path, np.stack(list(pool.imap(_mask, jobs, chunksize=128))))
    return np.load(path)


def halved(masks: np.ndarray) -> np.ndarray:
    """The masks of the pictures at half size."""
    n, side, _ = masks.shape
    return masks.reshape(n, side // 2, 2, side // 2, 2).mean((2, 4)).round().astype(np.uint8)
