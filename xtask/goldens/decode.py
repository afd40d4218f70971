"""Image files as clients send them, and the RGB pixels in them: turned upright and laid over white."""

import io
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from common import out_dir, save_json, save_tensors

ORIENTATION = 0x0112


def picture(width: int = 24, height: int = 16) -> np.ndarray:
    """A gradient with a disc off the centre: no two orientations look alike."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = [40 + 180 * across / (width - 1), 30 + 200 * down / (height - 1), 128 + 90 * np.sin(across / 5)]
    picture = np.stack(planes, axis=-1)
    picture[(across - 0.7 * width) ** 2 + (down - 0.3 * height) ** 2 < 12] = [210, 50, 60]
    return np.round(picture).astype(np.uint8)


def alpha(width: int = 24, height: int = 16) -> np.ndarray:
    """Every degree of opacity, from none on the left to full on the right."""
    return np.broadcast_to(np.round(np.linspace(0, 255, width)).astype(np.uint8), (height, width))


def deep(channels: int, width: int = 24, height: int = 16) -> np.ndarray:
    """16-bit values all over the range."""
    values = np.random.Generator(np.random.PCG64(channels)).integers(0, 65536, (height, width, channels))
    values[0, :4] = np.array([0, 255, 65280, 65535])[:, None]
    return values.astype(np.uint16)


def over_white(colour: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """8-bit compositing: (a·c + (255 - a)·255) / 255, rounded."""
    a = opacity.astype(np.int64)[..., None]
    return ((2 * (a * colour + (255 - a) * 255) + 255) // 510).astype(np.uint8)


def expected(data: bytes) -> np.ndarray:
    """What Pillow reads: the first frame, upright, RGB over white."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode == "CMYK":
        return np.asarray(image.convert("RGB"))
    if image.mode.startswith("I"):
        return np.repeat((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8)[..., None], 3, axis=-1)
    rgba = np.asarray(image.convert("RGBA"))
    return over_white(rgba[..., :3], rgba[..., 3])


def encode(image, kind: str, **options) -> bytes:
    """A file made by Pillow."""
    data = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(data, kind, **options)
    return data.getvalue()


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(pixels: np.ndarray, colour: int, depth: int, size: tuple[int, int] | None = None, more: bytes = b"") -> bytes:
    """A PNG that Pillow does not write. `pixels` holds rows of bytes or of 16-bit values."""
    height, width = pixels.shape[:2]
    rows = pixels.astype(">u2" if depth == 16 else np.uint8).reshape(height, -1)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", *(size or (width, height)), depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), more, chunk(b"IDAT", zlib.compress(body, 9)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def sixteen(values: np.ndarray) -> np.ndarray:
    """16-bit values as RGB over white; a channel is cut to its high byte before it is laid over white."""
    eight = (values >> 8).astype(np.uint8)
    grey = eight.shape[-1] < 3
    colour = np.repeat(eight[..., :1], 3, axis=-1) if grey else eight[..., :3]
    return over_white(colour, eight[..., -1]) if eight.shape[-1] % 2 == 0 else colour


# Largest difference of a channel that two right decoders may show.
EXACT, ROUNDED, TWICE_ROUNDED, JPEG, SUBSAMPLED = 0, 1, 2, 3, 8


def good() -> dict:
    """Name: (file, tolerance, pixels where Pillow's reading is not the measure)."""
    rgb = picture()
    rgba = np.dstack([rgb, alpha()])
    grey = Image.fromarray(rgb).convert("L")
    palette = Image.fromarray(rgb).quantize(16)
    files = {
        "rgb8.png": (encode(rgb, "PNG"), EXACT),
        "rgba8.png": (encode(rgba, "PNG"), ROUNDED),
        "grey8.png": (encode(grey, "PNG"), EXACT),
        "grey1.png": (encode(grey.convert("1"), "PNG"), EXACT),
        "grey-alpha8.png": (encode(Image.merge("LA", (grey, Image.fromarray(alpha()))), "PNG"), ROUNDED),
        "grey-key8.png": (encode(grey.point(lambda value: value & 0xE0), "PNG", transparency=96), EXACT),
        "rgb-key8.png": (encode(np.where(rgb > 127, 255, 0).astype(np.uint8), "PNG", transparency=(255, 0, 0)), EXACT),
        "palette8.png": (encode(Image.fromarray(rgb).quantize(40), "PNG"), EXACT),
        "palette4.png": (encode(palette, "PNG"), EXACT),
        "palette-alpha.png": (encode(palette, "PNG", transparency=bytes(range(0, 256, 16))), ROUNDED),
        "orientation6.png": (encode(rgb, "PNG", exif=exif(6)), EXACT),
        "animated.png": (encode(rgb, "PNG", save_all=True, append_images=[Image.fromarray(255 - rgb)]), EXACT),
        "progressive.jpg": (encode(rgb, "JPEG", quality=90, subsampling=0, progressive=True), JPEG),
        "subsampled.jpg": (encode(rgb, "JPEG", quality=90, subsampling=2), SUBSAMPLED),
        "odd-size.jpg": (encode(picture(23, 13), "JPEG", quality=90, subsampling=0), JPEG),
        "grey.jpg": (encode(grey, "JPEG", quality=90), JPEG),
        "cmyk.jpg": (encode(Image.fromarray(rgb).convert("CMYK"), "JPEG", quality=95, subsampling=0), JPEG),
        "cmyk-black.jpg": (encode(cmyk(), "JPEG", quality=95, subsampling=0), JPEG),
        "orientation9.jpg": (encode(rgb, "JPEG", quality=90, subsampling=0, exif=exif(9)), JPEG),
        "lossy.webp": (encode(rgb, "WEBP", quality=90), SUBSAMPLED),
        "lossless.webp": (encode(rgb, "WEBP", lossless=True), EXACT),
        "alpha.webp": (encode(rgba, "WEBP", lossless=True, exact=True), ROUNDED),
        "lossy-alpha.webp": (encode(rgba, "WEBP", quality=90, exact=True), SUBSAMPLED),
        "orientation8.webp": (encode(rgb, "WEBP", lossless=True, exif=exif(8)), EXACT),
        "animated.webp": (
            encode(rgb, "WEBP", lossless=True, save_all=True, append_images=[Image.fromarray(255 - rgb)]), EXACT,
        ),
        "one-frame.gif": (encode(palette, "GIF"), EXACT),
        "animated.gif": (encode(palette, "GIF", save_all=True, append_images=[palette.rotate(180)]), EXACT),
        "transparent.gif": (encode(palette, "GIF", transparency=3), EXACT),
        "rgb.bmp": (encode(rgb, "BMP"), EXACT),
        "palette.bmp": (encode(palette, "BMP"), EXACT),
    }
    for orientation in range(1, 9):
        data = encode(rgb, "JPEG", quality=90, subsampling=0, exif=exif(orientation))
        files[f"orientation{orientation}.jpg"] = (data, JPEG)
    cases = {name: (data, tolerance, expected(data)) for name, (data, tolerance) in files.items()}
    for name, colour, channels in [("grey16", 0, 1), ("rgb16", 2, 3), ("grey-alpha16", 4, 2), ("rgba16", 6, 4)]:
        values = deep(channels)
        tolerance = ROUNDED if channels % 2 else TWICE_ROUNDED
        cases[f"{name}.png"] = (png(values, colour, 16), tolerance, sixteen(values))
    return cases


