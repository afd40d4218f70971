"""Choose the thread count that is fastest right now.

When another program keeps a core busy, two threads wait for each other and are
slower than one; when the machine is idle, two are nearly twice as fast.
"""

from __future__ import annotations

import os
import time

import torch


class Pace:
    """Call ``tick()`` after each step: it probes thread counts now and then and keeps the best."""

    def __init__(self, every: float = 45.0, probe: int = 2) -> None:
        self.options = sorted({1, min(2, os.cpu_count() or 1), min(4, os.cpu_count() or 1)})
        self.every, self.probe = every, probe
        self.queue: list[int] = []
        self.costs: dict[int, list[float]] = {}
        self.chosen = self.options[-1]
        self.next_probe = 0.0
        self.last = time.time()
        torch.set_num_threads(self.chosen)

    def tick(self) -> None:
        """Note how long the step took and pick the threads for the next one."""
        now = time.time()
        took, self.last = now - self.last, now
        if self.queue:
            self.costs.setdefault(self.queue.pop(0), []).append(took)
            if not self.queue:
                self.chosen = min(self.costs, key=lambda n: sum(self.costs[n]))
                self.next_probe = now + self.every
        elif now >= self.next_probe and len(self.options) > 1:
            self.costs = {}
            self.queue = [n for n in self.options for _ in range(self.probe)]
        torch.set_num_threads(self.queue[0] if self.queue else self.chosen)
