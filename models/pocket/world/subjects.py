"""The subjects: each function draws one thing with a pen, about one unit tall.

Every function takes the pen, the tones to use and a pose, and stands on y = 0.
"""

from __future__ import annotations

from typing import Callable

from .canvas import Pen
from .palette import INK, WHITE, Tones, mix

EYE = (30, 26, 44)


def _eyes(pen: Pen, x: float, y: float, gap: float, r: float) -> None:
    """A pair of round eyes with a glint."""
    for side in (-1, 1):
        pen.oval(x + side * gap, y, r * 1.15, r * 1.3, WHITE, solid=False)
        pen.oval(x + side * gap, y, r * 0.8, r, EYE, solid=False, glow=True)
        pen.oval(x + side * gap - r * 0.25, y - r * 0.4, r * 0.28, r * 0.28, WHITE, solid=False)


def _cat_head(pen: Pen, t: Tones, x: float, y: float, s: float) -> None:
    inner = mix(t.light, (240, 130, 150), 0.5)
    for side in (-1, 1):
        pen.poly([(x + side * 0.26 * s, y - 0.02 * s), (x + side * 0.25 * s, y - 0.42 * s), (x + side * 0.03 * s, y - 0.2 * s)], t.base)
        pen.poly([(x + side * 0.22 * s, y - 0.1 * s), (x + side * 0.22 * s, y - 0.33 * s), (x + side * 0.1 * s, y - 0.2 * s)], inner, solid=False)
    pen.oval(x, y, 0.29 * s, 0.25 * s, t.base)
    pen.oval(x, y + 0.1 * s, 0.14 * s, 0.1 * s, t.light, solid=False)
    _eyes(pen, x, y - 0.02 * s, 0.12 * s, 0.06 * s)
    pen.poly([(x - 0.035 * s, y + 0.05 * s), (x + 0.035 * s, y + 0.05 * s), (x, y + 0.09 * s)], (222, 96, 116), solid=False)
    for side in (-1, 1):
        for dy in (0.0, 0.06):
            pen.limb([(x + side * 0.12 * s, y + (0.08 + dy * 0.5) * s), (x + side * 0.36 * s, y + (0.05 + dy) * s)], 0.012 * s, 0.008 * s, t.light, solid=False)


def _dog_head(pen: Pen, t: Tones, x: float, y: float, s: float) -> None:
    pen.oval(x, y, 0.26 * s, 0.26 * s, t.base)
    for side in (-1, 1):
        pen.blob([(x + side * 0.14 * s, y - 0.24 * s), (x + side * 0.3 * s, y - 0.18 * s), (x + side * 0.37 * s, y + 0.1 * s), (x + side * 0.28 * s, y + 0.2 * s), (x + side * 0.2 * s, y + 0.0 * s)], t.dark)
    _eyes(pen, x, y - 0.05 * s, 0.1 * s, 0.052 * s)
    pen.oval(x, y + 0.12 * s, 0.155 * s, 0.125 * s, t.light, solid=False)
    pen.oval(x, y + 0.22 * s, 0.045 * s, 0.07 * s, (232, 92, 110), solid=False)
    pen.oval(x, y + 0.15 * s, 0.1 * s, 0.07 * s, t.light, solid=False)
    pen.oval(x, y + 0.06 * s, 0.065 * s, 0.05 * s, EYE, solid=False)