def cmyk() -> Image.Image:
    """Ink amounts of all kinds, black among them."""
    rgb = picture()
    return Image.merge("CMYK", [Image.fromarray(plane) for plane in (*np.moveaxis(rgb // 2, -1, 0), alpha() // 2)])


def broken() -> dict:
    """Name: (file, what is wrong with it)."""
    rgb = picture()
    good_png, good_jpg = encode(rgb, "PNG"), encode(rgb, "JPEG", quality=90)
    good_webp, good_gif = encode(rgb, "WEBP", lossless=True), encode(Image.fromarray(rgb).quantize(16), "GIF")
    good_bmp = encode(rgb, "BMP")
    flipped = bytearray(good_png)
    flipped[18] ^= 1
    garbage = good_png.replace(good_png[good_png.index(b"IDAT") + 4 :][:40], b"\xa5" * 40)
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 20), 9))
    return {
        "empty.png": (b"", "no bytes"),
        "signature.png": (good_png[:8], "nothing but the signature"),
        "truncated.png": (good_png[: len(good_png) // 2], "cut in the middle"),
        "bad-crc.png": (bytes(flipped), "a bit of the header flipped"),
        "garbage.png": (garbage, "image data that is not zlib"),
        "short.png": (png(rgb[:8], 2, 8, size=(24, 16)), "half of the rows"),
        "huge.png": (png(rgb, 2, 8, size=(50_000, 50_000)), "a header of 50,000 x 50,000 pixels"),
        "huge-with-text.png": (png(rgb, 2, 8, size=(50_000, 50_000), more=text), "the same with 1 MiB of text in 1 KiB"),
        "no-pixels.png": (png(rgb, 2, 8, size=(0, 16)), "a width of 0"),
        "truncated.jpg": (good_jpg[:-80], "cut in the middle of its data"),
        "header.jpg": (good_jpg[:180], "cut in its header"),
        "truncated.webp": (good_webp[: len(good_webp) // 2], "cut in the middle"),
        "truncated.gif": (good_gif[: len(good_gif) // 2], "cut in the middle"),
        "truncated.bmp": (good_bmp[: len(good_bmp) // 2], "cut in the middle"),
        "huge.bmp": (good_bmp[:18] + struct.pack("<ii", 60_000, 60_000) + good_bmp[26:], "60,000 x 60,000 pixels"),
        "text.jpg": (b"<!doctype html><title>Not found</title>", "a web page"),
        "picture.svg": (b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>', "a vector image"),
    }


def pillow_says(data: bytes) -> str | None:
    """The error that Pillow raises, or nothing."""
    try:
        Image.open(io.BytesIO(data)).load()
    except Exception as error:  # Pillow raises errors of half a dozen classes
        return f"{type(error).__name__}: {error}".split(" <_io")[0].split(" at 0x")[0]
    return None


def write(folder: Path, name: str, data: bytes) -> str:
    if len(data) > 4096:
        raise SystemExit(f"{name} has {len(data)} bytes")
    (folder / name).write_bytes(data)
    return f"{folder.name}/{name}"


def main() -> None:
    out = out_dir(__doc__)
    folder = out / "decode"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tensors, notes = {}, {"good": [], "broken": []}
    for name, (data, tolerance, pixels) in sorted(good().items()):
        file = write(folder, name, data)
        tensors[name] = pixels
        height, width = pixels.shape[:2]
        notes["good"].append({"file": file, "key": name, "width": width, "height": height, "tolerance": tolerance})
    for name, (data, why) in sorted(broken().items()):
        name = f"broken-{name}"
        notes["broken"].append({"file": write(folder, name, data), "why": why, "pillow": pillow_says(data)})
    save_tensors(out / "decode.safetensors", tensors)
    save_json(out / "decode.json", notes)


if __name__ == "__main__":
    main()
