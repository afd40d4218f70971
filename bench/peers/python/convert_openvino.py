"""Converts the networks of a diffusers folder for OpenVINO: static shapes, weights in `f32`."""

import argparse
from pathlib import Path

import openvino as ov
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel


class UNet(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", **F32)

    def forward(self, latents, timestep, text):
        return self.unet(latents, timestep, text, return_dict=False)[0]


class Decoder(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.vae = AutoencoderKL.from_pretrained(folder, subfolder="vae", **F32)

    def forward(self, latent):
        return self.vae.decode(latent, return_dict=False)[0]


class Encoder(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.vae = AutoencoderKL.from_pretrained(folder, subfolder="vae", **F32)

    def forward(self, picture):
        return self.vae.encode(picture, return_dict=False)[0].mean


class Text(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.text = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", **F32)

    def forward(self, tokens):
        return self.text(tokens).last_hidden_state


F32 = {"torch_dtype": torch.float32}
# Of each network: what makes it, and inputs of the shapes that it is to have.
NETWORKS = {
    "unet": (UNet, ((2, 4, 64, 64), (1,), (2, 77, 768))),
    "decode": (Decoder, ((1, 4, 64, 64),)),
    "encode": (Encoder, ((1, 3, 512, 512),)),
    "text": (Text, ((1, 77),)),
}


def convert(name: str, model: Path, cache: Path) -> None:
    make, shapes = NETWORKS[name]
    kind = torch.int64 if name == "text" else torch.float32
    inputs = tuple(torch.zeros(shape, dtype=kind) for shape in shapes)
    with torch.inference_mode():
        network = ov.convert_model(make(model).eval(), example_input=inputs, input=list(shapes))
    # Weights first: where there is an .xml, the network is whole.
    part = cache / f"{name}.part.xml"
    ov.save_model(network, part, compress_to_fp16=False)
    part.with_suffix(".bin").rename(cache / f"{name}.bin")
    part.rename(cache / f"{name}.xml")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="diffusers folder")
    parser.add_argument("--cache", type=Path, required=True, help="where converted networks lie")
    parser.add_argument("networks", nargs="+", choices=[*NETWORKS], metavar="NETWORK")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    for name in args.networks:
        if not (args.cache / f"{name}.xml").exists():
            convert(name, args.model, args.cache)


if __name__ == "__main__":
    main()
