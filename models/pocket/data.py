"""Render the training scenes once: pictures as a uint8 array, scenes as JSON lines."""

from __future__ import annotations

import argparse
import json
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from world import sample
from world.styles import STYLES


def _render(job: tuple[int, int, str]) -> tuple[np.ndarray, dict]:
    seed, size, style = job
    if style == "mixed":
        style = list(STYLES)[seed % len(STYLES)]
    image, caption, scene = sample(seed, size, style)
    return np.asarray(image), {"seed": seed, "caption": caption, "scene": scene}


def render_dataset(work: Path, count: int, size: int = 128, style: str = "paper", workers: int = 2, first_seed: int = 0) -> None:
    """Write ``images.npy`` and ``scenes.jsonl`` under ``work`` unless they are there; style "mixed" is all in turn."""
    done = work / "scenes.jsonl"
    if done.exists():
        return
    work.mkdir(parents=True, exist_ok=True)
    images = np.lib.format.open_memmap(work / "images.npy", "w+", np.uint8, (count, size, size, 3))
    rows: list[str] = []
    jobs = ((first_seed + k, size, style) for k in range(count))
    with Pool(workers) as pool:
        for k, (pixels, row) in enumerate(pool.imap(_render, jobs, chunksize=64)):
            images[k] = pixels
            rows.append(json.dumps(row))
    images.flush()
    done.write_text("\n".join(rows) + "\n")


def load_rows(work: Path) -> list[dict]:
    """The scenes of a rendered data set."""
    return [json.loads(line) for line in (work / "scenes.jsonl").read_text().splitlines()]


if __name__ == "__main__":
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--work", type=Path, default=Path("build"))
    ap.add_argument("--count", type=int, default=28000)
    ap.add_argument("--size", type=int, default=128)
    ap.add_argument("--style", default="paper")
    args = ap.parse_args()
    render_dataset(args.work, args.count, args.size, args.style)
