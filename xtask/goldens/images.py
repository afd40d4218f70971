"""Whole images through diffusers' pipelines: both families and a distilled model, both kinds, every scheduler."""

from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import LCMScheduler, StableDiffusionImg2ImgPipeline, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image

from common import out_dir, save_json, save_tensors

# Our name of each scheduler, its class, and what it is told beyond the model's own configuration.
SCHEDULERS = {
    "own": (None, {}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {}),
    "dpmpp-2m": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": False}),
    "dpmpp-2m-karras": ("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True}),
    "dpmpp-2m-sde": ("DPMSolverMultistepScheduler", {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": False}),
    "pndm": ("PNDMScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}

CAT = "a photo of a cat"
FOX = "a painting of a FOX sitting in a field at sunrise, in the style of Claude Monet"
EMOJI = "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f caf\u00e9 \u732b!"
LONG = ", ".join(["a castle on a hill under a starry night sky", "highly detailed", "sharp focus"] * 6)
BAD = "low quality, blurry, watermark"
FAR = 2**33 + 7

# Scheduler, steps, guidance, prompt, negative prompt, seed, width, height.
TEXT = [
    ("own", 6, 7.5, CAT, None, 42, 64, 64),
    ("own", 5, 7.5, FOX, BAD, 0, 96, 64),
    ("euler", 6, 7.5, CAT, None, 42, 64, 64),
    ("euler", 4, 1.0, FOX, BAD, FAR, 64, 96),
    ("euler", 1, 3.0, CAT, "", 1, 64, 64),
    ("euler-a", 6, 7.5, FOX, BAD, 0, 64, 64),
    ("ddim", 5, 3.0, EMOJI, None, 42, 64, 64),
    ("ddim", 4, 7.5, "", None, 7, 64, 64),
    ("dpmpp-2m", 8, 7.5, LONG, BAD, 42, 64, 64),
    ("dpmpp-2m", 6, 3.0, "", CAT, FAR, 72, 56),
    ("dpmpp-2m-karras", 6, 7.5, CAT, LONG, 0, 64, 64),
    ("dpmpp-2m-sde", 6, 3.0, FOX, None, 42, 64, 64),
    ("pndm", 7, 7.5, CAT, None, 1234567890123, 64, 64),
    ("lms", 6, 7.5, EMOJI, BAD, 0, 64, 64),
    ("heun", 5, 7.5, CAT, None, 42, 64, 64),
    ("unipc", 7, 7.5, FOX, None, FAR, 64, 64),
    ("lcm", 4, 1.0, CAT, None, 42, 64, 64),
    ("lcm", 5, 3.0, CAT, BAD, 3, 64, 64),
]

# Scheduler, steps, strength, guidance, prompt, negative prompt, seed, width, height.
IMAGE = [
    ("own", 8, 0.8, 7.5, CAT, None, 42, 64, 64),
    ("own", 8, 0.3, 7.5, FOX, BAD, 0, 96, 64),
    ("own", 6, 1.0, 3.0, CAT, None, 42, 64, 64),
    ("euler", 8, 0.8, 7.5, CAT, None, 42, 64, 64),
    ("euler", 6, 1.0, 3.0, EMOJI, None, FAR, 64, 64),
    ("euler-a", 8, 0.3, 7.5, FOX, BAD, 0, 64, 64),
    ("ddim", 8, 0.8, 1.0, CAT, None, 42, 72, 56),
    ("dpmpp-2m", 8, 0.3, 7.5, "", None, 42, 64, 64),
    ("dpmpp-2m-karras", 8, 0.8, 7.5, LONG, BAD, 0, 64, 64),
    ("dpmpp-2m-sde", 8, 0.8, 3.0, FOX, None, 42, 64, 64),
    ("pndm", 8, 0.3, 7.5, CAT, None, 42, 64, 64),
    ("lms", 8, 0.8, 7.5, CAT, BAD, FAR, 64, 64),
    ("heun", 6, 0.8, 7.5, FOX, None, 0, 64, 64),
    ("unipc", 8, 0.3, 7.5, CAT, None, 42, 64, 64),
    ("lcm", 6, 0.8, 1.0, CAT, None, 42, 64, 64),
]

# The same for a model that was distilled with its guidance: a few steps, and no second prediction.
LCM_TEXT = [
    ("own", 4, 8.5, CAT, None, 42, 64, 64),
    ("own", 3, 1.0, FOX, BAD, 0, 96, 64),
    ("own", 1, 3.7, CAT, None, 7, 64, 64),
    ("lcm", 6, 8.5, EMOJI, None, FAR, 64, 64),
    ("euler", 5, 3.7, CAT, BAD, 3, 64, 64),
]
LCM_IMAGE = [
    ("own", 6, 0.6, 8.5, CAT, None, 42, 64, 64),
    ("ddim", 8, 0.5, 3.7, FOX, None, 0, 96, 64),
]


def initial_image(width: int, height: int) -> np.ndarray:
    """A smooth gradient with a disc and a bar."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float64)
    picture = np.stack([255 * across / (width - 1), 255 * down / (height - 1), 127 + 100 * np.sin(across / 9)], axis=-1)
    disc = (across - 0.6 * width) ** 2 + (down - 0.4 * height) ** 2 < (0.25 * min(width, height)) ** 2
    picture[disc] = [230, 60, 40]
    picture[int(0.75 * height) : int(0.85 * height), : int(0.7 * width)] = [20, 40, 90]
    return np.round(picture).astype(np.uint8)


def cases(family: str) -> list[dict]:
    """The list above as records; their names are unique."""
    records = []
    text, image = (LCM_TEXT, LCM_IMAGE) if family == "lcm" else (TEXT, IMAGE)
    for scheduler, steps, guidance, prompt, negative, seed, width, height in text:
        records.append({
            "kind": "text", "scheduler": scheduler, "steps": steps, "guidance": guidance, "prompt": prompt,
            "negative_prompt": negative, "seed": seed, "width": width, "height": height,
        })
    # Every other one is enough for the second family.
    for scheduler, steps, strength, guidance, prompt, negative, seed, width, height in image[:: 1 + (family == "sd2")]:
        records.append({
            "kind": "image", "scheduler": scheduler, "steps": steps, "guidance": guidance, "prompt": prompt,
            "negative_prompt": negative, "seed": seed, "width": width, "height": height,
            "strength": strength, "init": f"init.{width}x{height}",
        })
    for index, record in enumerate(records):
        name = f"{family}.{index:02}.{record['kind']}.{record['scheduler']}"
        records[index] = {"name": name, "model": f"tiny-{family}"} | record
    return records


def scheduler_for(own, name: str):
    """A new scheduler of that name, configured as the model's own one."""
    kind, options = SCHEDULERS[name]
    kind = type(own) if kind is None else getattr(diffusers, kind)
    return kind.from_config(own.config, **options)


def run(pipelines: dict, case: dict, own, **more) -> tuple[np.ndarray, np.ndarray]:
    """The image (height, width, 3) and the last latents (4, h, w)."""
    pipeline = pipelines[case["kind"]]
    pipeline.scheduler = scheduler_for(own, case["scheduler"])
    last = {}

    def remember(_pipeline, _step, _time, values):
        last["latents"] = values["latents"]
        return {}

    if case["kind"] == "image":
        options = {"image": Image.fromarray(initial_image(case["width"], case["height"])), "strength": case["strength"]}
    else:
        options = {"width": case["width"], "height": case["height"]}
    image = pipeline(
        case["prompt"], negative_prompt=case["negative_prompt"], num_inference_steps=case["steps"],
        guidance_scale=case["guidance"], generator=torch.Generator("cpu").manual_seed(case["seed"]),
        callback_on_step_end=remember, **options, **more,
    ).images[0]
    return np.asarray(image), last["latents"][0].numpy()


def check(name: str, image: np.ndarray) -> None:
    """A flat or saturated picture would hide mistakes."""
    saturated = np.mean((image == 0) | (image == 255))
    if image.std() < 20 or saturated > 0.05:
        raise SystemExit(f"{name}: deviation {image.std():.1f}, {saturated:.1%} saturated")


def load(out: Path, family: str) -> dict:
    if family == "lcm":
        unet = UNet2DConditionModel.from_pretrained(out / "tiny-lcm/unet")
        scheduler = LCMScheduler.from_pretrained(out / "tiny-lcm/scheduler")
        text = StableDiffusionPipeline.from_pretrained(out / "tiny-sd1", unet=unet, scheduler=scheduler)
    else:
        text = StableDiffusionPipeline.from_pretrained(out / f"tiny-{family}")
    pipelines = {"text": text, "image": StableDiffusionImg2ImgPipeline(**text.components, requires_safety_checker=False)}
    for pipeline in pipelines.values():
        pipeline.set_progress_bar_config(disable=True)
    return pipelines


def main() -> None:
    out = out_dir(__doc__)
    tensors, notes = {}, {"schedulers": {}, "cases": []}
    for family in ["sd1", "sd2", "lcm"]:
        pipelines = load(out, family)
        own = pipelines["text"].scheduler
        notes["schedulers"][f"tiny-{family}"] = {
            name: {
                "class": type(scheduler).__name__,
                "config": {key: value for key, value in scheduler.config.items() if not key.startswith("_")},
            }
            for name in SCHEDULERS
            for scheduler in [scheduler_for(own, name)]
        }
        for case in cases(family):
            image, latents = run(pipelines, case, own)
            check(case["name"], image)
            tensors[f"{case['name']}.image"] = image
            tensors[f"{case['name']}.latents"] = latents
            if "init" in case:
                tensors[case["init"]] = initial_image(case["width"], case["height"])
            notes["cases"].append(case)
    save_tensors(out / "images.safetensors", tensors)
    save_json(out / "images.json", notes)


if __name__ == "__main__":
    main()
