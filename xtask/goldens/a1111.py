"""What AUTOMATIC1111's prompt syntax makes of prompts for the tiny models: chunks of ids, weights, contexts; and
initial noise mixed with another seed's.

Written from the behaviour that the web UI documents, apart from the engine's code: brackets are found by
recursive descent, and the encoder's layers are run one by one.
"""

import re
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline

from common import out_dir, randn, save_json, save_tensors

CHUNK, BACKTRACK = 75, 20
LONG = ", ".join(["a castle on a hill", "night sky", "sharp focus"] * 6)

# Name, prompt, and layer counted from the last. A prompt that changes comes with its texts, and how many of the
# sections of a run of ten steps each has.
CASES = [
    ("plain", "a photo of a cat", 1),
    ("empty", "", 1),
    ("weights", "[dim [(lamp:1.8)] on], (wet ((stone)) stair:0.6) by (fern, [moss", 1),
    ("escapes", r"a \(fox\) \[of\] (the\\ (sea:1.4), [rain", 1),
    ("negative", "(a dog:-0.5) and (a cat:0)", 1),
    ("skip", "a (photo) of a cat", 2),
    ("first", "a photo of a (cat:1.7)", 3),
    ("long", LONG + ", (rain:1.5), " + LONG, 1),
    ("full", "a " * 75, 1),
    ("spill", "a " * 76, 2),
    ("comma", "a " * 70 + ", b c d e f g h", 1),
    ("commas", "a " * 75 + ", b, c", 1),
    ("far", "a, " + "b " * 90, 1),
    ("break", "a cat BREAK (a dog:1.2) BREAKBREAK", 1),
    ("ended", "a cat <|endoftext|> (a dog:1.3)", 1),
    ("changing", "a [(cat:1.6)|dog|dog]", 1, ("a (cat:1.6)", 4), ("a dog", 6)),
    ("growing", "[a [cat]:(a dog) BREAK (rain:0.7):3]", 2, ("a [cat]", 1), ("(a dog) BREAK (rain:0.7)", 1)),
]


def parts(text: str) -> list:
    """Pairs of text and weight; a break is None."""
    marks = re.findall(r"\\[()\[\]\\]|\\|[()\[\]]|:|[^\\()\[\]:]+", text)

    def group(at: int, closing: str | None) -> tuple[list, int]:
        found = []
        while at < len(marks):
            mark = marks[at]
            number = re.match(r"\s*([-+]?[\d.]+)\s*$", marks[at + 1]) if mark == ":" and at + 2 < len(marks) else None
            if number and closing == ")" and marks[at + 2] == ")":
                return weigh(found, float(number[1])), at + 3
            if mark == closing:
                return weigh(found, 1.1 if mark == ")" else 1 / 1.1), at + 1
            if mark in ("(", "["):
                inner, at = group(at + 1, ")" if mark == "(" else "]")
                found += inner
                continue
            if mark.startswith("\\"):
                found.append((mark[1:], 1.0))
            else:
                for index, piece in enumerate(re.split(r"\s*\bBREAK\b\s*", mark)):
                    found += [None] * (index > 0) + [(piece, 1.0)]
            at += 1
        return (found if closing is None else weigh(found, 1.1 if closing == ")" else 1 / 1.1)), at

    joined = []
    for part in group(0, None)[0]:
        if part and joined and joined[-1] and joined[-1][1] == part[1]:
            joined[-1] = (joined[-1][0] + part[0], part[1])
        else:
            joined.append(part)
    return joined


def weigh(found: list, factor: float) -> list:
    return [part and (part[0], part[1] * factor) for part in found]


def chunks(tokenizer, text: str) -> list[tuple[list[int], list[float]]]:
    """Ids and weights of 77 tokens each."""
    comma = tokenizer.get_vocab()[",</w>"]
    full, current = [], []
    for part in parts(text):
        if part is None:
            full.append(current)
            current = []
            continue
        for token in tokenizer(part[0], add_special_tokens=False).input_ids:
            if len(current) == CHUNK:
                commas = [index for index, (known, _) in enumerate(current) if known == comma]
                cut = CHUNK
                if token != comma and commas and CHUNK - commas[-1] <= BACKTRACK:
                    cut = commas[-1] + 1
                full.append(current[:cut])
                current = current[cut:]
            current.append((token, part[1]))
    if current or not full:
        full.append(current)
    return [framed(tokenizer, chunk) for chunk in full]


