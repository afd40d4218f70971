"""Train the denoiser and the text encoder together on the cached latents."""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from safetensors.torch import load_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from attributes import AttributeHeads, labels_of
from captions_pool import caption_pool
from data import load_rows
from focus import halved, subject_masks
from pace import Pace
from tokenizer import END, write_tokenizer

FAMILIES = {
    "sd1": {"prediction": "epsilon", "linear": False, "act": "quick_gelu", "text_layers": 3, "pad": END},
    "sd2": {"prediction": "v_prediction", "linear": True, "act": "gelu", "text_layers": 2, "pad": "!"},
}


@dataclass(frozen=True)
class Plan:
    """What to train and for how long."""

    family: str = "sd1"
    channels: tuple[int, ...] = (32, 64, 128)
    text_width: int = 128
    text_layers: int | None = None  # as the family has it
    batch: int = 16
    small_batch: int = 32
    small_minutes: float = 0.0  # how long to begin on half-size pictures
    lr: float = 1e-3
    minutes: float = 75
    bf16: bool = True
    dropout: float = 0.1
    text_steps: int = 0  # steps of the text encoder alone, before the denoiser's first
    hint: float = 0.1  # weight of the attribute loss beside the denoising loss
    focus: float = 2.0  # how much more the loss counts where the subject is
    offset: float = 0.1  # deviation of a constant added to each channel of the noise


def build_unet(plan: Plan, sample_size: int) -> UNet2DConditionModel:
    """A one-layer-a-block conditional UNet without attention at the top level."""
    n = len(plan.channels)
    return UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=4,
        out_channels=4,
        down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * (n - 1),
        up_block_types=("CrossAttnUpBlock2D",) * (n - 1) + ("UpBlock2D",),
        block_out_channels=plan.channels,
        layers_per_block=1,
        cross_attention_dim=plan.text_width,
        attention_head_dim=4,
        norm_num_groups=8,
        use_linear_projection=FAMILIES[plan.family]["linear"],
    )


def build_text(plan: Plan, vocab: int) -> CLIPTextModel:
    """A tiny CLIP text encoder."""
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=vocab,
        hidden_size=plan.text_width,
        intermediate_size=plan.text_width * 4,
        num_hidden_layers=plan.text_layers or FAMILIES[plan.family]["text_layers"],
        num_attention_heads=4,
        max_position_embeddings=77,
        projection_dim=plan.text_width,
        hidden_act=FAMILIES[plan.family]["act"],
        bos_token_id=vocab - 2,
        eos_token_id=vocab - 1,
        pad_token_id=vocab - 1 if FAMILIES[plan.family]["pad"] == END else 0,
    ))


