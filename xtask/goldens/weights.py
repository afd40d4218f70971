"""Random weights that make a mistake anywhere in a model visible in its output.

Plain random initialisation hides mistakes: norms of one and zero, biases of zero, activations so large
that no epsilon matters. Here norms and biases are random, and what flows along the residual path is of
the size `STREAM`, so small that every epsilon moves the result by percents. Each tensor depends on its
name alone.
"""

import math

import torch
from common import randn

# Standard deviation of the residual stream: 1e-5 is 4 % of its variance.
STREAM = 0.015


def fill(model: torch.nn.Module, label: str, rules: list) -> None:
    """Set each parameter: norms at random around one, others by the first rule whose key its name holds.

    A rule is (part of the name, gain of the output, size of the bias).
    """
    for name, value in model.named_parameters():
        noise = randn(f"{label}.{name}", *value.shape)
        module, kind = name.rsplit(".", 1)
        if "norm" in module.rsplit(".", 2)[-1] or module.endswith("layers.norm"):
            value.copy_(1 + 0.25 * noise if kind == "weight" else 0.2 * noise)
            continue
        gain, bias = next((rule[1], rule[2]) for rule in rules if rule[0] in name)
        if "embedding.weight" in name and value.ndim == 2 and "time" not in name:
            value.copy_(gain * noise)
        elif kind == "bias":
            value.copy_(bias * noise)
        else:
            value.copy_(gain * noise / math.sqrt(value[0].numel()))


def close_half_the_gates(into: torch.Tensor, bias: torch.Tensor, out: torch.Tensor) -> None:
    """Make every other hidden unit work where its GELU is nearly closed (about -2.5), and amplify it.

    There the exact GELU and its tanh approximation differ by percents of the value.
    """
    into[::2] *= 0.3
    bias[::2] = -2.5 + bias[::2]
    out[:, ::2] *= 20


def unet(model: torch.nn.Module, label: str, out_gain: float) -> None:
    """A UNet whose noise prediction has a standard deviation of about `out_gain`."""
    s = STREAM
    fill(model, label, [
        ("time_embedding", 1.5, 0.3),
        ("time_emb_proj", 1.5 * s, 0.3 * s),
        ("conv_in", s, 0.3 * s),
        ("conv_out", out_gain, 0.1 * out_gain),
        ("conv1", s, 0.3 * s),
        ("conv2", s, 0.3 * s),
        ("conv_shortcut", 1.0, 0.2 * s),
        ("samplers", 1.0, 0.2 * s),
        ("proj_in", s, 0.3 * s),
        ("proj_out", 1.0, 0.2 * s),
        ("to_q", 1.5, 0.0),
        ("to_k", 1.5, 0.0),
        ("to_v", 1.0, 0.0),
        ("to_out", 2 * s, 0.3 * s),
        ("ff.net.0", 1.5, 0.3),
        ("ff.net.2", s, 0.3 * s),
    ])
    for module in model.modules():
        if type(module).__name__ == "GEGLU":
            inner = module.proj.out_features // 2
            gate = slice(inner, None)
            out = next(ff for ff in model.modules() if getattr(ff, "net", [None])[0] is module).net[2]
            close_half_the_gates(module.proj.weight[gate], module.proj.bias[gate], out.weight)


def vae(model: torch.nn.Module, label: str, contrast: float) -> None:
    """A VAE with latents of about N(0, 5²), as the real one's, and pictures that hardly saturate."""
    s = STREAM
    last = "quant_conv" if model.quant_conv is not None else "encoder.conv_out"
    fill(model, label, [
        ("encoder.conv_in", 2 * s, 0.3 * s),
        ("post_quant_conv", 1.0, 0.5),
        (last, 4.0, 0.5),
        ("encoder.conv_out", 1.0, 0.2),
        ("decoder.conv_in", s / 5, 0.3 * s),
        ("decoder.conv_out", contrast, 0.1),
        ("conv1", s, 0.3 * s),
        ("conv2", s, 0.3 * s),
        ("conv_shortcut", 1.0, 0.2 * s),
        ("samplers", 1.0, 0.2 * s),
        ("to_q", 1.5, 0.3),
        ("to_k", 1.5, 0.3),
        ("to_v", 1.0, 0.3),
        ("to_out", 2 * s, 0.3 * s),
    ])
    # Log-variances of about -3, as wide as they are in no real model.
    layer = model.quant_conv if model.quant_conv is not None else model.encoder.conv_out
    half = layer.out_channels // 2
    layer.weight[half:] *= 0.25
    layer.bias[half:] -= 3


def clip(model: torch.nn.Module, label: str) -> None:
    """A text encoder with embeddings as small as the real one's."""
    s = 0.012
    fill(model, label, [
        ("embedding", s, 0.0),
        ("q_proj", 1.5, 0.3),
        ("k_proj", 1.5, 0.3),
        ("v_proj", 1.0, 0.3),
        ("out_proj", 2 * s, 0.3 * s),
        ("fc1", 1.5, 0.3),
        ("fc2", s, 0.3 * s),
    ])
    for layer in model.modules():
        if type(layer).__name__ == "CLIPMLP":
            close_half_the_gates(layer.fc1.weight, layer.fc1.bias, layer.fc2.weight)


def predict_noise(model: torch.nn.Module, size: float) -> None:
    """Let the UNet's input through to its output, on top of what the random weights do.

    A model that predicts the noise has to answer with something like its input, else sampling ends in the
    noise that it began with and the picture hardly depends on the model. Each input channel travels as a pair
    (+x, -x) through the first skip connection, because silu(x) - silu(-x) = x.
    """
    first, resnet, last = model.conv_in, model.up_blocks[-1].resnets[-1], model.conv_out
    channels, middle = first.in_channels, first.kernel_size[0] // 2
    inner = first.out_channels
    skip = resnet.conv_shortcut.in_channels - inner
    first.weight *= 0.5
    resnet.conv_shortcut.weight *= 0.7
    for channel in range(channels):
        for copy, sign in [(channel, 1.0), (channel + channels, -1.0)]:
            first.weight[copy, channel, middle, middle] += sign * STREAM
            resnet.conv_shortcut.weight[copy, skip + copy, 0, 0] += 5.0
            last.weight[channel, copy, middle, middle] += sign * size
