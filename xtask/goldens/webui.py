"""Asks the web UI's own code: how far is `a1111.safetensors` from it, and what does it read in prompts of chance?

    python webui.py --webui CHECKOUT --goldens ../../crates/engine/tests/goldens

CHECKOUT is a clone of AUTOMATIC1111's stable-diffusion-webui (1.9 or 1.10); of it only `modules/prompt_parser.py`,
`sd_emphasis.py`, `sd_hijack_clip.py` and `rng.py` are run, without the program around them. They need `lark`. The
difference is printed, and the status is 1 where it is beyond the tolerance; the prompts and what became of them are
written to `webui.json`.
"""

import argparse
import json
import random
import sys
import types
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file

from a1111 import CASES

TOLERANCE = 1e-5
STEPS = 10
PROMPTS = 150
PIECES = [
    "a", "b c", " ", ",", "é", "(", "(", ")", ")", "[", "[", "]", "]", ":", "|", "\\\\", "\\(", "\\]",
    ":1.2)", ":0.5)", ":-1)", ":.3]", ":0.5]", ": 3 ]", ":7]", ":2.0]", "::4]", " BREAK ", "BREAK",
]


class Hijack:
    """What the encoder's wrapper asks of the program: it has no textual inversions."""

    def __init__(self) -> None:
        self.fixes, self.comments, self.extra_generation_params = None, [], {}
        self.embedding_db = self

    def find_embedding_at_position(self, _tokens: list, _position: int) -> tuple[None, None]:
        return None, None


def program(checkout: Path) -> types.SimpleNamespace:
    """The program's modules, with just so much around them that they can be imported."""
    opts = types.SimpleNamespace(
        CLIP_stop_at_last_layers=1, comma_padding_backtrack=20, emphasis="Original", eta_noise_seed_delta=0,
        randn_source="CPU", textual_inversion_add_hashes_to_infotext=False, use_old_emphasis_implementation=False,
    )
    cpu = torch.device("cpu")
    package = types.ModuleType("modules")
    package.__path__ = [str(checkout / "modules")]
    around = {
        "devices": {"device": cpu, "cpu": cpu, "torch_npu_set_device": bool},
        "rng_philox": {},
        "sd_hijack": {"StableDiffusionModelHijack": Hijack, "model_hijack": Hijack()},
        "shared": {"opts": opts, "device": cpu},
    }
    sys.modules["modules"] = package
    for name, values in around.items():
        module = types.ModuleType(f"modules.{name}")
        vars(module).update(values)
        sys.modules[f"modules.{name}"] = module
        setattr(package, name, module)
    from modules import prompt_parser, rng, sd_hijack_clip

    return types.SimpleNamespace(opts=opts, parser=prompt_parser, rng=rng, clip=sd_hijack_clip)


def wrapper(webui: types.SimpleNamespace, pipeline: StableDiffusionPipeline) -> torch.nn.Module:
    """The program's encoder around a pipeline's."""
    encoder = pipeline.text_encoder
    if not hasattr(encoder, "text_model"):
        # Newer versions of the library have one layer less.
        object.__setattr__(encoder, "text_model", encoder)
    made = webui.clip.FrozenCLIPEmbedderWithCustomWords(
        types.SimpleNamespace(tokenizer=pipeline.tokenizer, transformer=encoder), Hijack()
    )
    made.id_pad = pipeline.tokenizer.pad_token_id
    return made


def sections(webui: types.SimpleNamespace, prompt: str) -> list[tuple[str, int]]:
    """The texts of a run of ten steps, and how many steps each holds."""
    ends = webui.parser.get_learned_conditioning_prompt_schedules([prompt], STEPS)[0]
    starts = [0, *(end for end, _ in ends)]
    return [(text, end - start) for start, (end, text) in zip(starts, ends)]


def noise(chance: random.Random) -> str:
    """Far more syntax than people write, most of it wrong."""
    return "".join(chance.choices(PIECES, k=chance.randint(1, 20)))


