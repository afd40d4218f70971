"""Random textures, gradients and noise collages, so that the autoencoder copes with any picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw


def _noise(rng: np.random.Generator, size: int) -> np.ndarray:
    """Coloured noise of several scales with a random roll-off."""
    out = np.zeros((size, size, 3), np.float32)
    falloff, grey = rng.uniform(0.35, 0.9), rng.random() < 0.3
    cells, weight = 2, 1.0
    while cells <= size:
        n = rng.normal(size=(cells, cells, 1 if grey else 3)).astype(np.float32)
        n = np.repeat(n, 3, 2) if grey else n
        layer = [np.asarray(Image.fromarray(n[..., c], "F").resize((size, size), Image.BICUBIC)) for c in range(3)]
        out += weight * np.stack(layer, 2)
        cells, weight = cells * 2, weight * falloff
    return out / max(float(out.std()), 1e-3)


def _gradient(rng: np.random.Generator, size: int) -> np.ndarray:
    """A straight gradient between two random colours."""
    a = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    t = np.clip(0.5 + x * np.cos(a) + y * np.sin(a), 0, 1)[..., None]
    return (1 - t) * rng.uniform(0, 255, 3) + t * rng.uniform(0, 255, 3)


def random_texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """One random uint8 picture."""
    picture = _gradient(rng, size)
    if rng.random() < 0.75:
        picture = picture + _noise(rng, size) * rng.uniform(4, 60)
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 5))):
        box = np.sort(rng.uniform(-0.2, 1.2, (2, 2)) * size, 0).ravel().tolist()
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        kind = int(rng.integers(3))
        if kind == 0:
            draw.rectangle(box, fill=colour)
        elif kind == 1:
            draw.ellipse(box, fill=colour)
        else:
            draw.line(box, fill=colour, width=int(rng.integers(1, 5)))
    return np.asarray(image)
