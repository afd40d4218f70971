"""PyTorch and diffusers on the CPU: eager, `f32`, channels last, scaled dot product attention."""

import os

import peer  # before the others, so that its clock counts their import

# Threads that wait do not spin: where others work too, spinning makes PyTorch several times slower.
# OpenMP reads this when it is loaded, so it must be set before torch is.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import diffusers
import torch
import transformers
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel


def load(kind, folder, component: str):
    """A network in `f32`, its convolutions' weights channels last."""
    network = kind.from_pretrained(folder, subfolder=component, torch_dtype=torch.float32)
    return channels_last(network.eval())


def channels_last(value):
    return value.to(memory_format=torch.channels_last)


def images(array) -> torch.Tensor:
    return channels_last(torch.from_numpy(array))


def unet(folder, inputs):
    network = load(UNet2DConditionModel, folder, "unet")
    latents, text = images(inputs.latents), torch.from_numpy(inputs.text)
    timestep = inputs.plan["timestep"]
    return lambda: network(latents, timestep, text, return_dict=False)[0].numpy()


def decode(folder, inputs):
    network, latent = load(AutoencoderKL, folder, "vae"), images(inputs.noise)
    return lambda: network.decode(latent, return_dict=False)[0].numpy()


def encode(folder, inputs):
    network, picture = load(AutoencoderKL, folder, "vae"), images(inputs.picture)
    return lambda: network.encode(picture, return_dict=False)[0].mean.numpy()


def text(folder, inputs):
    network = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", dtype=torch.float32)
    network.eval()
    tokens = torch.from_numpy(inputs.tokens[1:])
    return lambda: network(tokens).last_hidden_state.numpy()


def image(folder, inputs):
    pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    channels_last(pipeline.unet)
    channels_last(pipeline.vae)
    pipeline.set_progress_bar_config(disable=True)
    plan = inputs.plan

    def work():
        result = pipeline(
            prompt=plan["prompt"],
            negative_prompt=plan["negative_prompt"],
            num_inference_steps=plan["steps"],
            guidance_scale=plan["guidance"],
            latents=torch.from_numpy(inputs.noise),
            output_type="np",
        )
        return peer.levels(result.images[0])

    return work


def main():
    args = peer.arguments(__doc__).parse_args()
    torch.set_num_threads(args.threads)
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    version = f"PyTorch {torch.__version__}, diffusers {diffusers.__version__}"
    tasks = {"unet": unet, "decode": decode, "encode": encode, "text": text, "image": image}
    with torch.inference_mode():
        peer.measure(args, version, tasks[args.task](args.model, peer.Inputs(args.inputs)))


if __name__ == "__main__":
    main()