def sentence(chance: random.Random, depth: int = 0) -> str:
    """Syntax that is right, in all its forms."""

    def inner() -> str:
        return sentence(chance, depth + 1)

    def one() -> str:
        when = chance.choice(["3", "0.5", "7.0", " 4 ", ".25", "1", "0", "12", "1.0"])
        forms = [
            lambda: chance.choice(["a", "red", "sea ,", " with", r"\(x\)", "BREAK ", "1", " "]),
            lambda: f"({inner()})",
            lambda: f"({inner()}:{chance.choice(['1.3', '0.5', '2', ' 1.1', '-1', '.7'])})",
            lambda: f"[{inner()}]",
            lambda: f"[{inner()}:{inner()}:{when}]",
            lambda: f"[{inner()}:{when}]",
            lambda: f"[{inner()}::{when}]",
            lambda: f"[{'|'.join(inner() for _ in range(chance.randint(2, 3)))}]",
        ]
        return chance.choice(forms[: 1 if depth > 2 else None])()

    return " ".join(one() for _ in range(chance.randint(1, 3)))


def prompts_of_chance(webui: types.SimpleNamespace) -> list[dict]:
    """Prompts, the text that each step has, and the parts of each text."""
    chance, found = random.Random(0), []
    while len(found) < 2 * PROMPTS:
        prompt = (noise if len(found) % 2 else sentence)(chance)
        held = sections(webui, prompt)
        if len(prompt) > 120 or len(held) > 6:
            continue
        parts = {text: webui.parser.parse_prompt_attention(text) for text, _ in held}
        found.append({"prompt": prompt, "sections": held, "parts": parts})
    return found


def farthest(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max()).item() if a.shape == b.shape else float("inf")


def of_family(webui: types.SimpleNamespace, goldens: Path, family: str, ours: dict) -> dict[str, float]:
    """For each case the largest difference of its contexts; infinite where ids, weights or texts differ."""
    encoder = wrapper(webui, StableDiffusionPipeline.from_pretrained(goldens / f"tiny-{family}"))
    found = {}
    for case, prompt, skip, *texts in CASES:
        webui.opts.CLIP_stop_at_last_layers = skip
        held = sections(webui, prompt)
        counts = {text: sum(n for known, n in held if known == text) for text, _ in held}
        wanted = dict(texts or [(prompt, STEPS)])
        if texts:
            # Ours has the count of sections, the program's that of steps.
            wanted = {text: counts.get(text, 0) for text in wanted}
        name = f"{family}.{case}"
        if set(counts) != set(wanted):
            print(f"{name}: {sorted(counts)} instead of {sorted(wanted)}")
            found[name] = float("inf")
            continue
        order = [text for text, _ in (texts or [(prompt, 1)])]
        chunks, _ = encoder.process_texts(order)
        most = max(map(len, chunks))
        padded = [text + [encoder.empty_chunk()] * (most - len(text)) for text in chunks]
        weights = torch.tensor([[chunk.multipliers for chunk in text] for text in padded])
        same = torch.allclose(weights, ours[f"{name}.weights"].float(), rtol=1e-6)
        # All sections of a schedule go through the encoder in one batch, as often as they are held.
        batch = [text for text, _ in held]
        with torch.no_grad():
            states = encoder(batch)
        contexts = torch.stack([states[batch.index(text)] for text in order])
        found[name] = farthest(contexts[:, ::4], ours[f"{name}.context"]) if same else float("inf")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--webui", type=Path, required=True)
    parser.add_argument("--goldens", type=Path, required=True)
    args = parser.parse_args()
    webui = program(args.webui)
    ours = load_file(args.goldens / "a1111.safetensors")
    found = {}
    for family in ("sd1", "sd2"):
        found |= of_family(webui, args.goldens, family, ours)
    for strength in (0.0, 0.1, 0.5, 1.0):
        mixed = webui.rng.slerp(strength, ours["noise.own"], ours["noise.other"])
        found[f"noise.{strength}"] = farthest(ours[f"noise.{strength}"], mixed)
    for name, difference in found.items():
        print(f"{name:24} {difference:.1e}")
    worst = max(found.values())
    print(f"the largest of {len(found)} differences is {worst:.1e}")
    lines = ",\n".join(json.dumps(prompt) for prompt in prompts_of_chance(webui))
    (args.goldens / "webui.json").write_text(f"[\n{lines}\n]\n")
    return int(not worst <= TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
