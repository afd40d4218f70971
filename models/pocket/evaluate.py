"""Measure a demo model: does it draw what held-out captions say?

    cargo build --release -p diffusion-server
    python evaluate.py --model weights/pocket-paper-sd1 --work build --sheet build/sheet.png

Captions come from scenes that no training has seen, images from our own binary with fixed
seeds. ``classifier.py`` reads them; an attribute counts where the caption tells it. The
column "renders" is the classifier's reading of the true pictures of the same captions: the
most that a model could reach.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Callable

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image, ImageDraw, ImageFont

from attributes import VALUES, labels_of
from classifier import Judge, fit, half_size, predict
from data import render_dataset
from train_vae import psnr, to_float
from world import Scene, draw_scene, random_scene
from world.captions import caption_and_mentions

FIRST = 1_000_000  # training uses the seeds below
GROUPS = {"subjects": ("subject",), "colours": ("colour",), "lands": ("ground", "far"), "skies": ("sky",)}


@dataclass
class Case:
    """A held-out scene, its caption, and what the caption tells."""

    seed: int
    scene: Scene
    caption: str
    said: set[str]
    rng: np.random.Generator = field(repr=False)

    @staticmethod
    def of(seed: int) -> "Case":
        """The case that belongs to a seed."""
        rng = np.random.default_rng(seed)
        scene = random_scene(rng)
        return Case(seed, scene, *caption_and_mentions(scene, rng), rng)

    def picture(self, style: str, size: int = 128) -> Image.Image:
        """The true picture; to be asked for once, since it uses up random numbers."""
        return draw_scene(self.scene, self.rng, size, size, style)


@dataclass
class Job:
    """One image to be made."""

    prompt: str
    seed: int
    target: Path
    init: Path | None = None
    strength: float = 0.8


Draw = Callable[[list[Job]], None]


def drawn_by(binary: Path, model: str, options: list[str], workers: int) -> Draw:
    """Draws jobs with ``diffusion-server generate``, one process an image."""

    def one(job: Job) -> None:
        command = [str(binary), "generate", "--model", model, "--prompt", job.prompt, "--seed", str(job.seed), "--threads", "1", "-o", str(job.target), *options]
        if job.init:
            command += ["--init-image", str(job.init), "--strength", str(job.strength)]
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode != 0:
            raise SystemExit(f"{' '.join(command)}\n{made.stderr}")

    def all_of(jobs: list[Job]) -> None:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(one, jobs))

    return all_of


def load(paths: list[Path]) -> np.ndarray:
    """Pictures as one uint8 array."""
    return np.stack([np.asarray(Image.open(p).convert("RGB")) for p in paths])


def right_answers(judge: Judge, pictures: np.ndarray, cases: list[Case]) -> tuple[np.ndarray, np.ndarray]:
    """For ``[cases, attributes]``: is it drawn right, and does it count?"""
    labels = labels_of([asdict(c.scene) for c in cases])
    counts = np.array([[name in c.said for name in VALUES] for c in cases]) & (labels >= 0)
    return predict(judge, half_size(pictures)) == labels, counts


def shares(right: np.ndarray, counts: np.ndarray) -> dict[str, dict]:
    """Number of cases and share of right ones, for each attribute and each group."""
    names, out = list(VALUES), {}
    for name, members in {**GROUPS, **{n: (n,) for n in names}}.items():
        at = [names.index(m) for m in members]
        n = int(counts[:, at].sum())
        out[name] = {"cases": n, "right": round(float(right[:, at][counts[:, at]].mean()), 4) if n else None}
    return out


def by_value(right: np.ndarray, counts: np.ndarray, cases: list[Case], name: str) -> dict[str, str]:
    """How often each value of an attribute came out right."""
    k, out = list(VALUES).index(name), {}
    for value in VALUES[name]:
        mine = np.array([getattr(c.scene, name) == value for c in cases]) & counts[:, k]
        if mine.any():
            out[str(value)] = f"{int(right[mine, k].sum())}/{int(mine.sum())}"
    return out


def structure(a: np.ndarray, b: np.ndarray, window: int = 8) -> float:
    """Mean structural similarity of two uint8 pictures' brightness (sliding windows)."""
    x, y = (p.astype(np.float64) @ (0.299, 0.587, 0.114) / 255 for p in (a, b))

    def mean(z: np.ndarray) -> np.ndarray:
        s = np.pad(z.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        return (s[window:, window:] - s[:-window, window:] - s[window:, :-window] + s[:-window, :-window]) / window**2

    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    return float((((2 * mx * my + c1) * (2 * cov + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


def text_to_image(judge: Judge, draw: Draw, folder: Path, count: int, style: str) -> tuple[dict, np.ndarray, list[Case]]:
    """Draw the held-out captions and read them."""
    cases = [Case.of(FIRST + k) for k in range(count)]
    paths = [folder / f"{k:03}.png" for k in range(count)]
    draw([Job(c.caption, c.seed, p) for c, p in zip(cases, paths)])
    pictures = load(paths)
    right, counts = right_answers(judge, pictures, cases)
    truth = np.stack([np.asarray(c.picture(style)) for c in cases])
    result = {"generated": shares(right, counts), "renders": shares(*right_answers(judge, truth, cases))}
    result["by_value"] = {name: by_value(right, counts, cases, name) for name in ("subject", "colour", "pose", "ground", "far", "sky", "weather")}
    return result, pictures, cases


def image_to_image(judge: Judge, draw: Draw, folder: Path, count: int, style: str) -> dict:
    """Redraw true pictures with the captions of other scenes, at strengths 0.5 and 0.8."""
    inputs = [Case.of(FIRST + 100_000 + k) for k in range(count)]
    wanted = [Case.of(FIRST + 200_000 + k) for k in range(count)]
    sources = [folder / f"input-{k:03}.png" for k in range(count)]
    for case, path in zip(inputs, sources):
        case.picture(style).save(path)
    before, out = load(sources), {}
    for strength in (0.5, 0.8):
        paths = [folder / f"redrawn-{strength}-{k:03}.png" for k in range(count)]
        draw([Job(c.caption, c.seed, p, s, strength) for c, p, s in zip(wanted, paths, sources)])
        after = load(paths)
        own = [structure(a, b) for a, b in zip(before, after)]
        other = [structure(before[k - 1], after[k]) for k in range(count)]
        out[str(strength)] = {
            "structure_own_input": round(float(np.mean(own)), 4),
            "structure_other_input": round(float(np.mean(other)), 4),
            "prompt": shares(*right_answers(judge, after, wanted)),
        }
    return out


def sheet(pictures: np.ndarray, cases: list[Case], columns: int = 10) -> Image.Image:
    """A contact sheet with the captions below the pictures."""
    side, text = pictures.shape[1], 34
    rows = -(-len(pictures) // columns)
    out = Image.new("RGB", (columns * (side + 4), rows * (side + text)), "white")
    pen, font = ImageDraw.Draw(out), ImageFont.load_default(9)
    for k, (pixels, case) in enumerate(zip(pictures, cases)):
        x, y = k % columns * (side + 4), k // columns * (side + text)
        out.paste(Image.fromarray(pixels), (x, y))
        lines, words = [""], case.caption.split()
        for word in words:
            if pen.textlength(lines[-1] + " " + word, font=font) > side:
                lines.append("")
            lines[-1] = (lines[-1] + " " + word).strip()
        pen.text((x, y + side + 1), "\n".join(lines[:3]), fill="black", font=font, spacing=1)
    return out


def table(result: dict) -> str:
    """The figures as aligned text."""
    lines = [f"{'':14}{'cases':>6}{'right':>8}{'renders':>9}"]
    made, truth = result["text_to_image"]["generated"], result["text_to_image"]["renders"]
    show = lambda v: "-" if v is None else f"{v:.1%}"  # noqa: E731
    for name, row in made.items():
        lines.append(f"{name:14}{row['cases']:>6}{show(row['right']):>8}{show(truth[name]['right']):>9}")
    for name in ("subject", "colour"):
        lines.append(f"{name}s: " + " ".join(f"{value} {score}" for value, score in result["text_to_image"]["by_value"][name].items()))
    lines.append(f"autoencoder round trip {result['vae_psnr']:.2f} dB")
    for strength, row in result.get("image_to_image", {}).items():
        prompt = " ".join(f"{n} {show(row['prompt'][n]['right'])}" for n in GROUPS)
        lines.append(f"image to image {strength}: structure {row['structure_own_input']:.3f} (another input {row['structure_other_input']:.3f}); {prompt}")
    return "\n".join(lines)


def evaluate(model: Path, work: Path, draw: Draw, captions: int, redrawn: int, style: str, scenes: int, fit_options: dict | None = None) -> tuple[dict, np.ndarray, list[Case]]:
    """All figures of one model, its pictures and their cases."""
    render_dataset(work, scenes, style=style)
    judge, judged = fit(work, model / "vae", **(fit_options or {}))
    folder = work / "evaluated" / model.name
    folder.mkdir(parents=True, exist_ok=True)
    drawn, pictures, cases = text_to_image(judge, draw, folder, captions, style)
    vae = AutoencoderKL.from_pretrained(model / "vae", dtype=torch.float32)
    held = to_float(np.stack([np.asarray(Case.of(FIRST + 300_000 + k).picture(style)) for k in range(min(64, captions))]))
    result = {"model": model.name, "classifier": judged, "text_to_image": drawn, "vae_psnr": round(psnr(vae, held), 2)}
    if redrawn:
        result["image_to_image"] = image_to_image(judge, draw, folder, redrawn, style)
    return result, pictures, cases


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).resolve().parents[2]
    ap.add_argument("--model", type=Path, default=Path("weights/pocket-paper-sd1"))
    ap.add_argument("--binary", type=Path, default=root / "target/release/diffusion-server")
    ap.add_argument("--work", type=Path, default=Path("build"), help="rendered scenes and the classifier (made if missing)")
    ap.add_argument("--captions", type=int, default=300)
    ap.add_argument("--redrawn", type=int, default=40, help="images for image-to-image, at each strength")
    ap.add_argument("--scenes", type=int, default=28000)
    ap.add_argument("--style", default="paper")
    ap.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    ap.add_argument("--json", type=Path, help="where to write the figures [default: WORK/MODEL.json]")
    ap.add_argument("--sheet", type=Path, help="where to write a contact sheet of the first 100 images")
    ap.add_argument("options", nargs="*", help="after --, options of `diffusion-server generate`, such as --guidance 5")
    args = ap.parse_args()
    draw = drawn_by(args.binary, str(args.model.resolve()), args.options, args.workers)
    result, pictures, cases = evaluate(args.model, args.work, draw, args.captions, args.redrawn, args.style, args.scenes)
    result["options"] = args.options
    target = args.json or args.work / f"{args.model.name}.json"
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(table(result))
    if args.sheet:
        sheet(pictures[:100], cases).save(args.sheet)


if __name__ == "__main__":
    main()
