"""The demo models: what each is and how it is trained."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One model. Times are what two processor cores need when nothing else runs."""

    family: str
    style: str
    start: str | None  # the model whose weights it begins with
    minutes: float
    small_minutes: float = 0.0  # how much of that on half-size pictures
    text_steps: int = 0
    lr: float = 1.2e-3
    trajectories: int = 0  # of its start's, where it is distilled from that


MODELS: dict[str, Recipe] = {
    "pocket-paper-sd1": Recipe("sd1", "paper", None, 240, 90, 3000),
    "pocket-watercolour-sd1": Recipe("sd1", "watercolour", "pocket-paper-sd1", 18, lr=8e-4),
    "pocket-neon-sd2": Recipe("sd2", "neon", "pocket-paper-sd1", 40, text_steps=800, lr=8e-4),
    "pocket-pixel-sd2": Recipe("sd2", "pixel", "pocket-neon-sd2", 18, lr=8e-4),
    "pocket-paper-lightning": Recipe("sd1", "paper", "pocket-paper-sd1", 63, lr=5e-4, trajectories=4000),
}
