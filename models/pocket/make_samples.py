"""Draw the sample pictures that ship with the server: many sizes, shapes and file formats.

    python make_samples.py --out samples
"""

from __future__ import annotations

import argparse
import struct
import zlib
from pathlib import Path
from typing import Callable

import numpy as np
from PIL import Image

from world import Scene, draw_scene
from world.canvas import Canvas, Pen
from world.palette import COLOURS, Tones
from world.styles import STYLES, put_paper
from world.subjects import SUBJECTS


def scene(width: int, height: int, seed: int, **attributes) -> Image.Image:
    """A large picture of a scene."""
    return draw_scene(Scene(**attributes), np.random.default_rng(seed), width, height, oversample=3)


def sticker(name: str, colour: str, accent: str, side: int) -> Image.Image:
    """One subject on a transparent ground (alpha from a black and a white rendering)."""
    pen = Pen()
    SUBJECTS[name](pen, Tones.of(COLOURS[colour], COLOURS[accent]), "standing")
    layers = []
    for ground in ((0, 0, 0), (255, 255, 255)):
        canvas = Canvas(side, side, 3)
        canvas.backdrop([ground, ground])
        put_paper(canvas, pen.placed(0.5, 0.92, 0.86), STYLES["paper"], (255, 255, 255), 0.0)
        layers.append(np.asarray(canvas.finish(), np.float32))
    dark, light = layers
    alpha = np.clip(255 - (light - dark).mean(2), 0, 255)
    colour_at = np.clip(dark / np.maximum(alpha[..., None], 1) * 255, 0, 255)
    return Image.fromarray(np.dstack([colour_at, alpha]).round().astype(np.uint8), "RGBA")


def save_png16(image: Image.Image, path: Path) -> None:
    """A 16-bit RGB PNG (Pillow has no writer for one)."""
    pixels = np.asarray(image.convert("RGB"), np.uint16) * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E731
    head = struct.pack(">IIBBBBB", image.width, image.height, 16, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def save_turned(image: Image.Image, path: Path) -> None:
    """A JPEG stored on its side, with the EXIF tag that says so (orientation 6)."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image.transpose(Image.Transpose.ROTATE_90).save(path, quality=86, exif=exif)


def jpeg(quality: int = 86, **options) -> Callable[[Image.Image, Path], None]:
    """A JPEG writer."""
    return lambda image, path: image.save(path, quality=quality, **options)


def plain(image: Image.Image, path: Path) -> None:
    """Save in the format of the suffix."""
    image.save(path, optimize=True) if path.suffix == ".png" else image.save(path)


def palette(image: Image.Image, path: Path) -> None:
    """Save with a palette of at most 128 colours."""
    image.quantize(128, dither=Image.Dither.NONE).save(path)


SAMPLES: dict[str, tuple[Callable[[], Image.Image], Callable[[Image.Image, Path], None]]] = {
    "cat-in-the-rain.jpg": (lambda: scene(768, 768, 3, subject="cat", colour="orange", pose="dancing", ground="street", far="city", weather="rain"), jpeg()),
    "cyberpunk-battleship.webp": (lambda: scene(1024, 576, 4, subject="battleship", colour="teal", ground="sea", far="city", sky="night", neon=True, weather="moon"), lambda i, p: i.save(p, quality=84)),
    "dogs-on-a-sofa.jpg": (lambda: scene(1024, 768, 5, subject="dog", count=2, colour="brown", pose="sitting", on_sofa=True, sofa_colour="teal", ground="room"), jpeg()),
    "sea-and-mountains.webp": (lambda: scene(1024, 512, 6, subject=None, ground="sea", far="mountains", sky="sunset", weather="sun"), lambda i, p: i.save(p, quality=84)),
    "dancing-robot.png": (lambda: scene(512, 512, 7, subject="robot", colour="grey", pose="dancing", ground="moon", sky="space", weather="stars"), plain),
    "rocket-on-the-moon.png": (lambda: scene(512, 768, 8, subject="rocket", colour="red", ground="moon", sky="space", weather="stars"), palette),
    "little-house-in-snow.gif": (lambda: scene(400, 300, 9, subject="house", colour="yellow", ground="snow", far="mountains", weather="snow"), palette),
    "star-sticker.png": (lambda: sticker("star", "yellow", "orange", 512), plain),
    "foggy-forest-grey.png": (lambda: scene(640, 480, 11, subject=None, ground="meadow", far="forest", sky="fog").convert("L"), plain),
    "desert-at-sunset-16bit.png": (lambda: scene(320, 256, 12, subject=None, ground="desert", far="mountains", sky="sunset", weather="sun"), save_png16),
    "sailing-boat-turned.jpg": (lambda: scene(512, 768, 13, subject="boat", colour="red", ground="sea", far="hills", weather="clouds"), save_turned),
    "red-car-print.jpg": (lambda: scene(640, 480, 14, subject="car", colour="red", ground="street", far="city", weather="clouds").convert("CMYK"), jpeg(82)),
    "fish.bmp": (lambda: scene(256, 256, 15, subject="fish", colour="orange", ground="sea", far="hills"), palette),
    "blue-bird.webp": (lambda: scene(512, 896, 16, subject="bird", colour="blue", ground="meadow", far="forest", weather="sun"), lambda i, p: i.save(p, lossless=False, quality=84)),
    "city-at-night.jpg": (lambda: scene(960, 640, 17, subject=None, ground="street", far="city", sky="night", weather="moon"), jpeg()),
    "flower-meadow.png": (lambda: scene(384, 512, 18, subject="flower", colour="pink", ground="meadow", far="hills", weather="sun"), plain),
    "kitten-in-the-evening.jpg": (lambda: scene(576, 1024, 19, subject="cat", colour="grey", pose="sitting", ground="meadow", far="mountains", sky="sunset", weather="sun"), jpeg(86, progressive=True)),
}


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=Path, default=Path("samples"))
    args = ap.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, (draw, save) in SAMPLES.items():
        save(draw(), args.out / name)
    sizes = {p.name: p.stat().st_size for p in sorted(args.out.iterdir())}
    for name, size in sizes.items():
        print(f"{size:>8}  {name}")
    print(f"{sum(sizes.values()):>8}  in {len(sizes)} files")


if __name__ == "__main__":
    main()
