"""Several captions for each rendered scene, since wording costs nothing to vary."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data import load_rows
from world import Scene
from world.captions import caption_for


def caption_pool(work: Path, variants: int = 6) -> list[list[str]]:
    """For each scene a list of differently worded captions (deterministic)."""
    pool = []
    for row in load_rows(work):
        rng = np.random.default_rng((row["seed"], 1))
        scene = Scene(**row["scene"])
        pool.append([row["caption"]] + [caption_for(scene, rng) for _ in range(variants - 1)])
    return pool
