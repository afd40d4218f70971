"""A small CLIP tokenizer: byte-level BPE with `</w>`, trained on a few sentences."""

import json
from collections import Counter
from pathlib import Path

import regex

START, END = "<|startoftext|>", "<|endoftext|>"
SPLIT = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+", regex.IGNORECASE)

CORPUS = """
a photo of a cat. a photograph of an astronaut riding a horse on mars, high quality, detailed.
a painting of a fox sitting in a field at sunrise in the style of claude monet
a watercolor painting of a house by the sea, trending on artstation, 4k, 8k, highly detailed
portrait of a woman with red hair, oil on canvas, soft light, sharp focus, intricate, elegant
the quick brown fox jumps over the lazy dog. it's a dog's life, isn't it? we're here, they'll go
low quality, blurry, bad anatomy, worst quality, watermark, text, jpeg artifacts, deformed
a castle on a hill under a starry night sky, mountains in the background, moonlight, cinematic
a small robot watering flowers in a garden, studio lighting, 3d render, octane, unreal engine
a bowl of fruit on a wooden table, still life, dramatic lighting, photorealistic, 35mm film
an old ship sailing through a storm, waves, lightning, dark clouds, concept art, matte painting
a cute kitten and a puppy playing with a ball of yarn, pastel colors, children's book
isometric view of a cyberpunk city street with neon signs, rain, reflections, night
café, naïve, piñata, jalapeño, Zürich, smörgåsbord, crème brûlée. 猫 犬 東京 写真
"""


def byte_alphabet() -> dict[int, str]:
    """A printable character for each byte: itself where it is printable Latin-1, else one from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {byte: chr(byte) for byte in printable}
    table.update({byte: chr(256 + rank) for rank, byte in enumerate(others)})
    return table


def train(merge_count: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The vocabulary, in CLIP's order of ids, and the merges."""
    alphabet = byte_alphabet()
    words: Counter = Counter()
    for word in SPLIT.findall(CORPUS.lower()):
        letters = [alphabet[byte] for byte in word.encode()]
        letters[-1] += "</w>"
        words[tuple(letters)] += 1

    merges: list[tuple[str, str]] = []
    while len(merges) < merge_count:
        pairs: Counter = Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        if not pairs:
            break
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        merged: Counter = Counter()
        for word, count in words.items():
            merged[merge(word, best)] += count
        words = merged

    tokens = list(alphabet.values())
    tokens += [token + "</w>" for token in tokens]
    tokens += ["".join(pair) for pair in merges]
    tokens += [START, END]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    assert len(vocabulary) == len(tokens)
    return vocabulary, merges


def merge(word: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    """The word with every occurrence of the pair joined, from the left."""
    joined, index = [], 0
    while index < len(word):
        if word[index : index + 2] == pair:
            joined.append(word[index] + word[index + 1])
            index += 2
        else:
            joined.append(word[index])
            index += 1
    return tuple(joined)


def special(text: str, **more) -> dict:
    """A special token as the files of Stable Diffusion declare it."""
    return {**more, "content": text, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}


def save(folder: Path, merge_count: int, pad: str, as_json: bool) -> int:
    """Write a tokenizer folder (vocab.json and merges.txt, or tokenizer.json); returns the vocabulary's size.

    The two files that name the special tokens are as Stable Diffusion's: where they disagree about the
    padding, as those of Stable Diffusion 2 do, special_tokens_map.json is right.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = train(merge_count)
    names = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    tokens = {kind: names[kind] for kind in ["bos_token", "eos_token", "unk_token"]}
    config = {"add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": 77}
    config |= {kind: special(text, __type="AddedToken") for kind, text in tokens.items()}
    config |= {"pad_token": END, "tokenizer_class": "CLIPTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
    declared = {kind: special(text) for kind, text in tokens.items()} | {"pad_token": pad}
    (folder / "special_tokens_map.json").write_text(json.dumps(declared, indent=2) + "\n")
    if as_json:
        from transformers import CLIPTokenizer

        tokenizer = CLIPTokenizer(vocab=vocabulary, merges=merges, **names)
        tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    else:
        lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
        (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        text = json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":"))
        (folder / "vocab.json").write_text(text + "\n", encoding="utf-8")
    return len(vocabulary)