def _pet(pen: Pen, t: Tones, pose: str, head: Callable, tail_up: bool) -> None:
    """Body, limbs and tail shared by cat and dog."""
    if pose == "dancing":
        pen.limb([(0.1, -0.22), (0.34, -0.16), (0.42, -0.36), (0.36, -0.5)], 0.09, 0.06, t.dark)
        pen.limb([(-0.08, -0.2), (-0.1, -0.02)], 0.14, 0.12, t.base)
        pen.limb([(0.1, -0.2), (0.26, -0.14), (0.32, -0.02)], 0.14, 0.11, t.base)
        pen.limb([(-0.12, -0.46), (-0.3, -0.52), (-0.38, -0.72)], 0.12, 0.1, t.base)
        pen.limb([(0.12, -0.46), (0.3, -0.46), (0.42, -0.62)], 0.12, 0.1, t.base)
        pen.blob([(-0.16, -0.2), (-0.17, -0.42), (-0.1, -0.58), (0.1, -0.58), (0.17, -0.42), (0.18, -0.2), (0.0, -0.12)], t.base)
        pen.oval(0, -0.32, 0.1, 0.15, t.light, solid=False)
        head(pen, t, 0.0, -0.7, 0.86)
    elif pose == "sitting":
        pen.limb([(0.18, -0.08), (0.4, -0.06), (0.46, -0.24), (0.38, -0.36)] if tail_up else [(0.2, -0.1), (0.38, -0.16), (0.44, -0.3)], 0.1, 0.06, t.dark)
        pen.blob([(-0.24, -0.02), (-0.27, -0.18), (-0.16, -0.46), (0.0, -0.54), (0.16, -0.46), (0.27, -0.18), (0.24, -0.02)], t.base)
        pen.oval(0, -0.28, 0.11, 0.17, t.light, solid=False)
        for side in (-1, 1):
            pen.oval(side * 0.2, -0.05, 0.12, 0.06, t.dark)
            pen.limb([(side * 0.08, -0.3), (side * 0.08, -0.05)], 0.1, 0.11, t.base)
        head(pen, t, 0.0, -0.64, 0.96)
    else:
        pen.limb([(0.36, -0.4), (0.5, -0.48), (0.52, -0.68), (0.44, -0.8)] if tail_up else [(0.36, -0.4), (0.5, -0.5), (0.54, -0.64)], 0.1, 0.06, t.dark)
        for x, tone in ((-0.14, t.dark), (0.36, t.dark), (-0.26, t.base), (0.26, t.base)):
            pen.limb([(x, -0.3), (x, -0.04)], 0.12, 0.11, tone)
        pen.blob([(-0.34, -0.34), (-0.3, -0.48), (0.0, -0.5), (0.32, -0.49), (0.44, -0.36), (0.38, -0.22), (0.0, -0.19), (-0.28, -0.2)], t.base)
        pen.oval(0.03, -0.25, 0.22, 0.06, t.light, solid=False)
        head(pen, t, -0.3, -0.62, 0.86)


def cat(pen: Pen, t: Tones, pose: str) -> None:
    """A cat with pointed ears and whiskers."""
    _pet(pen, t, pose, _cat_head, tail_up=True)


def dog(pen: Pen, t: Tones, pose: str) -> None:
    """A dog with hanging ears and its tongue out."""
    _pet(pen, t, pose, _dog_head, tail_up=False)


def bird(pen: Pen, t: Tones, pose: str) -> None:
    """A round bird; wings spread when it dances."""
    beak = (246, 166, 52) if t.base[0] < 230 or t.base[2] > 120 else (206, 84, 52)
    for x in (-0.08, 0.08):
        pen.limb([(x, -0.2), (x, -0.02)], 0.04, 0.05, beak)
    pen.poly([(0.2, -0.4), (0.56, -0.52), (0.54, -0.36), (0.24, -0.22)], t.dark)
    pen.blob([(-0.36, -0.62), (-0.22, -0.84), (0.0, -0.8), (0.26, -0.48), (0.3, -0.26), (0.06, -0.12), (-0.22, -0.2), (-0.34, -0.42)], t.base)
    pen.blob([(-0.32, -0.46), (-0.12, -0.44), (0.02, -0.24), (-0.08, -0.14), (-0.24, -0.22)], t.light, solid=False)
    if pose == "dancing":
        pen.blob([(0.0, -0.5), (0.2, -0.72), (0.38, -0.98), (0.42, -0.7), (0.26, -0.4)], t.dark)
        pen.blob([(-0.2, -0.5), (-0.46, -0.6), (-0.62, -0.84), (-0.56, -0.52), (-0.32, -0.38)], t.dark)
    else:
        pen.blob([(-0.04, -0.5), (0.2, -0.5), (0.36, -0.28), (0.12, -0.24)], t.dark)
    pen.poly([(-0.34, -0.7), (-0.54, -0.62), (-0.34, -0.56)], beak)
    pen.oval(-0.2, -0.66, 0.06, 0.065, WHITE, solid=False)
    pen.oval(-0.21, -0.66, 0.038, 0.045, EYE, solid=False, glow=True)


