"""The calls that Open WebUI 0.12.4 makes for its images, in its order, against this server.

It reads where the server is and which API key to send from DIFFUSION_SERVER_URL (such as
http://127.0.0.1:8000) and DIFFUSION_SERVER_KEY (anything, where the server demands none). Open
WebUI is set to them under Admin Settings, Images: for the engine Automatic1111 the URL and
`anyone:KEY`, for the engine OpenAI the URL with `/v1` and the key.
"""

import asyncio
import base64
import io
import json
import os
import uuid
from pathlib import Path

import aiohttp

url = os.environ["DIFFUSION_SERVER_URL"]
key = os.environ.get("DIFFUSION_SERVER_KEY", "none")

# What an administrator sets beside them.
SIZE = "128x128"
STEPS = 4


def save(name, image):
    """Writes an image that came as base64, alone or in a data URL."""
    content = base64.b64decode(image.split(",", 1)[-1])
    Path(name).write_bytes(content)
    assert content.startswith(b"\x89PNG"), name
    return content


class Automatic1111:
    """The engine of this name."""

    def __init__(self, session):
        self.session = session
        basic = base64.b64encode(f"anyone:{key}".encode()).decode()
        self.headers = {"authorization": f"Basic {basic}"}

    async def get(self, name):
        """Reads one of the API's lists."""
        address = f"{url}/sdapi/v1/{name}"
        async with self.session.get(address, headers=self.headers) as answer:
            answer.raise_for_status()
            return await answer.json()

    async def post(self, name, body):
        """Asks for something."""
        address = f"{url}/sdapi/v1/{name}"
        async with self.session.post(address, json=body, headers=self.headers) as answer:
            answer.raise_for_status()
            # Whatever type it says that it is of.
            return await answer.json(content_type=None)

    async def choose(self, model):
        """Switches the model: the options go back as they came, but for this one."""
        options = await self.get("options")
        if options["sd_model_checkpoint"] != model:
            options["sd_model_checkpoint"] = model
            await self.post("options", options)

    async def generate(self, prompt, number, negative_prompt):
        """Makes images after a prompt."""
        # Which model that is, for its own record.
        assert (await self.get("options"))["sd_model_checkpoint"]
        width, height = map(int, SIZE.split("x"))
        body = {
            "prompt": prompt, "batch_size": number, "width": width, "height": height,
            "steps": STEPS, "negative_prompt": negative_prompt,
        }
        return await self.post("txt2img", body)


async def automatic1111(session):
    """Connects, lists the models, switches between them, and makes two images."""
    engine = Automatic1111(session)
    # The button that tries the connection.
    await engine.get("options")
    models = {model["title"]: model["model_name"] for model in await engine.get("sd-models")}
    for title in reversed(models):
        await engine.choose(title)
        assert (await engine.get("options"))["sd_model_checkpoint"] == title
    made = await engine.generate("a lighthouse at dawn", 2, "people")
    for number, image in enumerate(made["images"]):
        save(f"lighthouse-{number}.png", image)
    assert len(made["images"]) == 2
    info = json.loads(made["info"])
    assert info["sd_model_name"] == models[title], info
    print(f"lighthouse-0.png: {info['width']}x{info['height']} pixels, by {models[title]}")


async def openai(session):
    """Makes an image, then edits it alone and with another."""
    bearer = {"Authorization": f"Bearer {key}"}
    images = []
    for model in ["dall-e-2", "gpt-image-1"]:
        body = {"model": model, "prompt": "a lighthouse at dawn", "n": 1, "size": SIZE}
        # By their names it takes these to know no other format.
        if not model.startswith("gpt-image"):
            body["response_format"] = "b64_json"
        headers = {**bearer, "Content-Type": "application/json"}
        address = f"{url}/v1/images/generations"
        async with session.post(address, json=body, headers=headers) as answer:
            answer.raise_for_status()
            made = await answer.json(content_type=None)
        images.append(save(f"{model}.png", made["data"][0]["b64_json"]))
    for field, pictures in [("image", images[:1]), ("image[]", images)]:
        form = aiohttp.FormData()
        fields = {
            "model": "dall-e-2", "prompt": "a lighthouse at night", "n": 1, "size": SIZE,
            "response_format": "b64_json",
        }
        for name, value in fields.items():
            form.add_field(name, str(value))
        for picture in pictures:
            file = io.BytesIO(picture)
            form.add_field(field, file, filename=f"{uuid.uuid4()}.png", content_type="image/png")
        async with session.post(f"{url}/v1/images/edits", data=form, headers=bearer) as answer:
            answer.raise_for_status()
            made = await answer.json(content_type=None)
        assert len(made["data"]) == len(pictures)
        for number, image in enumerate(made["data"]):
            save(f"night-{len(pictures)}-{number}.png", image["b64_json"])


async def main():
    """Both engines."""
    async with aiohttp.ClientSession() as session:
        await automatic1111(session)
        await openai(session)


asyncio.run(main())
