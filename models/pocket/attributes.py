"""Heads that read a scene's attributes from the text encoder's states.

Learning words through the denoising loss alone is slow. CLIP's text encoder has seen
pictures before a denoiser meets it; ours gets its head start from what a caption says of
its scene: the states behind the last word must tell the subject, its colour and so on.
The heads are only used in training. What a caption leaves unsaid stays uncertain, which
costs the heads, not the denoiser.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from world.palette import COLOURS
from world.scene import FAR, GROUNDS, SKIES, WEATHERS
from world.subjects import SUBJECTS

VALUES: dict[str, tuple] = {
    "subject": (None, *SUBJECTS),
    "count": (1, 2),
    "colour": tuple(COLOURS),
    "pose": ("standing", "sitting", "dancing"),
    "on_sofa": (False, True),
    "sofa_colour": tuple(COLOURS),
    "sky": (*SKIES, "space"),
    "far": FAR,
    "ground": (*GROUNDS, "room", "moon"),
    "weather": WEATHERS,
    "neon": (False, True),
}


def labels_of(scenes: list[dict]) -> np.ndarray:
    """Class numbers ``[scenes, attributes]``; -1 where an attribute has no bearing on the picture."""
    out = np.empty((len(scenes), len(VALUES)), np.int64)
    for row, scene in zip(out, scenes):
        row[:] = [values.index(scene[name]) for name, values in VALUES.items()]
        if scene["subject"] is None:
            row[[list(VALUES).index(n) for n in ("count", "colour", "pose")]] = -1
        if not scene["on_sofa"]:
            row[list(VALUES).index("sofa_colour")] = -1
    return out


class AttributeHeads(torch.nn.Module):
    """One linear layer for all attributes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sizes = [len(values) for values in VALUES.values()]
        self.read = torch.nn.Linear(width, sum(self.sizes))

    def loss(self, states: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean cross entropy, from ``states [n, width]`` and ``labels [n, attributes]``."""
        scores = self.read(states.float()).split(self.sizes, dim=1)
        each = [F.cross_entropy(s, labels[:, k], ignore_index=-1, reduction="sum") for k, s in enumerate(scores)]
        return torch.stack(each).sum() / (labels >= 0).sum().clamp(min=1)
