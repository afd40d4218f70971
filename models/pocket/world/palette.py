"""Colours: named subject colours, small colour helpers and time-of-day moods."""

from __future__ import annotations

from dataclasses import dataclass

RGB = tuple[int, int, int]

COLOURS: dict[str, RGB] = {
    "red": (214, 62, 58),
    "orange": (240, 138, 48),
    "yellow": (246, 202, 72),
    "green": (92, 168, 84),
    "teal": (48, 160, 160),
    "blue": (62, 112, 206),
    "purple": (136, 88, 190),
    "pink": (238, 132, 168),
    "white": (244, 240, 232),
    "black": (52, 50, 62),
    "grey": (146, 150, 160),
    "brown": (150, 100, 64),
}

NEON: dict[str, RGB] = {
    "red": (255, 66, 84),
    "orange": (255, 154, 60),
    "yellow": (255, 236, 92),
    "green": (92, 255, 140),
    "teal": (60, 246, 236),
    "blue": (84, 150, 255),
    "purple": (186, 104, 255),
    "pink": (255, 92, 206),
    "white": (236, 244, 255),
    "black": (120, 110, 170),
    "grey": (176, 190, 214),
    "brown": (228, 150, 96),
}


def mix(a: RGB, b: RGB, t: float) -> RGB:
    """Blend ``a`` towards ``b`` by ``t`` in 0..1."""
    return tuple(int(round(x + (y - x) * t)) for x, y in zip(a, b))  # type: ignore[return-value]


WHITE: RGB = (255, 255, 255)
INK: RGB = (34, 30, 52)


@dataclass(frozen=True)
class Tones:
    """The handful of related colours one subject is drawn with."""

    base: RGB
    light: RGB
    dark: RGB
    accent: RGB

    @staticmethod
    def of(base: RGB, accent: RGB) -> "Tones":
        """Derive light and dark tones from a base colour."""
        return Tones(base, mix(base, (255, 250, 232), 0.38), mix(base, INK, 0.34), accent)


@dataclass(frozen=True)
class Mood:
    """What a time of day does to the whole picture."""

    sky: tuple[RGB, RGB, RGB]
    tint: RGB
    strength: float


MOODS: dict[str, tuple[Mood, ...]] = {
    "day": (
        Mood(((84, 162, 226), (150, 206, 240), (226, 240, 238)), (255, 255, 255), 0.0),
        Mood(((104, 190, 220), (172, 224, 228), (246, 240, 214)), (255, 250, 230), 0.05),
    ),
    "sunset": (
        Mood(((104, 72, 146), (236, 116, 106), (255, 202, 116)), (176, 72, 84), 0.28),
        Mood(((70, 84, 158), (240, 140, 132), (255, 216, 156)), (150, 70, 110), 0.28),
    ),
    "night": (
        Mood(((16, 20, 58), (34, 48, 104), (74, 92, 150)), (22, 28, 78), 0.52),
        Mood(((14, 26, 52), (26, 62, 102), (64, 112, 142)), (16, 34, 70), 0.52),
    ),
    "space": (
        Mood(((12, 8, 32), (44, 22, 84), (92, 44, 122)), (46, 28, 92), 0.35),
        Mood(((8, 10, 30), (20, 36, 84), (40, 74, 120)), (28, 34, 88), 0.35),
    ),
    "fog": (
        Mood(((184, 194, 202), (208, 214, 216), (228, 230, 226)), (212, 218, 220), 0.5),
    ),
    "neon": (
        Mood(((12, 8, 34), (46, 16, 84), (150, 36, 128)), (26, 10, 60), 0.6),
        Mood(((6, 12, 36), (14, 36, 84), (20, 110, 140)), (10, 20, 60), 0.6),
    ),
}