def fish(pen: Pen, t: Tones, pose: str) -> None:
    """A plump fish facing left."""
    pen.poly([(0.26, -0.45), (0.58, -0.74), (0.52, -0.45), (0.58, -0.16)], t.dark)
    pen.blob([(-0.08, -0.68), (0.12, -0.88), (0.22, -0.62)], t.dark)
    pen.blob([(-0.5, -0.44), (-0.3, -0.66), (0.0, -0.72), (0.3, -0.48), (0.3, -0.42), (0.0, -0.18), (-0.3, -0.24)], t.base)
    pen.blob([(-0.44, -0.38), (-0.2, -0.32), (0.16, -0.34), (0.0, -0.21), (-0.28, -0.25)], t.light, solid=False)
    for x in (-0.08, 0.06, 0.18):
        pen.limb([(x, -0.62 + abs(x)), (x + 0.05, -0.46), (x, -0.3)], 0.035, 0.03, t.light, solid=False)
    pen.oval(-0.3, -0.5, 0.075, 0.08, WHITE, solid=False)
    pen.oval(-0.31, -0.5, 0.045, 0.052, EYE, solid=False, glow=True)


def house(pen: Pen, t: Tones, pose: str) -> None:
    """A cottage: coloured walls, contrasting roof, lit windows."""
    glass = (255, 226, 140)
    pen.box(0.2, -0.92, 0.32, -0.6, t.dark)
    pen.box(-0.4, -0.52, 0.4, 0.0, t.base)
    pen.poly([(-0.4, -0.52), (-0.3, -0.52), (-0.3, 0), (-0.4, 0)], t.light, solid=False)
    pen.poly([(-0.52, -0.5), (0.0, -0.96), (0.52, -0.5)], t.accent)
    pen.box(-0.09, -0.3, 0.09, 0.0, t.dark)
    pen.oval(0.05, -0.14, 0.02, 0.02, glass, solid=False)
    for x in (-0.25, 0.25):
        pen.box(x - 0.095, -0.4, x + 0.095, -0.2, WHITE, solid=False)
        pen.box(x - 0.07, -0.375, x + 0.07, -0.225, glass, solid=False, glow=True)
    pen.oval(0, -0.66, 0.075, 0.075, WHITE, solid=False)
    pen.oval(0, -0.66, 0.052, 0.052, glass, solid=False, glow=True)


def boat(pen: Pen, t: Tones, pose: str) -> None:
    """A sailing boat with two sails."""
    cream = (250, 244, 228)
    pen.limb([(-0.02, -0.98), (-0.02, -0.2)], 0.035, 0.045, (128, 88, 58))
    pen.blob([(0.02, -0.94), (0.24, -0.66), (0.42, -0.3), (0.2, -0.27), (0.03, -0.28)], cream)
    pen.poly([(-0.06, -0.88), (-0.06, -0.28), (-0.38, -0.28)], t.light)
    pen.poly([(-0.02, -0.99), (0.16, -0.94), (-0.02, -0.89)], t.accent)
    pen.poly([(-0.52, -0.22), (0.54, -0.22), (0.36, 0.02), (-0.34, 0.02)], t.base)
    pen.poly([(-0.52, -0.22), (0.54, -0.22), (0.51, -0.17), (-0.48, -0.17)], t.light, solid=False)


