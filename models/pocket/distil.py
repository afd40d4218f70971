"""Distil a model into one that draws in four steps without guidance.

    python distil.py --work build/pocket-paper-sd1 --start weights/pocket-paper-sd1
    python export.py --work build/pocket-paper-sd1 --run distilled --out weights/pocket-paper-lcm

Luo et al., "Latent consistency models", 2023: what the student takes for the clean latent behind a
noisy one shall be what its own average takes for it a little earlier on the same path, where the
teacher gets by one guided step of DDIM.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch
from safetensors.torch import load_file

from train_unet import FAMILIES, Plan, Trainer, adopt

STRIDE = 20  # time steps from point to point of the teacher's path: 50 points, as LCMScheduler has them


class Distiller(Trainer):
    """Trains the denoiser alone; what it starts from is the teacher."""

    def __init__(self, work: Path, plan: Plan, start: Path, guidance: float = 5.0, follow: float = 0.05) -> None:
        super().__init__(work, plan, run="distilled", start=start)
        self.guidance, self.follow = guidance, follow
        self.text.requires_grad_(False)
        self.teacher = copy.deepcopy(self.unet).requires_grad_(False)
        adopt(self.teacher, load_file(start / "unet" / "diffusion_pytorch_model.safetensors"))
        self.target = copy.deepcopy(self.unet).requires_grad_(False)

    def clean(self, x: torch.Tensor, out: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """The clean latent that a denoiser's output at time step ``t`` stands for."""
        a = self.noise.alpha[t].view(-1, 1, 1, 1)
        if self.noise.prediction == "epsilon":
            return (x - (1 - a).sqrt() * out) / a.sqrt()
        return a.sqrt() * x - (1 - a).sqrt() * out

    def earlier(self, x: torch.Tensor, t: torch.Tensor, before: torch.Tensor, words: torch.Tensor, none: torch.Tensor) -> torch.Tensor:
        """Where one step of DDIM of the guided teacher leads from ``t``."""
        both = self.teacher(torch.cat([x, x]), torch.cat([t, t]), torch.cat([none, words])).sample.float()
        without, given = both.chunk(2)
        out = without + self.guidance * (given - without)
        start = self.clean(x, out, t)
        a, b = (self.noise.alpha[k].view(-1, 1, 1, 1) for k in (t, before))
        return b.sqrt() * start + (1 - b).sqrt() * (x - a.sqrt() * start) / (1 - a).sqrt()

    def loss(self) -> torch.Tensor:
        x, care, ids, _, _ = self.batch()
        t = (self.noise.pick(len(x)) // STRIDE + 1) * STRIDE - 1
        before = (t - STRIDE).clamp(min=0)
        noisy, _ = self.noise.mix(x, torch.randn_like(x), t)
        empty = torch.from_numpy(self.empty.astype("int64")).expand(len(x), -1)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bf16):
            with torch.no_grad():
                words, none = self.text(ids).last_hidden_state, self.text(empty).last_hidden_state
                near = self.earlier(noisy, t, before, words, none)
                wanted = self.clean(near, self.target(near, before, words).sample.float(), before)
                # The path ends with the picture itself.
                wanted = torch.where((t < STRIDE).view(-1, 1, 1, 1), near, wanted)
            out = self.unet(noisy, t, words).sample
        error = self.clean(noisy, out.float(), t) - wanted
        error = (error.square() + 1e-6).sqrt() - 1e-3
        self.denoising = error.mean().item()
        return (error * care).mean()

    def advance(self) -> float:
        loss = super().advance()
        with torch.no_grad():
            torch._foreach_lerp_(list(self.target.parameters()), list(self.unet.parameters()), self.follow)
        return loss


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", type=Path, default=Path("build"))
    ap.add_argument("--start", type=Path, default=Path("weights/pocket-paper-sd1"))
    ap.add_argument("--family", choices=list(FAMILIES), default="sd1")
    ap.add_argument("--minutes", type=float, default=40)
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--lr", type=float, default=3e-4)
    args = ap.parse_args()
    plan = Plan(family=args.family, minutes=args.minutes, batch=args.batch, lr=args.lr, dropout=0.0)
    Distiller(args.work, plan, args.start).run()


if __name__ == "__main__":
    main()
