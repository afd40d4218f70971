"""A CLIP-style byte-pair tokenizer trained on our own captions.

The vocabulary is laid out like CLIP's: 256 byte symbols, the same 256 with
``</w>``, the merges in order, then the start and end marks.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path
from typing import Iterable

START, END = "<|startoftext|>", "<|endoftext|>"
_WORDS = re.compile(r"[a-z]+|[0-9]|[^\s\w]+")


def byte_symbols() -> list[str]:
    """One printable character for each byte value, in CLIP's order."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in keep]
    return [chr(b) for b in keep] + [chr(256 + k) for k in range(len(rest))]


def learn_merges(captions: Iterable[str], count: int) -> list[tuple[str, str]]:
    """Byte-pair merges, most frequent pair first (ties by spelling)."""
    words = Counter(w for c in captions for w in _WORDS.findall(c.lower()))
    pieces = {w: [*w[:-1], w[-1] + "</w>"] for w in words if w.isascii()}
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter = Counter()
        for word, parts in pieces.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = max(pairs, key=lambda p: (pairs[p], p))
        merges.append(best)
        for word, parts in pieces.items():
            k = 0
            while k < len(parts) - 1:
                if (parts[k], parts[k + 1]) == best:
                    parts[k : k + 2] = [best[0] + best[1]]
                k += 1
    return merges


def write_tokenizer(folder: Path, captions: Iterable[str], merges: int = 2000) -> int:
    """Train on the captions, write the tokenizer files, return the vocabulary size."""
    learned = learn_merges(captions, merges)
    symbols = byte_symbols()
    tokens = symbols + [s + "</w>" for s in symbols]
    tokens += list(dict.fromkeys(a + b for a, b in learned)) + [START, END]
    folder.mkdir(parents=True, exist_ok=True)
    dump = lambda name, value: (folder / name).write_text(json.dumps(value, ensure_ascii=False, indent=None if name == "vocab.json" else 2) + "\n", encoding="utf-8")  # noqa: E731
    dump("vocab.json", {t: k for k, t in enumerate(tokens)})
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in learned), encoding="utf-8")
    mark = lambda t: {"content": t, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}  # noqa: E731
    special = {"bos_token": mark(START), "eos_token": mark(END), "unk_token": mark(END), "pad_token": END}
    dump("special_tokens_map.json", special)
    dump("tokenizer_config.json", {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True,
        "add_prefix_space": False, "errors": "replace", "bos_token": START, "eos_token": END,
        "unk_token": END, "pad_token": END,
    })
    return len(tokens)


def pad_with(folder: Path, token: str) -> None:
    """Change the token that short prompts are filled up with (Stable Diffusion 2 has "!")."""
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "pad_token": token}, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    from captions_pool import caption_pool

    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--work", type=Path, default=Path("build"))
    args = ap.parse_args()
    print(write_tokenizer(args.work / "tokenizer", (c for row in caption_pool(args.work) for c in row)))


if __name__ == "__main__":
    main()
