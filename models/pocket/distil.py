"""Distil a model into one that draws in four steps without guidance.

    python distil.py --work build/pocket-paper-sd1 --start weights/pocket-paper-sd1
    python export.py --work build/pocket-paper-sd1 --run distilled --out weights/pocket-paper-lightning

From noise to picture the teacher, with guidance, takes many small steps; the student learns to go
from quarter to quarter of that trajectory in one step each, without guidance. This is progressive
distillation (Salimans and Ho, 2022; with guidance, Meng et al., 2023) in one round, upon
trajectories that are kept, as Luhman and Luhman keep theirs ("Knowledge distillation in iterative
generative models for improved sampling speed", 2021).
"""

from __future__ import annotations

import argparse
import hashlib
import time
from pathlib import Path

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file

from export import BETAS, FEW_STEPS, GUIDANCE
from pace import Pace
from recipes import MODELS
from train_unet import FAMILIES, Plan, Trainer, adopt, build_unet

CHUNK = 64  # trajectories of one file
EMPTY = 16  # every so many of them have no prompt


class Distiller(Trainer):
    """Trains the denoiser alone; what it starts from is the teacher."""

    def __init__(self, work: Path, plan: Plan, start: Path, count: int, small_steps: int = 16, guidance: float = GUIDANCE) -> None:
        super().__init__(work, plan, run="distilled", start=start)
        if small_steps % FEW_STEPS or count < CHUNK:
            raise ValueError(f"{small_steps} steps are not {FEW_STEPS} even parts, or {count} trajectories fewer than {CHUNK}")
        self.text.requires_grad_(False)
        self.start, self.guidance = start, guidance
        self.solver = DPMSolverMultistepScheduler(**BETAS, prediction_type=self.noise.prediction, timestep_spacing="trailing")
        self.solver.set_timesteps(small_steps)
        self.timesteps = self.solver.timesteps[:: small_steps // FEW_STEPS]
        # The points from noise alone, as sampling begins, to the picture itself.
        alpha = torch.cat([self.noise.alpha[self.timesteps], torch.ones(1)])
        self.signal, self.sigma = (v.view(-1, 1, 1, 1) for v in (alpha.sqrt(), (1 - alpha).sqrt()))
        self.points, begins, self.prompts = self.trajectories(count)
        # The last of those from noise are held out.
        self.held = slice(count - CHUNK // 2, count)
        rows = np.delete(np.arange(len(self.points)), self.held)
        self.pairs = np.array([(row, k) for row in rows for k in range(begins[row], FEW_STEPS)])

    def words(self, ids: np.ndarray) -> torch.Tensor:
        """What the text encoder makes of token ids."""
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bf16):
            return self.text(torch.from_numpy(ids.astype(np.int64))).last_hidden_state

    def trajectories(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The teacher's, kept in files: points ``[n, FEW_STEPS + 1, 4, h, w]``, the point that each begins at, and the prompts' token ids.

        ``count`` of them begin in noise; a quarter and an eighth as many in noised pictures of other
        scenes at the second and the third point, as they do from image to image.
        """
        folder = self.folder()
        folder.mkdir(exist_ok=True)
        teacher, pace, time0, parts = None, Pace(every=120), time.time(), []
        for begin, many in ((0, count), (1, count // 4), (2, count // 8)):
            for k in range(-(-many // CHUNK)):
                path = folder / f"{begin}-{k:04}.npz"
                if not path.exists():
                    teacher = teacher or self.teacher()
                    x, prompts = self.beginnings(begin, k)
                    part = path.with_suffix(".part.npz")
                    np.savez(part, points=self.walk(teacher, begin, x, prompts, pace), prompts=prompts)
                    part.rename(path)
                    print(f"trajectories {path.stem} {time.time() - time0:.0f}s {pace.chosen} threads", flush=True)
                chunk, n = np.load(path), min(CHUNK, many - k * CHUNK)
                parts.append((chunk["points"][:n], np.full(n, begin), chunk["prompts"][:n]))
        points, begins, prompts = map(np.concatenate, zip(*parts))
        return points, begins, prompts

    def folder(self) -> Path:
        """Where trajectories are kept: another folder for another teacher or other settings."""
        told = hashlib.sha256(f"{self.guidance} {len(self.solver.timesteps)}".encode())
        for part in ("unet/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"):
            told.update((self.start / part).read_bytes())
        return self.work / f"trajectories-{told.hexdigest()[:12]}"

    def teacher(self) -> torch.nn.Module:
        """The denoiser that the student began as."""
        teacher = build_unet(self.plan, self.latents.shape[-1]).requires_grad_(False)
        adopt(teacher, load_file(self.start / "unet" / "diffusion_pytorch_model.safetensors"))
        teacher.set_attn_processor(AttnProcessor())
        return teacher.to(memory_format=torch.channels_last)

    def beginnings(self, begin: int, chunk: int) -> tuple[torch.Tensor, np.ndarray]:
        """What a chunk of trajectories begins with, at point ``begin``, and its prompts."""
        rng = np.random.default_rng(1000 * (begin + 1) + chunk)
        scenes = np.searchsorted(self.odds, rng.random(CHUNK))
        prompts = self.ids[scenes, rng.integers(self.ids.shape[1], size=CHUNK)]
        prompts[::EMPTY] = self.empty
        x = self.sigma[begin] * torch.from_numpy(rng.standard_normal((CHUNK, *self.latents.shape[1:]), np.float32))
        if begin:
            others = np.searchsorted(self.odds, rng.random(CHUNK))
            x += self.signal[begin] * torch.from_numpy(self.latents[others].astype(np.float32)) * self.scale
        return x, prompts

    @torch.no_grad()
    def walk(self, teacher: torch.nn.Module, begin: int, x: torch.Tensor, prompts: np.ndarray, pace: Pace) -> np.ndarray:
        """The points of the teacher's guided trajectories that the student shall go between; those before ``begin`` are zeros."""
        words = self.words(np.concatenate([np.broadcast_to(self.empty, prompts.shape), prompts]))
        steps = len(self.solver.timesteps)
        each = steps // FEW_STEPS
        self.solver.set_timesteps(steps)
        self.solver.set_begin_index(begin * each)
        points = [torch.zeros_like(x)] * begin + [x]
        for k in range(begin * each, steps):
            t = self.solver.timesteps[k]
            with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bf16):
                both = teacher(torch.cat([x, x]).contiguous(memory_format=torch.channels_last), t, words).sample
            without, given = both.float().chunk(2)
            x = self.solver.step(without + self.guidance * (given - without), t, x).prev_sample
            if (k + 1) % each == 0:
                points.append(x)
            pace.tick()
        return torch.stack(points, 1).numpy().astype(np.float16)

    def few_step(self, x: torch.Tensor, out: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        """Where the student's output at point ``k`` leads: a step of DDIM, which is one of Euler, to the next point."""
        signal, sigma = self.signal[k], self.sigma[k]
        if self.noise.prediction == "epsilon":
            clean, noise = (x - sigma * out) / signal, out
        else:
            clean, noise = signal * x - sigma * out, sigma * x + signal * out
        return self.signal[k + 1] * clean + self.sigma[k + 1] * noise

    def loss(self) -> torch.Tensor:
        """The distance from the student's steps to the teacher's points."""
        pick, k = self.pairs[self.rng.integers(len(self.pairs), size=self.plan.batch)].T
        x, wanted = (torch.from_numpy(self.points[pick, at].astype(np.float32)) for at in (k, k + 1))
        k = torch.from_numpy(k)
        words = self.words(self.prompts[pick])
        with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bf16):
            out = self.unet(x.contiguous(memory_format=torch.channels_last), self.timesteps[k], words).sample
        error = (self.few_step(x, out.float(), k) - wanted).square()
        self.denoising = error.mean().item()
        return (error + 1e-6).sqrt().mean()

    @torch.no_grad()
    def deviation(self) -> list[float]:
        """How far the averaged student's own trajectories are from the teacher's at each point: root
        mean square over those that it has not been trained on."""
        held, words = self.points[self.held].astype(np.float32), self.words(self.prompts[self.held])
        x, student, out = torch.from_numpy(held[:, 0]), self.ema[0], []
        for k in range(FEW_STEPS):
            x = self.few_step(x, student(x, self.timesteps[k], words).sample, torch.full((len(x),), k))
            out.append((x - torch.from_numpy(held[:, k + 1])).square().mean().sqrt().item())
        return out


def main() -> None:
    recipe = MODELS["pocket-paper-lightning"]
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", type=Path, default=Path("build"))
    ap.add_argument("--start", type=Path, default=Path("weights/pocket-paper-sd1"))
    ap.add_argument("--family", choices=list(FAMILIES), default="sd1")
    ap.add_argument("--trajectories", type=int, default=recipe.trajectories, help="how many of the teacher's from noise to learn from")
    ap.add_argument("--minutes", type=float, default=recipe.minutes)
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--lr", type=float, default=recipe.lr)
    args = ap.parse_args()
    plan = Plan(family=args.family, minutes=args.minutes, batch=args.batch, lr=args.lr)
    distiller = Distiller(args.work, plan, args.start, args.trajectories)
    print(f"deviation before: {distiller.deviation()}", flush=True)
    distiller.run()
    print(f"after: {distiller.deviation()}", flush=True)


if __name__ == "__main__":
    main()
