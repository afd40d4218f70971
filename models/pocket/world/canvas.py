"""A resolution-independent canvas and a pen that records shapes for a subject.

Canvas coordinates run from 0 to 1 down the picture and from 0 to ``aspect``
across it. A pen works in subject coordinates: the ground is y = 0, the subject
is about one unit tall, x = 0 is its middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable

import numpy as np
from PIL import Image, ImageDraw

from .palette import RGB

Points = np.ndarray


def ellipse_points(cx: float, cy: float, rx: float, ry: float, turn: float = 0.0, n: int = 28) -> Points:
    """Points round an ellipse turned by ``turn`` radians."""
    a = np.linspace(0, 2 * math.pi, n, endpoint=False)
    x, y = rx * np.cos(a), ry * np.sin(a)
    c, s = math.cos(turn), math.sin(turn)
    return np.stack([cx + c * x - s * y, cy + s * x + c * y], 1)


def smooth(points: list[tuple[float, float]], closed: bool = True, steps: int = 6) -> Points:
    """A Catmull-Rom curve through ``points``."""
    p = np.asarray(points, float)
    if closed:
        p = np.concatenate([p[-1:], p, p[:2]])
    else:
        p = np.concatenate([p[:1], p, p[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    out = []
    for i in range(1, len(p) - 2):
        a, b, c, d = p[i - 1], p[i], p[i + 1], p[i + 2]
        out.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    if not closed:
        out.append(p[-2:-1])
    return np.concatenate(out)


def ribbon(line: Points, w0: float, w1: float) -> Points:
    """Outline of a line that tapers from width ``w0`` to ``w1`` with round ends."""
    d = np.gradient(line, axis=0)
    d /= np.maximum(np.linalg.norm(d, axis=1, keepdims=True), 1e-9)
    normal = np.stack([-d[:, 1], d[:, 0]], 1)
    w = np.linspace(w0, w1, len(line))[:, None] / 2
    tip = line[-1:] + d[-1:] * w1 / 2
    tail = line[:1] - d[:1] * w0 / 2
    return np.concatenate([tail, line + normal * w, tip, (line - normal * w)[::-1]])


@dataclass
class Shape:
    """A filled outline; ``solid`` shapes take part in shadows, rims and neon outlines."""

    points: Points
    fill: RGB
    solid: bool = True
    glow: bool = False


class Pen:
    """Records the shapes of one subject in its own coordinates."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []

    def poly(self, points, fill: RGB, solid: bool = True, glow: bool = False) -> None:
        """A straight-edged outline."""
        self.shapes.append(Shape(np.asarray(points, float), fill, solid, glow))

    def blob(self, points, fill: RGB, solid: bool = True) -> None:
        """A smooth closed outline through the points."""
        self.poly(smooth(points), fill, solid)

    def oval(self, cx, cy, rx, ry, fill: RGB, turn: float = 0.0, solid: bool = True, glow: bool = False) -> None:
        """An ellipse."""
        self.poly(ellipse_points(cx, cy, rx, ry, turn), fill, solid, glow)

    def box(self, x0, y0, x1, y1, fill: RGB, solid: bool = True, glow: bool = False) -> None:
        """An upright rectangle."""
        self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, solid, glow)

    def limb(self, points, w0: float, w1: float, fill: RGB, solid: bool = True) -> None:
        """A tapering stroke: legs, tails, masts."""
        line = smooth(points, closed=False) if len(points) > 2 else np.linspace(points[0], points[1], 6)
        self.poly(ribbon(line, w0, w1), fill, solid)

    def placed(self, x: float, y: float, size: float, turn: float = 0.0, flip: bool = False) -> list[Shape]:
        """The recorded shapes in canvas coordinates, standing at (x, y)."""
        c, s = math.cos(turn) * size, math.sin(turn) * size
        out = []
        for shape in self.shapes:
            p = shape.points * (-1, 1) if flip else shape.points
            q = np.stack([x + c * p[:, 0] - s * p[:, 1], y + s * p[:, 0] + c * p[:, 1]], 1)
            out.append(Shape(q, shape.fill, shape.solid, shape.glow))
        return out


