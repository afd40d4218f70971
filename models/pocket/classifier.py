"""A small classifier that reads a scene's attributes from a picture: the judge in ``evaluate.py``.

It is fitted on rendered scenes and on what the autoencoder makes of them, at half size, so
that softness and faint grain do not confuse it. It never sees a generated picture.

    python classifier.py --work build --vae weights/pocket-paper-sd1/vae
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from attributes import VALUES, labels_of
from data import load_rows, render_dataset
from train_vae import to_float

HARD = {"subject": 3.0, "pose": 1.5, "weather": 1.5}  # what takes longest to learn counts more
HELD = 1000  # scenes at the end of the data set that only test the classifier


def half_size(pixels: np.ndarray) -> np.ndarray:
    """uint8 NHWC pictures with each side halved."""
    wide = pixels.astype(np.uint16)
    rows = wide[:, ::2] + wide[:, 1::2]
    return ((rows[:, :, ::2] + rows[:, :, 1::2] + 2) // 4).astype(np.uint8)


class Judge(torch.nn.Module):
    """Strided convolutions, pooled coarsely and as a whole, and two layers for all attributes."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        before = 3
        for out, kernel, stride in ((1, 5, 2), (2, 3, 2), (3, 3, 1), (4, 3, 2), (5, 3, 1)):
            layers += [
                torch.nn.Conv2d(before, out * width, kernel, stride, kernel // 2, bias=False),
                torch.nn.BatchNorm2d(out * width), torch.nn.ReLU(),
            ]
            before = out * width
        self.body = torch.nn.Sequential(*layers)
        self.sizes = [len(values) for values in VALUES.values()]
        self.read = torch.nn.Sequential(torch.nn.Linear(before * 17, 256), torch.nn.ReLU(), torch.nn.Linear(256, sum(self.sizes)))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Scores for each attribute, of pictures ``[n, 3, h, w]`` in -1..1."""
        y = self.body(x.contiguous(memory_format=torch.channels_last)).float()
        pooled = torch.cat([F.adaptive_avg_pool2d(y, 4).flatten(1), y.amax((2, 3))], 1)
        return self.read(pooled).split(self.sizes, 1)


def wobble(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Mirror, shift, relight and roughen a batch a little."""
    if rng.random() < 0.5:
        x = x.flip(3)
    dy, dx = (int(d) for d in rng.integers(-3, 4, 2))
    h, w = x.shape[2:]
    x = F.pad(x, (3, 3, 3, 3), mode="replicate")[:, :, 3 + dy : 3 + dy + h, 3 + dx : 3 + dx + w]
    n = len(x)
    gain = torch.from_numpy(rng.uniform(0.92, 1.08, (n, 1, 1, 1)).astype(np.float32))
    lift = torch.from_numpy(rng.uniform(-0.05, 0.05, (n, 1, 1, 1)).astype(np.float32))
    rough = torch.from_numpy(rng.uniform(0, 0.06, (n, 1, 1, 1)).astype(np.float32))
    return x * gain + lift + rough * torch.randn_like(x)


@torch.no_grad()
def round_trips(vae: AutoencoderKL, pixels: np.ndarray, batch: int = 32) -> np.ndarray:
    """What the autoencoder makes of the pictures, at half size."""
    out = []
    for k in range(0, len(pixels), batch):
        with torch.autocast("cpu", torch.bfloat16):
            y = vae.decode(vae.encode(to_float(pixels[k : k + batch])).latent_dist.mean).sample
        out.append(half_size(((y.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()))
    return np.concatenate(out)


@torch.no_grad()
def predict(judge: Judge, small: np.ndarray, batch: int = 100) -> np.ndarray:
    """Class numbers ``[pictures, attributes]`` of half-size uint8 pictures."""
    judge.eval()
    rows = [torch.stack([s.argmax(1) for s in judge(to_float(small[k : k + batch]))], 1) for k in range(0, len(small), batch)]
    return torch.cat(rows).numpy()


def accuracy(judge: Judge, small: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Share of right answers for each attribute, where it has bearing."""
    right, known = predict(judge, small) == labels, labels >= 0
    return {name: float(right[known[:, k], k].mean()) for k, name in enumerate(VALUES) if known[:, k].any()}


def fit(work: Path, vae_folder: Path, steps: int = 1600, batch: int = 96, trips: int = 4000, held: int = HELD) -> tuple[Judge, dict]:
    """Fit on all but the last ``held`` scenes of a work folder, test on those; cached in ``classifier.pt``."""
    torch.manual_seed(0)
    judge, path = Judge(), work / "classifier.pt"
    if path.exists():
        state = torch.load(path)
        judge.load_state_dict(state["judge"])
        return judge.eval(), state["report"]
    images = np.load(work / "images.npy", mmap_mode="r")
    labels = labels_of([row["scene"] for row in load_rows(work)])
    small = np.concatenate([half_size(images[k : k + 1000]) for k in range(0, len(images), 1000)])
    vae = AutoencoderKL.from_pretrained(vae_folder, dtype=torch.float32)
    rng = np.random.default_rng(0)
    chosen = rng.permutation(len(small) - held)[:trips]
    soft = round_trips(vae, images[np.sort(chosen)])
    pool, truth = np.concatenate([small[:-held], soft]), np.concatenate([labels[:-held], labels[np.sort(chosen)]])
    odds = np.concatenate([np.full(len(small) - held, 0.6 / (len(small) - held)), np.full(len(soft), 0.4 / len(soft))])
    judge.to(memory_format=torch.channels_last).train()
    opt = torch.optim.AdamW(judge.parameters(), lr=2e-3, weight_decay=0.02, fused=True)
    start = time.time()
    for step in range(steps):
        done = step / steps
        for g in opt.param_groups:
            g["lr"] = 3e-3 * min(1.0, (step + 1) / 50) * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * done)))
        pick = rng.choice(len(pool), batch, p=odds)
        with torch.autocast("cpu", torch.bfloat16):
            scores = judge(wobble(to_float(pool[pick]), rng))
        goal = torch.from_numpy(truth[pick])
        loss = sum(
            HARD.get(name, 1.0) * F.cross_entropy(s, goal[:, k], ignore_index=-1)
            for k, (name, s) in enumerate(zip(VALUES, scores)) if (goal[:, k] >= 0).any()
        )
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        if (step + 1) % 50 == 0:
            print(f"classifier step {step + 1} {time.time() - start:.0f}s loss {loss.item():.3f}", flush=True)
    report = {
        "renders": accuracy(judge, small[-held:], labels[-held:]),
        "round_trips": accuracy(judge, round_trips(vae, images[-min(held, 500) :]), labels[-min(held, 500) :]),
    }
    torch.save({"judge": judge.state_dict(), "report": report}, path)
    return judge.eval(), report


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", type=Path, default=Path("build"))
    ap.add_argument("--vae", type=Path, default=Path("weights/pocket-paper-sd1/vae"))
    ap.add_argument("--scenes", type=int, default=28000, help="how many to render where the work folder has none")
    ap.add_argument("--style", default="paper")
    ap.add_argument("--steps", type=int, default=1600)
    args = ap.parse_args()
    render_dataset(args.work, args.scenes, style=args.style)
    _, report = fit(args.work, args.vae, args.steps)
    for kind, shares in report.items():
        print(kind, " ".join(f"{name} {share:.1%}" for name, share in shares.items()))


if __name__ == "__main__":
    main()
