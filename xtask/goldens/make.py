"""Make all goldens: `python make.py --out ../../crates/engine/tests/goldens [part …]`."""

import argparse
import subprocess
import sys
from pathlib import Path

# `models` comes first: the other parts load the folders it writes.
PARTS = ["models", "modules", "images", "inpaint", "resize", "decode", "schedulers", "a1111"]


def main() -> None:
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the goldens")
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)} (default: all)")
    args = parser.parse_args()
    for part in args.parts or PARTS:
        script = here / f"{part}.py"
        if not script.exists():
            if part in args.parts:
                parser.error(f"no part named {part}")
            continue
        print(f"{part} …", flush=True)
        command = [sys.executable, "-B", str(script), "--out", str(args.out.resolve())]
        subprocess.run(command, check=True, cwd=here)


if __name__ == "__main__":
    main()
