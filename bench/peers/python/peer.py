"""What the Python peers share: arguments, inputs, timing, and the line of JSON that they print.

`bench/peers/README.md` describes both.
"""

import argparse
import json
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

START = perf_counter()
TASKS = ("unet", "decode", "encode", "text", "image")


def arguments(description: str) -> argparse.ArgumentParser:
    """The arguments that every peer takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", type=Path, required=True, help="diffusers folder")
    parser.add_argument("--inputs", type=Path, required=True, help="folder of inputs")
    parser.add_argument("--output", type=Path, required=True, help="file for the task's result")
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--warm-ups", type=int, default=1, help="runs before those that count")
    parser.add_argument("--repeats", type=int, default=1, help="runs that count")
    return parser


class Inputs:
    """The inputs of all tasks, read when asked for."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.plan = json.loads((folder / "plan.json").read_text())

    def floats(self, name: str, *shape: int) -> np.ndarray:
        return np.fromfile(self.folder / f"{name}.f32", dtype="<f4").reshape(shape)

    @property
    def latents(self) -> np.ndarray:
        return self.floats("latents", 2, 4, 64, 64)

    @property
    def text(self) -> np.ndarray:
        return self.floats("text", 2, 77, -1)

    @property
    def noise(self) -> np.ndarray:
        return self.floats("noise", 1, 4, 64, 64)

    @property
    def picture(self) -> np.ndarray:
        return self.floats("picture", 1, 3, 512, 512)

    @property
    def tokens(self) -> np.ndarray:
        """Of the negative prompt, and of the prompt."""
        return np.array([self.plan["negative_tokens"], self.plan["prompt_tokens"]], dtype=np.int64)


def levels(image: np.ndarray) -> np.ndarray:
    """Values in 0…1 as the levels of 8-bit pixels."""
    return np.rint(np.clip(image, 0, 1) * 255)


def measure(args: argparse.Namespace, version: str, work) -> None:
    """Times `work()`, writes the array that it returns, and prints the figures."""
    load = perf_counter() - START
    seconds, processor = [], []
    for _ in range(args.warm_ups + args.repeats):
        start, used = perf_counter(), process_time()
        result = work()
        seconds.append(perf_counter() - start)
        processor.append(process_time() - used)
    np.ascontiguousarray(result, dtype="<f4").tofile(args.output)
    figures = {
        "version": version,
        "load": load,
        "warm_ups": seconds[: args.warm_ups],
        "seconds": seconds[args.warm_ups :],
        "processor": processor[args.warm_ups :],
        "peak_bytes": peak_bytes(),
    }
    print(json.dumps(figures))


def peak_bytes() -> int | None:
    """The most memory that this process has had resident, where Linux tells."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None