def battleship(pen: Pen, t: Tones, pose: str) -> None:
    """A warship: long hull, stepped bridge, gun turrets, funnel and mast."""
    glass = (255, 226, 140)
    pen.limb([(0.02, -0.92), (0.02, -0.5)], 0.025, 0.035, t.dark)
    pen.limb([(-0.1, -0.8), (0.14, -0.8)], 0.025, 0.025, t.dark)
    pen.poly([(0.2, -0.64), (0.34, -0.64), (0.36, -0.34), (0.18, -0.34)], t.dark)
    pen.box(0.2, -0.6, 0.345, -0.55, t.accent, solid=False, glow=True)
    pen.box(-0.1, -0.68, 0.12, -0.3, t.light)
    pen.box(-0.22, -0.44, 0.42, -0.24, t.base)
    for x, side in ((-0.38, -1), (0.54, 1)):
        pen.limb([(x, -0.35), (x + side * 0.26, -0.43)], 0.04, 0.032, t.dark)
        pen.blob([(x - 0.1, -0.24), (x - 0.09, -0.36), (x + 0.09, -0.36), (x + 0.1, -0.24)], t.light)
    pen.poly([(-0.74, -0.27), (0.74, -0.25), (0.62, 0.02), (-0.56, 0.02)], t.base)
    pen.poly([(-0.62, -0.08), (0.665, -0.08), (0.62, 0.02), (-0.56, 0.02)], t.accent, solid=False)
    pen.box(-0.08, -0.62, 0.1, -0.56, glass, solid=False, glow=True)
    for x in (-0.4, -0.2, 0.0, 0.2, 0.4):
        pen.oval(x, -0.165, 0.027, 0.027, glass, solid=False, glow=True)


def tree(pen: Pen, t: Tones, pose: str) -> None:
    """A leafy tree; the colour is that of the leaves."""
    trunk = (122, 82, 56)
    pen.poly([(-0.08, 0.0), (-0.05, -0.45), (0.05, -0.45), (0.08, 0.0)], trunk)
    pen.limb([(0.02, -0.3), (0.16, -0.46)], 0.05, 0.03, trunk)
    for x, y, r, tone in ((0.2, -0.5, 0.21, t.dark), (-0.2, -0.52, 0.22, t.dark), (0.0, -0.72, 0.26, t.base), (0.12, -0.58, 0.2, t.base), (-0.12, -0.58, 0.2, t.base)):
        pen.oval(x, y, r, r * 0.95, tone)
    pen.oval(-0.09, -0.78, 0.1, 0.08, t.light, solid=False)
    for x, y in ((-0.2, -0.5), (0.18, -0.52), (0.06, -0.66)):
        pen.oval(x, y, 0.035, 0.035, t.accent, solid=False, glow=True)


def rocket(pen: Pen, t: Tones, pose: str) -> None:
    """A rocket with a porthole, fins and a flame."""
    pen.blob([(-0.09, -0.18), (0.0, 0.04), (0.09, -0.18)], (255, 150, 50), solid=False)
    pen.blob([(-0.05, -0.18), (0.0, -0.05), (0.05, -0.18)], (255, 232, 130), solid=False)
    for side in (-1, 1):
        pen.poly([(side * 0.13, -0.42), (side * 0.32, -0.14), (side * 0.3, -0.06), (side * 0.1, -0.2)], t.accent)
    pen.blob([(0.0, -1.0), (0.15, -0.74), (0.19, -0.48), (0.12, -0.18), (-0.12, -0.18), (-0.19, -0.48), (-0.15, -0.74)], t.base)
    pen.blob([(0.0, -1.0), (0.1, -0.86), (0.13, -0.76), (-0.13, -0.76), (-0.1, -0.86)], t.accent, solid=False)
    pen.blob([(-0.12, -0.7), (-0.07, -0.7), (-0.09, -0.45), (-0.06, -0.24), (-0.12, -0.24), (-0.16, -0.48)], t.light, solid=False)
    pen.oval(0.01, -0.56, 0.1, 0.1, t.dark, solid=False)
    pen.oval(0.01, -0.56, 0.072, 0.072, (160, 222, 244), solid=False, glow=True)
    pen.poly([(-0.03, -0.34), (0.03, -0.34), (0.03, -0.1), (-0.03, -0.1)], t.dark)


