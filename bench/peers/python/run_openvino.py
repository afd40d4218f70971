"""OpenVINO on the CPU: `f32` throughout, one stream over all threads, static shapes.

Runs what `convert_openvino.py` has converted.
"""

import peer  # first, so that its clock counts the imports

import json

import numpy as np
import openvino as ov


class Networks:
    def __init__(self, cache, threads: int):
        self.core = ov.Core()
        self.cache = cache
        self.options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
        }

    def load(self, name: str):
        """A function of the network's inputs that gives its output."""
        network = self.core.compile_model(self.cache / f"{name}.xml", "CPU", self.options)
        precision = network.get_property("INFERENCE_PRECISION_HINT")
        if precision != ov.Type.f32:
            raise SystemExit(f"OpenVINO computes {name} in {precision}, not in f32")
        request = network.create_infer_request()
        return lambda *inputs: request.infer(inputs, share_inputs=True)[0].copy()


class Ddim:
    """The steps of diffusers' DDIMScheduler for a Stable Diffusion 1.x configuration."""

    def __init__(self, config: dict, steps: int):
        count = config["num_train_timesteps"]
        bounds = (config["beta_start"] ** 0.5, config["beta_end"] ** 0.5)
        self.alphas = np.cumprod(1 - np.linspace(*bounds, count) ** 2)
        self.stride = count // steps
        self.timesteps = np.arange(steps)[::-1] * self.stride + config["steps_offset"]

    def step(self, latent, noise, timestep: int):
        now, before = self.alphas[timestep], self.alphas[max(timestep - self.stride, 0)]
        clean = (latent - (1 - now) ** 0.5 * noise) / now**0.5
        return (before**0.5 * clean + (1 - before) ** 0.5 * noise).astype(np.float32)


def unet(networks, inputs, _):
    network = networks.load("unet")
    values = (inputs.latents, np.float32([inputs.plan["timestep"]]), inputs.text)
    return lambda: network(*values)


def decode(networks, inputs, _):
    network, latent = networks.load("decode"), inputs.noise
    return lambda: network(latent)


def encode(networks, inputs, _):
    network, picture = networks.load("encode"), inputs.picture
    return lambda: network(picture)


def text(networks, inputs, _):
    network, tokens = networks.load("text"), inputs.tokens[1:]
    return lambda: network(tokens)


def image(networks, inputs, model):
    encoder, network, decoder = (networks.load(name) for name in ("text", "unet", "decode"))
    noise, tokens, plan = inputs.noise, inputs.tokens, inputs.plan
    scale = json.loads((model / "vae/config.json").read_text())["scaling_factor"]
    config = json.loads((model / "scheduler/scheduler_config.json").read_text())
    scheduler = Ddim(config, plan["steps"])

    def work():
        prompts = np.concatenate([encoder(row[None]) for row in tokens])
        latent = noise
        for timestep in scheduler.timesteps:
            both = np.concatenate([latent, latent])
            without, guided = np.split(network(both, np.float32([timestep]), prompts), 2)
            prediction = without + plan["guidance"] * (guided - without)
            latent = scheduler.step(latent, prediction, timestep)
        pixels = decoder(latent / np.float32(scale))[0]
        return peer.levels(pixels.transpose(1, 2, 0) / 2 + 0.5)

    return work


def main():
    parser = peer.arguments(__doc__)
    parser.add_argument("--cache", type=peer.Path, required=True, help="converted networks")
    args = parser.parse_args()
    tasks = {"unet": unet, "decode": decode, "encode": encode, "text": text, "image": image}
    networks = Networks(args.cache, args.threads)
    work = tasks[args.task](networks, peer.Inputs(args.inputs), args.model)
    peer.measure(args, f"OpenVINO {ov.__version__.split('-')[0]}", work)


if __name__ == "__main__":
    main()
