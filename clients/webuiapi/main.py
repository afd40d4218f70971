"""webuiapi, the Python package for AUTOMATIC1111's API, unmodified, against this server.

It reads where the server is and which API key to send from DIFFUSION_SERVER_URL (such as
http://127.0.0.1:8000) and DIFFUSION_SERVER_KEY (anything, where the server demands none). The key
is the password; any user name will do.
"""

import os
import threading
import time

import webuiapi
from PIL import Image, ImageChops, ImageDraw

url = os.environ["DIFFUSION_SERVER_URL"]
key = os.environ.get("DIFFUSION_SERVER_KEY", "none")
api = webuiapi.WebUIApi(baseurl=f"{url}/sdapi/v1", username="anyone", password=key)


def same(found, wanted):
    """Insists that two values are equal."""
    assert found == wanted, f"{found!r} is not {wanted!r}"


# What there is.
names = api.util_get_sampler_names()
assert {"Euler", "Euler a", "DPM++ 2M"} <= set(names), names
assert "karras" in api.util_get_scheduler_names()
models = api.util_get_model_names()
for read in [
    api.get_cmd_flags,
    api.get_sd_vae,
    api.get_upscalers,
    api.get_latent_upscale_modes,
    api.get_loras,
    api.get_hypernetworks,
    api.get_face_restorers,
    api.get_realesrgan_models,
    api.get_prompt_styles,
    api.get_scripts,
    api.get_embeddings,
    api.get_memory,
]:
    answer = read()
    assert "error" not in answer, (read.__name__, answer)
same(api.refresh_checkpoints(), None)

# From a prompt; its own defaults are the sampler Euler a and 20 steps.
small = {"width": 64, "height": 64, "steps": 4}
result = api.txt2img(prompt="a (red:1.2) flower", negative_prompt="rain", seed=7, n_iter=2, **small)
same([image.size for image in result.images], [(64, 64)] * 2)
same(result.info["all_seeds"], [7, 8])
same(result.info["sampler_name"], "Euler a")
same(result.image.info["parameters"], result.info["infotexts"][0])
same(result.parameters["steps"], 4)
again = api.txt2img(prompt="a (red:1.2) flower", negative_prompt="rain", seed=8, **small)
same(again.image.tobytes(), result.images[1].tobytes())
karras = api.txt2img(
    prompt="a cat", seed=1, sampler_name="DPM++ 2M", scheduler="Karras", **small
)
assert "Schedule type: Karras" in karras.info["infotexts"][0], karras.info
result.image.save("flower.png")

# From a picture, and of a part of it.
picture = api.img2img(
    images=[result.image], prompt="a blue flower", seed=7, denoising_strength=0.5, **small
)
same(picture.info["denoising_strength"], 0.5)
mask = Image.new("L", (64, 64))
ImageDraw.Draw(mask).rectangle((32, 0, 63, 63), fill=255)
part = api.img2img(
    images=[result.image], mask_image=mask, mask_blur=2, inpainting_fill=1,
    inpaint_full_res=False, prompt="a blue flower", seed=7, denoising_strength=0.8, **small
)
left = (0, 0, 16, 64)
before, after = (image.convert("RGB").crop(left) for image in (result.image, part.image))
worst = max(most for _, most in ImageChops.difference(before, after).getextrema())
assert worst <= 2, f"what the mask leaves out has changed by {worst}"

# What an image says of itself.
told = api.png_info(result.image)
same(told.info, result.info["infotexts"][0])
same(told.parameters["Seed"], "7")

# The model.
options = api.get_options()
api.set_options(options)
same(api.get_options(), options)
api.util_set_model(models[-1], find_closest=False)
same(api.util_get_current_model(), models[-1])
api.util_wait_for_ready(check_interval=0.1)
switched = api.txt2img(prompt="a cat", seed=7, **small)
same(f"{switched.info['sd_model_name']} [{switched.info['sd_model_hash']}]", models[-1])

# What is under way, and its interruption.
answers = []
call = threading.Thread(
    target=lambda: answers.append(
        api.txt2img(prompt="a cat", width=256, height=256, steps=900, n_iter=2)
    )
)
call.start()
watcher = webuiapi.WebUIApi(baseurl=f"{url}/sdapi/v1", username="anyone", password=key)
while not watcher.get_progress()["state"]["sampling_step"]:
    time.sleep(0.05)
progress = watcher.get_progress()
assert 0 < progress["progress"] < 1, progress
same(progress["state"]["sampling_steps"], 900)
same(progress["state"]["job_count"], 2)
same(progress["state"]["job_no"], 0)
# One image is left out, and the call goes on with the other.
same(watcher.skip(), {})
while watcher.get_progress()["state"]["job_no"] != 1:
    time.sleep(0.05)
while not watcher.get_progress()["state"]["sampling_step"]:
    time.sleep(0.05)
assert call.is_alive(), answers
# Now the call ends.
same(watcher.interrupt(), {})
call.join()
same(answers[0].images, [])
watcher.util_wait_for_ready(check_interval=0.1)

# What cannot be done is an error that says so.
for wrong, named in [
    ({"enable_hr": True}, "enable_hr"),
    ({"sampler_name": "none such"}, "Sampler not found"),
    ({"override_settings": {"sd_model_checkpoint": "none such"}}, "none such"),
]:
    try:
        api.txt2img(prompt="a cat", **small, **wrong)
    except RuntimeError as error:
        assert named in str(error), error
    else:
        raise AssertionError(f"{wrong} was taken")