def car(pen: Pen, t: Tones, pose: str) -> None:
    """A small car seen from the side."""
    glass = (178, 224, 240)
    pen.blob([(-0.36, -0.34), (-0.24, -0.62), (0.0, -0.68), (0.22, -0.6), (0.36, -0.34)], t.base)
    pen.poly([(-0.27, -0.36), (-0.18, -0.56), (-0.03, -0.59), (-0.03, -0.36)], glass, solid=False)
    pen.poly([(0.03, -0.36), (0.03, -0.59), (0.17, -0.54), (0.27, -0.36)], glass, solid=False)
    pen.blob([(-0.62, -0.16), (-0.6, -0.32), (-0.3, -0.38), (0.3, -0.39), (0.58, -0.33), (0.62, -0.16), (0.5, -0.1), (-0.5, -0.1)], t.base)
    pen.box(-0.54, -0.23, 0.54, -0.19, t.light, solid=False)
    pen.oval(-0.57, -0.26, 0.045, 0.045, (255, 236, 150), solid=False, glow=True)
    pen.oval(0.58, -0.26, 0.035, 0.04, (226, 60, 60), solid=False, glow=True)
    for x in (-0.34, 0.34):
        pen.oval(x, -0.12, 0.14, 0.14, (44, 42, 54))
        pen.oval(x, -0.12, 0.07, 0.07, (206, 208, 214), solid=False)


def ball(pen: Pen, t: Tones, pose: str) -> None:
    """A beach ball with a stripe."""
    pen.oval(0, -0.4, 0.4, 0.4, t.base)
    pen.blob([(-0.34, -0.6), (0.0, -0.48), (0.34, -0.6), (0.39, -0.42), (0.0, -0.28), (-0.39, -0.42)], WHITE, solid=False)
    pen.blob([(-0.24, -0.1), (0.0, -0.16), (0.24, -0.1), (0.0, -0.02)], t.dark, solid=False)
    pen.oval(-0.14, -0.64, 0.09, 0.06, t.light, turn=-0.5, solid=False)


def star(pen: Pen, t: Tones, pose: str) -> None:
    """A smiling five-pointed star."""
    import math

    points = []
    for k in range(10):
        r, a = (0.5 if k % 2 == 0 else 0.24), math.pi * (k / 5 - 0.5)
        points.append((r * math.cos(a), -0.46 + r * math.sin(a)))
    pen.poly(points, t.base)
    pen.poly([(x * 0.72, -0.46 + (y + 0.46) * 0.72) for x, y in points], t.light, solid=False)
    _eyes(pen, 0, -0.48, 0.085, 0.045)
    pen.limb([(-0.07, -0.38), (0.0, -0.34), (0.07, -0.38)], 0.03, 0.03, INK, solid=False)


def sofa(pen: Pen, t: Tones, pose: str) -> None:
    """A wide two-seat sofa."""
    for x in (-0.6, 0.6):
        pen.box(x - 0.04, -0.08, x + 0.04, 0.0, (104, 72, 50))
    pen.blob([(-0.64, -0.1), (-0.66, -0.56), (-0.5, -0.68), (0.0, -0.7), (0.5, -0.68), (0.66, -0.56), (0.64, -0.1)], t.dark)
    for x in (-0.28, 0.28):
        pen.blob([(x - 0.27, -0.26), (x - 0.27, -0.56), (x, -0.62), (x + 0.27, -0.56), (x + 0.27, -0.26)], t.base)
    pen.box(-0.6, -0.3, 0.6, -0.08, t.base)
    pen.box(-0.6, -0.3, 0.6, -0.24, t.light, solid=False)
    pen.box(-0.012, -0.3, 0.012, -0.1, t.dark, solid=False)
    for side in (-1, 1):
        pen.blob([(side * 0.56, -0.07), (side * 0.55, -0.4), (side * 0.64, -0.48), (side * 0.76, -0.4), (side * 0.76, -0.07)], t.light)