def adopt(model: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Take over weights of another model of the same widths, of either family.

    A linear projection is a 1x1 convolution in another shape. Layers that the model has not
    are left out; what only the prediction type changes, training changes.
    """
    mine = model.state_dict()
    taken = {name: value.float().reshape(mine[name].shape) for name, value in weights.items() if name in mine}
    lost = [name for name in mine if name not in taken and not name.endswith("position_ids")]
    if lost:
        raise ValueError(f"the start has no {lost[0]} (and {len(lost) - 1} more)")
    model.load_state_dict(taken, strict=False)


class Noise:
    """Stable Diffusion's scaled-linear schedule, its targets and loss weights.

    The weights are min-SNR's, raised where hardly anything of the picture is left (``low``):
    there sky and land are decided, and the plain loss is too small to teach them.
    """

    def __init__(self, prediction: str, gamma: float = 5.0, low: float = 0.3) -> None:
        betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
        self.alpha = torch.cumprod(1 - betas, 0)
        snr = self.alpha / (1 - self.alpha)
        self.prediction = prediction
        self.weight = snr.clamp(max=gamma) / (snr if prediction == "epsilon" else snr + 1) * (low / snr).clamp(min=1).sqrt()

    def pick(self, batch: int) -> torch.Tensor:
        """Evenly spread random time steps, which makes the loss less noisy."""
        t = (torch.randperm(batch) + torch.rand(batch)) / batch * 1000
        return t.long().clamp(max=999)

    def mix(self, x: torch.Tensor, e: torch.Tensor, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The noisy latent and what the model shall predict from it."""
        a = self.alpha[t].view(-1, 1, 1, 1)
        noisy = a.sqrt() * x + (1 - a).sqrt() * e
        return noisy, e if self.prediction == "epsilon" else a.sqrt() * e - (1 - a).sqrt() * x


def favour(scene: dict) -> float:
    """How often a scene is drawn: the cases that our example prompts ask for come more often."""
    example = (
        (scene["subject"] == "battleship" and scene["neon"])
        or (scene["subject"] == "cat" and scene["pose"] == "dancing" and scene["weather"] == "rain")
        or (scene["subject"] == "dog" and scene["on_sofa"])
        or (scene["subject"] is None and scene["ground"] == "sea" and scene["far"] == "mountains")
    )
    return 4.0 if example else 1.0


def tokens_for(tokenizer: CLIPTokenizer, texts: list[str]) -> np.ndarray:
    """Token ids padded to 77 as the pipeline pads them."""
    ids = tokenizer(texts, padding="max_length", max_length=77, truncation=True).input_ids
    return np.asarray(ids, np.int16)


class Trainer:
    """Holds the models, their moving averages and the data."""

    def __init__(self, work: Path, plan: Plan, run: str = "unet", start: Path | None = None) -> None:
        torch.manual_seed(0)
        self.work, self.plan, self.path = work, plan, work / f"{run}.pt"
        self.latents = np.load(work / "latents.npy")
        self.small = np.load(work / "latents_small.npy") if plan.small_minutes else self.latents
        self.scale = json.loads((work / "vae" / "config.json").read_text())["scaling_factor"]
        pool = caption_pool(work)[: len(self.latents)]
        if not (work / "tokenizer" / "vocab.json").exists():
            write_tokenizer(work / "tokenizer", (c for row in pool for c in row))
        self.tokenizer = CLIPTokenizer.from_pretrained(work / "tokenizer", pad_token=FAMILIES[plan.family]["pad"])
        self.ids = tokens_for(self.tokenizer, [c for row in pool for c in row]).reshape(len(pool), -1, 77)
        scenes = [row["scene"] for row in load_rows(work)[: len(self.latents)]]
        self.labels = labels_of(scenes)
        self.masks = subject_masks(work, self.latents.shape[-1])
        self.small_masks = halved(self.masks) if plan.small_minutes else self.masks
        weight = np.array([favour(scene) for scene in scenes[: len(self.latents) - 64]])
        self.odds = np.cumsum(weight) / weight.sum()
        self.empty = tokens_for(self.tokenizer, [""])[0]
        self.unet = build_unet(plan, self.latents.shape[-1])
        self.text = build_text(plan, len(self.tokenizer))
        if start:
            adopt(self.unet, load_file(start / "unet" / "diffusion_pytorch_model.safetensors"))
            words = load_file(start / "text_encoder" / "model.safetensors")
            prefix = next(iter(self.text.state_dict())).split(".")[0] == "text_model"
            adopt(self.text, words if prefix else {name.removeprefix("text_model."): value for name, value in words.items()})
        self.ema = copy.deepcopy(torch.nn.ModuleList([self.unet, self.text])).requires_grad_(False)
        self.heads = AttributeHeads(self.text.config.hidden_size)
        params = [*self.unet.parameters(), *self.text.parameters()]
        self.opt = torch.optim.AdamW([*params, *self.heads.parameters()], lr=plan.lr, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        self.params, self.step, self.spent = params, 0, 0.0
        self.noise = Noise(FAMILIES[plan.family]["prediction"])
        self._resume()
        self.unet.set_attn_processor(AttnProcessor())
        self.text.set_attn_implementation("eager")
        self.unet.to(memory_format=torch.channels_last)
        self.rng = np.random.default_rng(self.step + 7)

    def _resume(self) -> None:
        if not self.path.exists():
            return
        state = torch.load(self.path)
        self.unet.load_state_dict(state["unet"])
        self.text.load_state_dict(state["text"])
        self.ema.load_state_dict(state["ema"])
        self.heads.load_state_dict(state["heads"])
        self.opt.load_state_dict(state["opt"])
        self.step, self.spent = state["step"], state["spent"]

    def save(self) -> None:
        """Write everything needed to go on; a half-written file never replaces a whole one."""
        part = self.path.with_suffix(".part")
        torch.save({
            "unet": self.unet.state_dict(), "text": self.text.state_dict(), "ema": self.ema.state_dict(),
            "heads": self.heads.state_dict(), "opt": self.opt.state_dict(), "step": self.step, "spent": self.spent,
        }, part)
        part.rename(self.path)

    def captions(self, pick: np.ndarray) -> torch.Tensor:
        """Token ids of one wording of each picked scene."""
        return torch.from_numpy(self.ids[pick, self.rng.integers(self.ids.shape[1], size=len(pick))].astype(np.int64))

    def hint(self, words: torch.Tensor, pick: np.ndarray, keep: np.ndarray) -> torch.Tensor:
        """The attribute loss at a random position behind each kept caption's last word."""
        labels = self.labels[pick]
        labels[~keep] = -1
        length = words.shape[1]
        at = self.rng.integers(min(32, length - 1), length, size=len(pick))
        return self.heads.loss(words[torch.arange(len(pick)), torch.from_numpy(at)], torch.from_numpy(labels))

    def warm_text(self, batch: int = 128, length: int = 36) -> None:
        """Teach the text encoder the attributes, on captions cut to ``length`` positions."""
        params = [*self.text.parameters(), *self.heads.parameters()]
        opt = torch.optim.AdamW(params, lr=1e-3, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        keep, losses = np.ones(batch, bool), []
        for step in range(self.plan.text_steps):
            for g in opt.param_groups:
                g["lr"] = 1e-3 * min(1.0, (step + 1) / 50, 4 * (1 - step / self.plan.text_steps) + 0.02)
            pick = self.rng.integers(len(self.latents) - 64, size=batch)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bf16):
                words = self.text(self.captions(pick)[:, :length]).last_hidden_state
            loss = self.hint(words, pick, keep)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            losses.append(loss.item())
            if (step + 1) % 100 == 0:
                print(f"text step {step + 1} loss {np.mean(losses[-100:]):.4f}", flush=True)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, np.ndarray, np.ndarray]:
        """Scaled latents, how much their pixels count, token ids, the scenes picked, and which captions were not dropped."""
        small = self.spent < self.plan.small_minutes * 60
        source, masks, count = (self.small, self.small_masks, self.plan.small_batch) if small else (self.latents, self.masks, self.plan.batch)
        pick = np.searchsorted(self.odds, self.rng.random(count))
        x = torch.from_numpy(source[pick].astype(np.float32)) * self.scale
        care = 1 + self.plan.focus * torch.from_numpy(masks[pick, None].astype(np.float32)) / 255
        ids, keep = self.captions(pick), self.rng.random(count) >= self.plan.dropout
        ids[torch.from_numpy(~keep)] = torch.from_numpy(self.empty.astype(np.int64))
        return x, care, ids, pick, keep

    def loss(self) -> torch.Tensor:
        """The weighted denoising loss of one batch."""
        x, care, ids, pick, keep = self.batch()
        t = self.noise.pick(len(x))
        e = torch.randn_like(x) + self.plan.offset * torch.randn(*x.shape[:2], 1, 1)
        noisy, target = self.noise.mix(x, e, t)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bf16):
            words = self.text(ids).last_hidden_state
            out = self.unet(noisy.contiguous(memory_format=torch.channels_last), t, words).sample
        error = (out.float() - target).square() * self.noise.weight[t].view(-1, 1, 1, 1)
        self.denoising = error.mean().item()
        return (error * care).mean() + self.plan.hint * self.hint(words, pick, keep)

    def advance(self) -> float:
        """One optimiser step at the rate the clock asks for."""
        done = min(1.0, self.spent / (self.plan.minutes * 60))
        rate = self.plan.lr * min(1.0, (self.step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * done)))
        for g in self.opt.param_groups:
            g["lr"] = float(rate)
        loss = self.loss()
        self.opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        self.opt.step()
        self.step += 1
        keep = min(0.9985, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            average = list(self.ema.parameters())
            torch._foreach_lerp_(average, self.params, 1 - keep)
        return self.denoising

    def run(self, report: int = 50, save_every: float = 180) -> list[float]:
        """Train until the planned minutes are used up."""
        losses: list[float] = []
        if self.step == 0:
            self.warm_text()
        pace = Pace()
        last = mark = time.time()
        while self.spent < self.plan.minutes * 60:
            losses.append(self.advance())
            pace.tick()
            now = time.time()
            self.spent, last = self.spent + now - last, now
            if self.step % report == 0:
                print(f"unet step {self.step} {self.spent:.0f}s loss {np.mean(losses[-report:]):.4f} {pace.chosen} threads", flush=True)
            if now - mark > save_every:
                self.save()
                mark = now
        self.save()
        return losses


def plan_from(args: argparse.Namespace) -> Plan:
    """The plan that command-line options ask for."""
    return Plan(
        family=args.family, channels=tuple(map(int, args.channels.split(","))), batch=args.batch,
        lr=args.lr, minutes=args.minutes, small_batch=args.small_batch, small_minutes=args.small_minutes,
        text_steps=args.text_steps, bf16=not args.no_bf16,
    )


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--work", type=Path, default=Path("build"))
    ap.add_argument("--family", choices=list(FAMILIES), default="sd1")
    ap.add_argument("--channels", default="32,64,128")
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--lr", type=float, default=1e-3)
    ap.add_argument("--minutes", type=float, default=75)
    ap.add_argument("--small-minutes", type=float, default=0, help="begin on half-size pictures for this long")
    ap.add_argument("--small-batch", type=int, default=32)
    ap.add_argument("--text-steps", type=int, default=0, help="teach the text encoder the scenes' attributes first")
    ap.add_argument("--start", type=Path, help="exported weights to go on from")
    ap.add_argument("--no-bf16", action="store_true")
    args = ap.parse_args()
    trainer = Trainer(args.work, plan_from(args), start=args.start)
    size = lambda m: sum(p.numel() for p in m.parameters()) / 1e6  # noqa: E731
    print(f"unet {size(trainer.unet):.2f}M text {size(trainer.text):.2f}M latents {trainer.latents.shape}", flush=True)
    trainer.run()


if __name__ == "__main__":
    main()
