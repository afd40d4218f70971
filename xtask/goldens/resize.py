"""Pillow's bicubic resizing of 8-bit RGB."""

import numpy as np
from PIL import Image

from common import out_dir, save_json, save_tensors


def noise(name: str, width: int, height: int) -> np.ndarray:
    """Random bytes: every tap and every rounding counts."""
    return np.random.Generator(np.random.PCG64(list(name.encode()))).integers(0, 256, (height, width, 3), dtype=np.uint8)


def gradient(_name: str, width: int, height: int) -> np.ndarray:
    down, across = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [across / max(width - 1, 1), down / max(height - 1, 1), (across + down) / max(width + height - 2, 1)]
    return np.round(255 * np.stack(planes, axis=-1)).astype(np.uint8)


def shapes(_name: str, width: int, height: int) -> np.ndarray:
    """Black and white edges, where bicubic overshoots and has to be clamped."""
    down, across = np.mgrid[0:height, 0:width]
    disc = (across - 0.55 * width) ** 2 + (down - 0.45 * height) ** 2 < (0.3 * min(width, height)) ** 2
    stripes = (across // 3 + down // 5) % 2 == 0
    return np.where(np.stack([disc, stripes, disc ^ stripes], axis=-1), 255, 0).astype(np.uint8)


# Picture, width and height before, width and height after.
CASES = [
    (noise, 16, 16, 16, 16),
    (noise, 8, 8, 16, 16),
    (shapes, 16, 12, 40, 36),
    (noise, 10, 7, 33, 17),
    (gradient, 20, 20, 23, 19),
    (noise, 32, 32, 16, 16),
    (shapes, 64, 48, 24, 24),
    (noise, 64, 64, 5, 3),
    (gradient, 61, 37, 16, 24),
    (noise, 90, 40, 8, 8),
    (shapes, 100, 100, 1, 1),
    (noise, 40, 24, 40, 16),
    (noise, 24, 40, 16, 40),
    (noise, 40, 8, 20, 32),
    (noise, 1, 9, 8, 24),
    (noise, 9, 1, 24, 8),
    (noise, 1, 1, 8, 8),
    (noise, 2, 2, 7, 5),
    (noise, 3, 50, 8, 8),
    (noise, 17, 13, 16, 12),
    (gradient, 48, 48, 47, 49),
]


def main() -> None:
    out = out_dir(__doc__)
    tensors, cases = {}, []
    for index, (picture, width, height, new_width, new_height) in enumerate(CASES):
        name = f"{index:02}.{picture.__name__}.{width}x{height}.to.{new_width}x{new_height}"
        before = picture(name, width, height)
        after = Image.fromarray(before).resize((new_width, new_height), Image.Resampling.BICUBIC)
        tensors |= {f"{name}.input": before, f"{name}.output": np.asarray(after)}
        cases.append({"name": name, "width": width, "height": height, "to_width": new_width, "to_height": new_height})
    save_tensors(out / "resize.safetensors", tensors)
    save_json(out / "resize.json", {"cases": cases})


if __name__ == "__main__":
    main()