class Canvas:
    """A supersampled RGB picture with alpha-blended polygon drawing."""

    def __init__(self, width: int, height: int, oversample: int = 2) -> None:
        self.size = (width, height)
        self.oversample = oversample
        self.w, self.h = width * oversample, height * oversample
        self.aspect = width / height
        self.image = Image.new("RGB", (self.w, self.h))
        self._draw = ImageDraw.Draw(self.image, "RGBA")

    def _px(self, points: Points) -> list[tuple[float, float]]:
        return list(map(tuple, (np.asarray(points, float) * self.h).tolist()))

    def poly(self, points: Points, fill: RGB, alpha: int = 255) -> None:
        """Fill an outline."""
        self._draw.polygon(self._px(points), fill=(*fill, alpha))

    def stroke(self, points: Points, fill: RGB, width: float, alpha: int = 255, closed: bool = True) -> None:
        """Draw along an outline with a width in canvas units."""
        px = self._px(points)
        if closed:
            px += px[:2]
        self._draw.line(px, fill=(*fill, alpha), width=max(1, round(width * self.h)), joint="curve")

    def oval(self, cx: float, cy: float, rx: float, ry: float, fill: RGB, alpha: int = 255) -> None:
        """Fill an upright ellipse."""
        h = self.h
        self._draw.ellipse([(cx - rx) * h, (cy - ry) * h, (cx + rx) * h, (cy + ry) * h], fill=(*fill, alpha))

    def _strip(self, stops: list[RGB], height: int) -> Image.Image:
        at = np.linspace(0, 1, max(height, 2))
        knots = np.linspace(0, 1, len(stops))
        column = np.stack([np.interp(at, knots, [s[i] for s in stops]) for i in range(3)], 1)
        return Image.fromarray(column.round().astype(np.uint8)[:, None])

    def backdrop(self, stops: list[RGB]) -> None:
        """Fill the whole picture with a vertical gradient."""
        self.image.paste(self._strip(stops, self.h).resize((self.w, self.h)))

    def gradient(self, points: Points, top: RGB, bottom: RGB) -> None:
        """Fill an outline with a vertical gradient over its own height."""
        p = np.asarray(points, float) * self.h
        y0 = max(0, int(p[:, 1].min()))
        y1 = min(self.h, int(p[:, 1].max()) + 1)
        if y1 <= y0:
            return
        mask = Image.new("L", (self.w, y1 - y0))
        ImageDraw.Draw(mask).polygon(list(map(tuple, (p - (0, y0)).tolist())), fill=255)
        self.image.paste(self._strip([top, bottom], y1 - y0).resize((self.w, y1 - y0)), (0, y0), mask)

    def finish(self, style: Callable[[Image.Image], Image.Image] | None = None) -> Image.Image:
        """The antialiased picture at its real size; ``style`` is applied before the antialiasing."""
        if style:
            self.image = style(self.image)
        return self.image.reduce(self.oversample) if self.oversample > 1 else self.image


class MaskCanvas(Canvas):
    """Records where something is drawn while ``on`` is set: white on black, nothing else."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height, 1)
        self.image = Image.new("L", (self.w, self.h))
        self._draw = ImageDraw.Draw(self.image)
        self.on = False

    def poly(self, points: Points, fill: RGB, alpha: int = 255) -> None:
        """Mark an outline."""
        if self.on:
            self._draw.polygon(self._px(points), fill=255)

    def stroke(self, points: Points, fill: RGB, width: float, alpha: int = 255, closed: bool = True) -> None:
        """Strokes follow outlines that are marked anyway."""

    def oval(self, cx: float, cy: float, rx: float, ry: float, fill: RGB, alpha: int = 255) -> None:
        """Mark an ellipse."""
        if self.on:
            h = self.h
            self._draw.ellipse([(cx - rx) * h, (cy - ry) * h, (cx + rx) * h, (cy + ry) * h], fill=255)

    def backdrop(self, stops: list[RGB]) -> None:
        """Nothing to mark."""

    def gradient(self, points: Points, top: RGB, bottom: RGB) -> None:
        """Nothing to mark."""
