"""How recorded shapes are put on a canvas. One ``Style`` per picture family.

A style turns a subject's shapes into pixels and may post-process the finished
picture. New families add an entry to ``STYLES``; nothing else needs to change.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np
from PIL import Image

from . import finishes
from .canvas import Canvas, Shape
from .palette import INK, RGB, WHITE, mix


@dataclass(frozen=True)
class Style:
    """Settings of one look."""

    name: str
    shadow: int = 64  # alpha of the paper shadow
    shadow_shift: tuple[float, float] = (0.014, 0.018)
    rim: float = 0.42  # how much lighter the lit edge is
    rim_shift: float = 0.007
    finish: Callable[[Image.Image, np.random.Generator], Image.Image] | None = None


STYLES: dict[str, Style] = {
    s.name: s
    for s in (
        Style("paper"),
        Style("watercolour", shadow=0, rim=0.25, finish=finishes.watercolour),
        Style("neon", shadow=0, finish=finishes.neon),
        Style("pixel", shadow=0, rim=0.3, finish=finishes.pixel),
    )
}


def put_paper(canvas: Canvas, shapes: list[Shape], style: Style, tint: RGB, strength: float) -> None:
    """Cut paper: a soft drop shadow, a light upper-left edge, flat colour."""
    if style.shadow:
        for s in shapes:
            if s.solid:
                canvas.poly(s.points + style.shadow_shift, INK, style.shadow // 2)
    for s in shapes:
        fill = s.fill if s.glow else mix(s.fill, tint, strength)
        if s.solid and style.rim:
            canvas.poly(s.points, mix(fill, WHITE, style.rim))
            canvas.poly(s.points + style.rim_shift, fill)
        else:
            canvas.poly(s.points, fill)


def put_neon(canvas: Canvas, shapes: list[Shape], glow: RGB, second: RGB) -> None:
    """Neon sign: dark bodies with glowing outlines."""
    solid = [s for s in shapes if s.solid]
    for s in solid:
        canvas.stroke(s.points, glow, 0.04, 50)
    for s in shapes:
        if s.solid:
            canvas.poly(s.points, mix(mix(s.fill, (20, 10, 48), 0.74), glow, 0.1))
            canvas.stroke(s.points, glow, 0.0125)
        elif s.glow:
            canvas.poly(s.points, mix(second, WHITE, 0.25))
        else:
            canvas.poly(s.points, mix(s.fill, (36, 20, 72), 0.55))
