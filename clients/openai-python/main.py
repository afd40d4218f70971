"""OpenAI's Python package, unmodified, against this server.

It reads where the server is and which API key to send from OPENAI_BASE_URL (such as
http://127.0.0.1:8000/v1) and OPENAI_API_KEY (anything, where the server demands none).
"""

import base64
import io
import struct
import urllib.request
import zlib
from pathlib import Path

import openai

client = openai.OpenAI()


def save(name, image):
    """Writes an image that came as base64."""
    content = base64.b64decode(image)
    Path(name).write_bytes(content)
    return content


def square(side, alpha_at):
    """A PNG with a side of this many pixels; `alpha_at(x, y)` says how opaque each of them is."""
    rows = b"".join(
        b"\0" + b"".join(bytes((200, 120, x * 255 // side, alpha_at(x, y))) for x in range(side))
        for y in range(side)
    )

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


# The models.
models = client.models.list()
model = models.data[0].id
assert client.models.retrieve(model).id == model

# An image, in base64.
made = client.images.generate(
    model=model,
    prompt="cat dancing in rain",
    size="1024x1024",
    response_format="b64_json",
    extra_body={"seed": 7, "num_inference_steps": 4, "negative_prompt": "dogs"},
)
png = save("cat.png", made.data[0].b64_json)
assert png.startswith(b"\x89PNG")
print(f"cat.png: {made.size} pixels, drawn by {made.model}, {made.usage.total_tokens} tokens")

# With a name that is built into many programs, two at once, by URLs. They need no key.
made = client.images.generate(
    model="dall-e-3", prompt="cat dancing in rain", n=2, quality="standard", style="vivid",
    response_format="url", extra_body={"num_inference_steps": 2},
)
assert len(made.data) == 2
for number, image in enumerate(made.data):
    with urllib.request.urlopen(image.url) as answer:
        assert answer.headers["Content-Type"] == "image/png"
        Path(f"cat-{number}.png").write_bytes(answer.read())

# As a JPEG.
made = client.images.generate(
    model="gpt-image-1.5", prompt="cat", output_format="jpeg", output_compression=60,
    extra_body={"num_inference_steps": 2},
)
assert made.output_format == "jpeg"
assert save("cat.jpg", made.data[0].b64_json).startswith(b"\xff\xd8")

# An edit of a picture, and one of the part that a mask leaves transparent.
edit = {"model": model, "prompt": "a dog", "response_format": "b64_json"}
few = {"extra_body": {"num_inference_steps": 4, "seed": 7}}
made = client.images.edit(image=("cat.png", png), **edit, **few)
save("dog.png", made.data[0].b64_json)
mask = square(128, lambda x, y: 0 if x < 64 else 255)
made = client.images.edit(image=("cat.png", png), mask=("mask.png", mask), **edit, **few)
half = save("half-a-dog.png", made.data[0].b64_json)

# A picture whose own transparent part is drawn anew, and two pictures, each of which is edited.
cutout = io.BytesIO(square(128, lambda x, y: 0 if y < 64 else 255))
cutout.name = "cutout.png"
client.images.edit(image=cutout, **edit, **few)
made = client.images.edit(image=[("one.png", png), ("two.png", half)], **edit, **few)
assert len(made.data) == 2

# Variations.
made = client.images.create_variation(
    image=("cat.png", png), n=2, response_format="b64_json", extra_body={"num_inference_steps": 4}
)
assert len(made.data) == 2

# An image as it forms.
partial = 0
stream = client.images.generate(
    model=model, prompt="cat dancing in rain", stream=True, partial_images=2,
    extra_body={"num_inference_steps": 20},
)
for event in stream:
    if event.type == "image_generation.partial_image":
        assert event.partial_image_index == partial
        partial += 1
        save(f"forming-{event.partial_image_index}.png", event.b64_json)
    elif event.type == "image_generation.completed":
        save("formed.png", event.b64_json)
        assert event.usage.total_tokens == event.usage.input_tokens + event.usage.output_tokens
assert event.type == "image_generation.completed"
assert 1 <= partial <= 2, partial

# Edits form in the same way.
stream = client.images.edit(
    image=("cat.png", png), prompt="a dog", stream=True, partial_images=1, **few
)
assert [event.type for event in stream][-1] == "image_edit.completed"

# What is wrong is an exception that names the field.
try:
    client.images.generate(model=model, prompt="cat", n=11)
    raise SystemExit("eleven images were made")
except openai.BadRequestError as error:
    assert (error.param, error.code) == ("n", "invalid_value"), error
try:
    client.images.generate(model="no-such-model", prompt="cat")
    raise SystemExit("a model that is not there drew")
except openai.NotFoundError as error:
    assert (error.param, error.code) == ("model", "model_not_found"), error
try:
    openai.OpenAI(api_key="sk-wrong").models.list()
    raise SystemExit("a wrong key was accepted")
except openai.AuthenticationError as error:
    assert error.code == "invalid_api_key", error
