"""Whole images with a part repainted, through diffusers' inpainting pipeline and UNets that know nothing of masks."""

import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline
from PIL import Image

import images
from common import out_dir, save_json, save_tensors
from images import BAD, CAT, FAR, FOX

# Runge-Kutta steps, which no configuration of the tiny models asks for.
images.SCHEDULERS["pndm-prk"] = ("PNDMScheduler", {"skip_prk_steps": False})

# Scheduler, steps, strength, guidance, prompt, negative prompt, seed, width, height.
CASES = [
    ("own", 6, 1.0, 7.5, CAT, None, 42, 64, 64),
    ("euler", 8, 0.6, 7.5, FOX, BAD, 0, 72, 56),
    ("euler", 5, 1.0, 1.0, CAT, None, FAR, 64, 64),
    ("euler-a", 8, 0.6, 7.5, CAT, None, 42, 64, 64),
    ("ddim", 5, 1.0, 3.0, FOX, BAD, 7, 56, 72),
    ("dpmpp-2m", 8, 0.6, 7.5, CAT, BAD, 42, 64, 64),
    ("dpmpp-2m-karras", 5, 1.0, 7.5, FOX, None, 0, 64, 64),
    ("dpmpp-2m-sde", 8, 0.6, 3.0, CAT, None, FAR, 64, 64),
    ("pndm", 8, 0.6, 7.5, FOX, None, 42, 64, 64),
    ("pndm-prk", 5, 1.0, 7.5, CAT, None, 3, 64, 64),
    ("pndm-prk", 8, 0.6, 3.0, CAT, BAD, 3, 64, 64),
    ("lms", 8, 0.6, 7.5, CAT, BAD, 1, 64, 64),
    ("heun", 6, 0.6, 7.5, FOX, None, 0, 64, 64),
    ("heun", 4, 1.0, 3.0, CAT, None, 42, 72, 56),
    ("unipc", 8, 0.6, 7.5, CAT, None, 42, 64, 64),
    ("lcm", 6, 0.6, 1.0, CAT, None, 42, 64, 64),
    ("lcm", 4, 1.0, 3.0, FOX, BAD, 5, 64, 64),
]
LCM = [("own", 6, 0.6, 8.5, CAT, None, 42, 64, 64)]


def mask_image(width: int, height: int) -> np.ndarray:
    """A ring and a bar with soft edges, that cross the middle grey everywhere in the squares of a latent's points."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float64)
    ring = np.abs(np.hypot(across - 0.55 * width, down - 0.45 * height) - 0.3 * min(width, height)) - 7.5
    bar = np.maximum(np.abs(down - 0.85 * height) - 5.5, across - 0.6 * width)
    return np.round(np.clip(127.5 - 24 * np.minimum(ring, bar), 0, 255)).astype(np.uint8)


def cases(family: str) -> list[dict]:
    """The list above as records; their names are unique. Every other one is enough for the second family."""
    rows = LCM if family == "lcm" else CASES[:: 1 + (family == "sd2")]
    keys = ["scheduler", "steps", "strength", "guidance", "prompt", "negative_prompt", "seed", "width", "height"]
    records = []
    for index, row in enumerate(rows):
        case = dict(zip(keys, row, strict=True))
        size = f"{case['width']}x{case['height']}"
        name = f"{family}.{index:02}.{case['scheduler']}"
        records.append({"name": name, "model": f"tiny-{family}"} | case | {"init": f"init.{size}", "mask": f"mask.{size}"})
    return records


def run(pipeline, case: dict, own) -> tuple[np.ndarray, np.ndarray]:
    """The image (height, width, 3) and the last latents (4, h, w)."""
    pipeline.scheduler = images.scheduler_for(own, case["scheduler"])
    size = {"width": case["width"], "height": case["height"]}
    last = {}

    def remember(_pipeline, _step, _time, values):
        last["latents"] = values["latents"]
        return {}

    image = pipeline(
        case["prompt"], negative_prompt=case["negative_prompt"], num_inference_steps=case["steps"],
        guidance_scale=case["guidance"], strength=case["strength"],
        image=Image.fromarray(images.initial_image(**size)), mask_image=Image.fromarray(mask_image(**size)),
        generator=torch.Generator("cpu").manual_seed(case["seed"]), callback_on_step_end=remember, **size,
    ).images[0]
    return np.asarray(image), last["latents"][0].numpy()


def main() -> None:
    out = out_dir(__doc__)
    tensors, notes = {}, []
    for family in ["sd1", "sd2", "lcm"]:
        text = images.load(out, family)["text"]
        own = text.scheduler
        pipeline = StableDiffusionInpaintPipeline(**text.components, requires_safety_checker=False)
        pipeline.set_progress_bar_config(disable=True)
        for case in cases(family):
            image, latents = run(pipeline, case, own)
            images.check(case["name"], image)
            tensors[f"{case['name']}.image"] = image
            tensors[f"{case['name']}.latents"] = latents
            tensors[case["init"]] = images.initial_image(case["width"], case["height"])
            tensors[case["mask"]] = mask_image(case["width"], case["height"])
            notes.append(case)
    save_tensors(out / "inpaint.safetensors", tensors)
    save_json(out / "inpaint.json", {"cases": notes})


if __name__ == "__main__":
    main()