def framed(tokenizer, chunk: list) -> tuple[list[int], list[float]]:
    begin, end, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    ids = [begin, *(token for token, _ in chunk)] + [end] * (CHUNK + 1 - len(chunk))
    weights = [1.0, *(weight for _, weight in chunk)] + [1.0] * (CHUNK + 1 - len(chunk))
    if pad != end:
        first = ids.index(end)
        ids[first + 1 :] = [pad] * (CHUNK + 1 - first)
    return ids, weights


def encode(model, ids: torch.Tensor, skip: int) -> torch.Tensor:
    """The state of the layer counted from the last, normed."""
    model = getattr(model, "text_model", model)
    state = model.embeddings(input_ids=ids)
    mask = torch.full((ids.shape[1],) * 2, float("-inf")).triu(1)[None, None]
    for layer in model.encoder.layers[: len(model.encoder.layers) - skip + 1]:
        output = layer(state, mask)
        state = output[0] if isinstance(output, tuple) else output
    return model.final_layer_norm(state)


def contexts(pipeline, texts: list, skip: int) -> tuple[list, torch.Tensor]:
    """The chunks of all texts, and their contexts `[texts, tokens, channels]`."""
    read = [chunks(pipeline.tokenizer, text) for text, _ in texts]
    most = max(map(len, read))
    read = [text + [framed(pipeline.tokenizer, [])] * (most - len(text)) for text in read]
    times = torch.tensor([count for _, count in texts])
    encoded = []
    for index in range(most):
        states = encode(pipeline.text_encoder, torch.tensor([text[index][0] for text in read]), skip)
        weighted = states * torch.tensor([text[index][1] for text in read])[..., None]
        # A text that stands in several sections is encoded as often.
        before, after = (state.repeat_interleave(times, dim=0).double().mean() for state in (states, weighted))
        encoded.append(weighted * (before / after).float())
    return read, torch.cat(encoded, dim=1)


def family(out: Path, name: str, tensors: dict, notes: list) -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(out / f"tiny-{name}")
    own = pipeline.tokenizer("a photo of a cat", padding="max_length", max_length=77, return_tensors="pt").input_ids
    assert torch.allclose(encode(pipeline.text_encoder, own, 1), pipeline.text_encoder(own)[0], atol=1e-6)
    for case, prompt, skip, *texts in CASES:
        read, context = contexts(pipeline, texts or [(prompt, 1)], skip)
        tensors[f"{name}.{case}.ids"] = torch.tensor([[chunk[0] for chunk in text] for text in read])
        tensors[f"{name}.{case}.weights"] = torch.tensor([[chunk[1] for chunk in text] for text in read])
        # Every fourth token tells as much as all.
        tensors[f"{name}.{case}.context"] = context[:, ::4].contiguous()
        if name == "sd1":
            notes.append({"name": case, "prompt": prompt, "clip_skip": skip})


def mixed(strength: float, own: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """From one noise `[channels, height, width]` to another along the sphere, column by column."""
    directions = [noise / noise.norm(dim=1, keepdim=True) for noise in (own, other)]
    angle = (directions[0] * directions[1]).sum(1, keepdim=True).acos()
    return (((1 - strength) * angle).sin() * own + (strength * angle).sin() * other) / angle.sin()


def main() -> None:
    out = out_dir(__doc__)
    tensors, notes = {}, []
    family(out, "sd1", tensors, notes)
    family(out, "sd2", tensors, notes)
    own, other = randn("a1111.own", 4, 6, 5), randn("a1111.other", 4, 6, 5)
    tensors |= {"noise.own": own, "noise.other": other}
    for strength in [0.0, 0.1, 0.5, 1.0]:
        tensors[f"noise.{strength}"] = mixed(strength, own, other)
    save_tensors(out / "a1111.safetensors", tensors)
    save_json(out / "a1111.json", {"cases": notes, "strengths": [0.0, 0.1, 0.5, 1.0]})


if __name__ == "__main__":
    main()
