"""What every part shares: the command line, determinism, and how results are written."""

import argparse
import json
import math
import os
import sys
import zlib
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
sys.dont_write_bytecode = True

import numpy as np  # noqa: E402
import torch  # noqa: E402
from safetensors.numpy import save_file  # noqa: E402


def out_dir(description: str) -> Path:
    """Read `--out DIR` and prepare torch so that a re-run gives the same bytes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="folder of the goldens")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_grad_enabled(False)
    quiet()
    return out


def quiet() -> None:
    """Hide the libraries' progress bars and advice."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


def seeded(name: str, seed: int = 0) -> torch.Generator:
    """A generator that depends on a name alone, so that adding one tensor moves no other."""
    return torch.Generator("cpu").manual_seed(zlib.crc32(name.encode()) + (seed << 32))


def randn(name: str, *shape: int) -> torch.Tensor:
    """Gaussian noise that depends on its name and shape alone."""
    return torch.randn(*shape, generator=seeded(name))


def save_tensors(path: Path, tensors: dict) -> None:
    """Write torch or numpy tensors as one safetensors file."""
    arrays = {}
    for name, value in sorted(tensors.items()):
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise SystemExit(f"{path.name}: {name} is not finite")
        arrays[name] = np.ascontiguousarray(array)
    save_file(arrays, str(path))


def save_json(path: Path, value) -> None:
    """Write JSON that is readable in a diff; infinite numbers, which JSON lacks, become strings."""
    path.write_text(json.dumps(finite(value), indent=1, allow_nan=False) + "\n")


def finite(value):
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    return value
