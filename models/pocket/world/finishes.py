"""What the styles do to a finished picture: washes, glowing edges, coarse pixels.

Each function takes the picture and a random generator and gives the picture back. Lengths
are shares of the height, so that a style looks the same at any size.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

GREY = np.array((0.299, 0.587, 0.114), np.float32)


def _floats(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32) / 255


def _image(values: np.ndarray) -> Image.Image:
    return Image.fromarray((values.clip(0, 1) * 255).round().astype(np.uint8))


def _blurred(image: Image.Image, share: float) -> np.ndarray:
    """The picture blurred over a share of its height."""
    return _floats(image.filter(ImageFilter.GaussianBlur(share * image.height)))


def _clouds(rng: np.random.Generator, size: tuple[int, int], cells: int) -> np.ndarray:
    """Smooth random values around 0, about ``cells`` bumps down the picture."""
    width, height = size
    coarse = rng.standard_normal((cells + 2, max(2, round(cells * width / height)) + 2)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def _edges(image: Image.Image, reach: float) -> np.ndarray:
    """How strongly the colour changes within ``reach`` of each pixel, 0 to about 1."""
    radius = 2 * max(1, round(reach * image.height)) + 1
    high, low = (_floats(image.filter(f(min(radius, 9)))) for f in (ImageFilter.MaxFilter, ImageFilter.MinFilter))
    return (high - low).max(2, keepdims=True)


def _swayed(image: Image.Image, rng: np.random.Generator, reach: float, cells: int) -> Image.Image:
    """Edges as an unsteady hand draws them."""
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    dy, dx = (_clouds(rng, image.size, cells) * reach * height for _ in range(2))
    rows = (np.arange(height)[:, None] + dy).round().astype(int).clip(0, height - 1)
    columns = (np.arange(width)[None] + dx).round().astype(int).clip(0, width - 1)
    return Image.fromarray(pixels[rows, columns])


def watercolour(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Uneven washes with darker rims on white paper that stays bare at the border."""
    hand = _swayed(image, rng, 0.004, 12)
    sharp, soft = _floats(hand), _blurred(hand, 0.004)
    rim = np.abs(sharp - _blurred(hand, 0.016)).mean(2, keepdims=True)
    wash = (0.86 + 0.09 * _clouds(rng, image.size, 4) + 0.05 * _clouds(rng, image.size, 13))[..., None]
    grey = (soft @ GREY)[..., None]
    pigment = (1 - (grey + 1.25 * (soft - grey))) * wash * (1 + 2.6 * rim)
    height, width = soft.shape[:2]
    y, x = np.arange(height)[:, None] / height, np.arange(width)[None] / height
    border = np.minimum(np.minimum(y, 1 - y), np.minimum(x, width / height - x))
    inside = ((border + 0.011 * _clouds(rng, image.size, 16) - 0.03) * 50).clip(0, 1)[..., None]
    paper = np.array((0.995, 0.985, 0.955), np.float32)
    return _image(paper * (1 - pigment.clip(0, 0.93) * inside))


def neon(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Glowing edges in the dark: every outline is a lamp of its own colour."""
    edge = ((_edges(image, 0.004) - 0.1) * 1.7).clip(0, 1)
    near = _blurred(image, 0.008)
    grey = (near @ GREY)[..., None]
    vivid = (grey + 2.2 * (near - grey)).clip(0.02, 1)
    lamp = vivid / vivid.max(2, keepdims=True)
    light = edge * (0.12 + 0.88 * lamp)
    shine = _image(light)
    halo = _blurred(shine, 0.015) * 0.55 + _blurred(shine, 0.05) * 0.5
    violet = np.array((0.03, 0.01, 0.08), np.float32)
    return _image(violet + vivid * (0.1 + 0.3 * grey) + 0.95 * light + halo * lamp)


def pixel(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Coarse pixels in few tones with dark outlines, as in an old game."""
    width, height = image.size
    small = image.resize((round(width / height * 64), 64), Image.Resampling.BOX)
    values = _floats(small)
    grey = (values @ GREY)[..., None]
    values = grey + 1.35 * (values - grey)
    darker = _floats(small.filter(ImageFilter.MaxFilter(3))) - _floats(small)
    line = ((darker.max(2, keepdims=True) - 0.2) * 2.5).clip(0, 1) * (grey < 0.8)
    steps = 6
    values = (values.clip(0, 1) ** 0.95 * steps).round() / steps * (1 - 0.4 * line)
    return _image(values).resize((width, height), Image.Resampling.NEAREST)