def robot(pen: Pen, t: Tones, pose: str) -> None:
    """A boxy robot with an antenna and lit eyes."""
    lamp = (120, 240, 232)
    up = pose == "dancing"
    seat = pose == "sitting"
    for side in (-1, 1):
        if seat:
            pen.limb([(side * 0.12, -0.14), (side * 0.3, -0.06)], 0.12, 0.12, t.dark)
        elif up and side > 0:
            pen.limb([(0.1, -0.24), (0.26, -0.18), (0.32, -0.04)], 0.1, 0.12, t.dark)
        else:
            pen.limb([(side * 0.12, -0.24), (side * 0.12, -0.04)], 0.1, 0.14, t.dark)
        hand = (side * 0.42, -0.76 if up else -0.26)
        pen.limb([(side * 0.22, -0.5), (side * 0.38, -0.54 if up else -0.42), hand], 0.09, 0.08, t.dark)
        pen.oval(*hand, 0.06, 0.06, t.light)
    y = 0.1 if seat else 0.0
    pen.box(-0.24, -0.58 + y, 0.24, -0.2 + y, t.base)
    pen.box(-0.14, -0.48 + y, 0.14, -0.32 + y, t.dark, solid=False)
    pen.oval(-0.06, -0.4 + y, 0.035, 0.035, t.accent, solid=False, glow=True)
    pen.oval(0.06, -0.4 + y, 0.035, 0.035, lamp, solid=False, glow=True)
    pen.limb([(0, -0.9 + y), (0, -1.0 + y)], 0.03, 0.03, t.dark)
    pen.oval(0, -1.02 + y, 0.045, 0.045, t.accent, glow=True)
    pen.blob([(-0.22, -0.62 + y), (-0.23, -0.86 + y), (-0.1, -0.92 + y), (0.1, -0.92 + y), (0.23, -0.86 + y), (0.22, -0.62 + y)], t.light)
    pen.box(-0.17, -0.84 + y, 0.17, -0.7 + y, INK, solid=False)
    for x in (-0.085, 0.085):
        pen.oval(x, -0.77 + y, 0.045, 0.045, lamp, solid=False, glow=True)


def flower(pen: Pen, t: Tones, pose: str) -> None:
    """A tall flower with round petals and two leaves."""
    import math

    stem = (72, 142, 78)
    pen.limb([(0.0, 0.0), (0.04, -0.3), (0.0, -0.6)], 0.06, 0.05, stem)
    pen.blob([(0.02, -0.1), (0.16, -0.3), (0.36, -0.34), (0.24, -0.16)], stem)
    pen.blob([(0.02, -0.18), (-0.12, -0.38), (-0.34, -0.42), (-0.2, -0.22)], mix(stem, INK, 0.2))
    for k in range(7):
        a = 2 * math.pi * k / 7 - math.pi / 2
        pen.oval(0.21 * math.cos(a), -0.68 + 0.21 * math.sin(a), 0.15, 0.1, t.base, turn=a)
    pen.oval(0, -0.68, 0.2, 0.2, t.light, solid=False)
    pen.oval(0, -0.68, 0.13, 0.13, t.accent, solid=False, glow=True)


SUBJECTS: dict[str, Callable[[Pen, Tones, str], None]] = {
    f.__name__: f
    for f in (cat, dog, bird, fish, house, boat, battleship, tree, rocket, car, ball, star, sofa, robot, flower)
}
POSABLE = ("cat", "dog", "robot", "bird")
AFLOAT = ("boat", "battleship", "fish")
WIDE = ("battleship", "sofa", "car")
