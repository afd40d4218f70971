"""Train the autoencoder (64x64 crops), then cache the latents of every scene."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from pace import Pace
from textures import random_texture


def build_vae(channels: tuple[int, ...] = (16, 32, 64), size: int = 128) -> AutoencoderKL:
    """A small AutoencoderKL that shrinks each side by 2 ** (levels - 1)."""
    n = len(channels)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * n,
        up_block_types=("UpDecoderBlock2D",) * n,
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=size,
    )


def to_float(pixels: np.ndarray) -> torch.Tensor:
    """uint8 NHWC to float NCHW in -1..1."""
    return torch.from_numpy(pixels.astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1


def crops(images: np.ndarray, rng: np.random.Generator, batch: int, size: int) -> torch.Tensor:
    """Random crops of scenes, with about a tenth of them other textures."""
    out = np.empty((batch, size, size, 3), np.uint8)
    for k in range(batch):
        if rng.random() < 0.1:
            out[k] = random_texture(rng, size)
            continue
        image = images[rng.integers(len(images))]
        y, x = rng.integers(image.shape[0] - size + 1), rng.integers(image.shape[1] - size + 1)
        crop = image[y : y + size, x : x + size]
        out[k] = crop[:, ::-1] if rng.random() < 0.5 else crop
    return to_float(out)


def edge_loss(a: torch.Tensor, b: torch.Tensor, scales: int = 2) -> torch.Tensor:
    """L1 between the horizontal and vertical differences at a few scales."""
    loss = a.new_zeros(())
    for _ in range(scales):
        d = a - b
        loss = loss + (d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean()
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return loss


def colour_loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Squared error of local mean colour, with the two weak hue axes strengthened."""
    r, g, b_ = F.avg_pool2d(a - b, 4).unbind(1)
    return ((r + b_ - 2 * g).square() + (r - g).square() + 0.5 * (r + g - 2 * b_).square()).mean()


