"""Sharpen the decoder after the latents are cached: the encoder, and so every latent, stays as it is.

    python finetune_decoder.py --work build/autoencoder --minutes 10
    python finetune_decoder.py --work build/pocket-paper-sd1 --model weights/pocket-paper-sd1

With ``--model`` half of what it learns from are latents that a denoiser has redrawn, so that it
cleans up after the denoiser, too.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from pace import Pace
from redraw import redraw
from train_vae import crops, edge_loss, psnr, to_float


def pairs(latents: np.ndarray, images: np.ndarray, rng: np.random.Generator, count: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Crops of redrawn latents and of the pictures that they stand for."""
    factor = images.shape[1] // latents.shape[2]
    z, x, side = [], [], size // factor
    for _ in range(count):
        k = rng.integers(len(latents))
        top, left = rng.integers(latents.shape[2] - side + 1, size=2)
        z.append(latents[k, :, top : top + side, left : left + side].astype(np.float32))
        x.append(images[k, factor * top : factor * top + size, factor * left : factor * left + size])
    return torch.from_numpy(np.stack(z)), to_float(np.stack(x))


def finetune(work: Path, minutes: float, batch: int = 20, crop: int = 64, lr: float = 1.5e-3, bf16: bool = True, redrawn: np.ndarray | None = None) -> float:
    """Train decoder and post_quant_conv alone, write the result back to ``work/vae``; returns PSNR in dB."""
    images = np.load(work / "images.npy", mmap_mode="r")
    vae = AutoencoderKL.from_pretrained(work / "vae")
    held = to_float(images[-16:])
    params = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    opt = torch.optim.AdamW(params, lr=lr, betas=(0.9, 0.99), weight_decay=1e-4)
    rng, pace, start, step, run = np.random.default_rng(5), Pace(), time.time(), 0, []
    torch.manual_seed(5)
    while (done := (time.time() - start) / (minutes * 60)) < 1:
        for g in opt.param_groups:
            g["lr"] = lr * min(1.0, (step + 1) / 30) * (0.02 + 0.98 * min(1.0, 1.6 * (1 - done)))
        x = crops(images[:-64], rng, batch if redrawn is None else batch // 2, min(crop, images.shape[1]))
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            with torch.no_grad():
                z = vae.encode(x).latent_dist.mean.float()
            if redrawn is not None:
                z2, x2 = pairs(redrawn, images, rng, batch - len(x), min(crop, images.shape[1]))
                z, x = torch.cat([z, z2]), torch.cat([x, x2])
            y = vae.decode(z + 0.02 * torch.randn_like(z)).sample.float()
        loss = (y - x).abs().mean() + 0.5 * F.mse_loss(y, x) + 0.5 * edge_loss(y, x)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        pace.tick()
        step += 1
        run.append(loss.item())
        if step % 50 == 0:
            print(f"decoder step {step} loss {np.mean(run[-50:]):.4f} held-out psnr {psnr(vae, held):.2f} dB", flush=True)
    vae.save_pretrained(work / "vae")
    return psnr(vae, held)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", type=Path, default=Path("build"))
    ap.add_argument("--minutes", type=float, default=10)
    ap.add_argument("--lr", type=float, default=1.5e-3)
    ap.add_argument("--model", type=Path, help="exported model whose denoiser redraws scenes")
    ap.add_argument("--redrawn", type=int, default=1500, help="how many scenes it redraws")
    args = ap.parse_args()
    redrawn = redraw(args.work, args.model, args.redrawn) if args.model else None
    print(f"decoder done: {finetune(args.work, args.minutes, lr=args.lr, redrawn=redrawn):.2f} dB")


if __name__ == "__main__":
    main()
