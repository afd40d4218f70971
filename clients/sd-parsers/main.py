"""Reads what our images say with sd-parsers, which reads those of the web UI of AUTOMATIC1111."""

import base64
import io
import os

import requests
from sd_parsers import ParserManager
from sd_parsers.data import Generators

URL, KEY = os.environ["DIFFUSION_SERVER_URL"], os.environ["DIFFUSION_SERVER_KEY"]
PROMPT, NEGATIVE = "a (lighthouse:1.2), at [dawn|dusk]", 'fog, "rain"'

for samples_format in ("png", "jpeg", "webp"):
    answer = requests.post(
        f"{URL}/sdapi/v1/txt2img",
        auth=("me", KEY),
        json={
            "prompt": PROMPT, "negative_prompt": NEGATIVE, "seed": 7, "steps": 3, "cfg_scale": 5.5, "width": 64, "height": 64,
            "sampler_name": "DPM++ 2M", "scheduler": "Karras",
            "override_settings": {"samples_format": samples_format, "CLIP_stop_at_last_layers": 2},
        },
        timeout=60,
    )
    answer.raise_for_status()
    file = base64.b64decode(answer.json()["images"][0])
    read = ParserManager().parse(io.BytesIO(file))
    assert read is not None, f"{samples_format}: nothing was read"
    assert read.generator is Generators.AUTOMATIC1111, read.generator
    (sampler,) = read.samplers
    assert sampler.name == "DPM++ 2M", sampler
    told = {"scheduler": "Karras", "steps": "3", "cfg_scale": "5.5", "seed": "7"}
    assert sampler.parameters == told, sampler.parameters
    assert [prompt.value for prompt in read.prompts] == [PROMPT], read.prompts
    assert [prompt.value for prompt in read.negative_prompts] == [NEGATIVE], read.negative_prompts
    assert [model.name for model in read.models] == ["pocket-paper-sd1"], read.models
    assert read.metadata["Size"] == "64x64" and read.metadata["Clip skip"] == "2", read.metadata
    print(f"{samples_format}: read")