def vae_loss(vae: AutoencoderKL, x: torch.Tensor, bf16: bool, kl: float = 5e-5) -> tuple[torch.Tensor, float]:
    """The training loss and the plain squared error."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        post = vae.encode(x).latent_dist
        y = vae.decode(post.sample()).sample
    y, mean, logvar = y.float(), post.mean.float(), post.logvar.float()
    divergence = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    loss = 0.5 * (y - x).abs().mean() + 4 * F.mse_loss(y, x) + 0.25 * edge_loss(y, x) + 0.3 * colour_loss(y, x) + kl * divergence
    return loss, F.mse_loss(y.detach(), x).item()


@torch.no_grad()
def psnr(vae: AutoencoderKL, x: torch.Tensor) -> float:
    """PSNR in dB of reconstructing ``x`` from its mean latent."""
    y = vae.decode(vae.encode(x).latent_dist.mean).sample.clamp(-1, 1)
    return 10 * float(torch.log10(4 / F.mse_loss(y, x)))


def train(work: Path, minutes: float, batch: int, crop: int, lr: float, bf16: bool, channels: tuple[int, ...]) -> AutoencoderKL:
    """Train for a while (resuming from a checkpoint); the rate falls to zero over the time."""
    images = np.load(work / "images.npy", mmap_mode="r")
    held, train_images = to_float(images[-16:]), images[:-64]
    torch.manual_seed(0)
    vae, path = build_vae(channels, images.shape[1]), work / "vae.pt"
    opt = torch.optim.AdamW(vae.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=1e-4)
    spent, step = 0.0, 0
    if path.exists():
        state = torch.load(path)
        vae.load_state_dict(state["vae"])
        opt.load_state_dict(state["opt"])
        spent, step = state["spent"], state["step"]
    rng = np.random.default_rng(step + 1)
    pace, last, saved, run = Pace(), time.time(), spent, []
    while spent < minutes * 60:
        done = spent / (minutes * 60)
        for g in opt.param_groups:
            g["lr"] = lr * min(1, (step + 1) / 100) * (0.02 + 0.98 * min(1.0, 2 * (1 - done)))
        loss, mse = vae_loss(vae, crops(train_images, rng, batch, crop), bf16)
        opt.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        opt.step()
        step += 1
        run.append(loss.item())
        pace.tick()
        now = time.time()
        spent, last = spent + now - last, now
        if step % 50 == 0:
            print(f"vae step {step} {spent:.0f}s loss {np.mean(run[-50:]):.4f} held-out psnr {psnr(vae, held):.2f} dB, {pace.chosen} threads", flush=True)
        if spent - saved > 60 or spent >= minutes * 60:
            torch.save({"vae": vae.state_dict(), "opt": opt.state_dict(), "spent": spent, "step": step}, path)
            saved = spent
    print(f"vae done: {step} steps, {psnr(vae, held):.2f} dB", flush=True)
    return vae


@torch.no_grad()
def cache_latents(work: Path, vae: AutoencoderKL, count: int, batch: int = 32, bf16: bool = True, keep_scale: bool = False) -> None:
    """Write the mean latents of the first ``count`` scenes as float16 and save the autoencoder."""
    target = work / "latents.npy"
    images = np.load(work / "images.npy", mmap_mode="r")[:count]
    pace = Pace()
    side = images.shape[1] // 2 ** (len(vae.config.block_out_channels) - 1)
    latents = np.lib.format.open_memmap(work / "latents.part.npy", "w+", np.float16, (len(images), 4, side, side))
    for k in range(0, len(images), batch):
        x = to_float(images[k : k + batch])
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            latents[k : k + batch] = vae.encode(x).latent_dist.mean.float().numpy()
        pace.tick()
    latents.flush()
    if not keep_scale:
        normalise(vae, latents)
        latents.flush()
    vae.save_pretrained(work / "vae")
    (work / "latents.part.npy").rename(target)
    check = np.asarray(latents[:2000], np.float32) * vae.config.scaling_factor
    print("scaled latents: mean", check.mean((0, 2, 3)), "std", check.std((0, 2, 3)), flush=True)


@torch.no_grad()
def cache_small(work: Path, vae: AutoencoderKL, batch: int = 64, bf16: bool = True) -> None:
    """Latents of the same scenes at half size, four times as cheap to train on."""
    count, _, side, _ = np.load(work / "latents.npy", mmap_mode="r").shape
    images = np.load(work / "images.npy", mmap_mode="r")[:count]
    out = np.empty((count, 4, side // 2, side // 2), np.float16)
    pace = Pace()
    for k in range(0, count, batch):
        x = F.avg_pool2d(to_float(images[k : k + batch]), 2)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            out[k : k + batch] = vae.encode(x).latent_dist.mean.float().numpy()
        pace.tick()
    np.save(work / "latents_small.npy", out)


@torch.no_grad()
def normalise(vae: AutoencoderKL, latents: np.ndarray, factor: float = 0.18215) -> None:
    """Give every latent channel mean 0 and deviation 1 / factor.

    The change is folded into the 1x1 convolutions on both sides of the latent,
    so that the autoencoder as a whole stays the same function. The factor is
    the one that Stable Diffusion 1 uses. ``latents`` is changed in place.
    """
    part = np.asarray(latents[:4000], np.float32)
    shift = torch.from_numpy(part.mean((0, 2, 3)))
    gain = 1 / (torch.from_numpy(part.std((0, 2, 3))) * factor)
    n = len(gain)
    into, back = vae.quant_conv, vae.post_quant_conv
    into.weight[:n] *= gain.view(-1, 1, 1, 1)
    into.bias[:n] = (into.bias[:n] - shift) * gain
    into.bias[n:] += 2 * gain.log()
    back.bias += (back.weight[:, :, 0, 0] * shift).sum(1)
    back.weight /= gain.view(1, -1, 1, 1)
    for k in range(0, len(latents), 1000):
        block = np.asarray(latents[k : k + 1000], np.float32)
        latents[k : k + 1000] = (block - shift.view(1, -1, 1, 1).numpy()) * gain.view(1, -1, 1, 1).numpy()
    vae.register_to_config(scaling_factor=factor)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--work", type=Path, default=Path("build"))
    ap.add_argument("--minutes", type=float, default=10)
    ap.add_argument("--batch", type=int, default=24)
    ap.add_argument("--crop", type=int, default=64)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--count", type=int, default=28000, help="how many scenes to cache")
    ap.add_argument("--channels", default="16,32,64")
    ap.add_argument("--no-bf16", action="store_true")
    a = ap.parse_args()
    vae = train(a.work, a.minutes, a.batch, a.crop, a.lr, not a.no_bf16, tuple(map(int, a.channels.split(","))))
    if not (a.work / "latents.npy").exists():
        cache_latents(a.work, vae, a.count)
    if not (a.work / "latents_small.npy").exists():
        cache_small(a.work, AutoencoderKL.from_pretrained(a.work / "vae"))


if __name__ == "__main__":
    main()
