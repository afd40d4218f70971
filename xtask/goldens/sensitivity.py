"""Check that the goldens tell a right model from a nearly right one: `python sensitivity.py --out DIR`.

Each line breaks one thing in a tiny model and prints by how much the module's answer moves, as
max|a - b| / max|b|. The last lines show that whole images do not amplify rounding errors: initial noise
moved by 1e-5 moves them by far less than 1/255. Writes nothing.
"""

import copy
import types

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file
from torch import nn

import images
from common import out_dir, randn
from modules import guidance_embedding


def moved(right: torch.Tensor, wrong: torch.Tensor) -> float:
    return ((right - wrong).abs().max() / right.abs().max()).item()


def report(label: str, model, answer, breakages: dict) -> None:
    right = answer(model)
    for name, change in breakages.items():
        broken = copy.deepcopy(model)
        if change(broken) == 0:
            continue
        value = moved(right, answer(broken))
        print(f"{label:14} {name:38} {value:9.1e}{'   <-- weak' if value < 1e-3 else ''}", flush=True)


def modules(model, kind):
    """The model's modules of a class, given as such or by its name."""
    named = isinstance(kind, str)
    return [
        module
        for module in model.modules()
        if (type(module).__name__ == kind if named else isinstance(module, kind))
    ]


def set_eps(kind, value):
    def change(model):
        found = [module for module in modules(model, kind) if module.eps != value]
        for module in found:
            module.eps = value
        return len(found)

    return change


def one_eps(kind, value):
    """Only one norm of the model is wrong: the last one found."""

    def change(model):
        modules(model, kind)[-1].eps = value

    return change


def zero(part: str):
    def change(model):
        found = [value for name, value in model.named_parameters() if part in name]
        for value in found:
            value.zero_()
        return len(found)

    return change


def swap_geglu(model):
    for module in modules(model, "GEGLU"):
        for value in module.proj.parameters():
            value.copy_(torch.cat(value.chunk(2)[::-1]))


def geglu_act(function):
    def change(model):
        for module in modules(model, "GEGLU"):
            module.gelu = function

    return change


def heads(factor: float):
    """Scale the number of heads of every attention, keeping the width."""

    def change(model):
        for module in modules(model, "Attention"):
            module.heads = max(1, int(module.heads * factor))
            module.scale = (module.to_q.out_features / module.heads) ** -0.5

    return change


def symmetric_padding(model):
    found = 0
    for module in modules(model, "Downsample2D"):
        module.padding, module.conv.padding = 1, (1, 1)
        found += 1
    return found


def asymmetric_padding(model):
    for module in modules(model, "Downsample2D"):
        module.padding, module.conv.padding = 0, (0, 0)


def groups(value: int):
    def change(model):
        for module in modules(model, nn.GroupNorm):
            module.num_groups = value

    return change


def act(new):
    def change(model):
        found = [module for module in modules(model, "CLIPMLP")]
        for module in found:
            del module.activation_fn
            module.activation_fn = new
        return len(found)

    return change


def swap_sin_cos(model):
    model.time_proj.flip_sin_to_cos = False


def freq_shift(model):
    model.time_proj.downscale_freq_shift = 1


def whole_timesteps(model):
    inner = model.forward
    model.forward = lambda sample, times, context: inner(sample, times.floor(), context)


def bilinear(model):
    for module in modules(model, "Upsample2D"):
        module.interpolate = True

        def forward(self, states, output_size=None, *_, **__):
            size = output_size or [2 * length for length in states.shape[-2:]]
            return self.conv(F.interpolate(states, size=tuple(size), mode="bilinear"))

        module.forward = types.MethodType(forward, module)


def no_upsample_size(model):
    """Enlarge by two and cut, in place of enlarging to the size of the skip."""
    for module in modules(model, "Upsample2D"):

        def forward(self, states, output_size=None, *_, **__):
            large = F.interpolate(states, scale_factor=2.0, mode="nearest")
            if output_size is not None:
                large = large[..., -output_size[0] :, -output_size[1] :]
            return self.conv(large)

        module.forward = types.MethodType(forward, module)


def no_causal_mask(model):
    for module in modules(model, "CLIPAttention"):
        inner = module.forward

        def forward(hidden_states, attention_mask=None, inner=inner, **kwargs):
            kwargs["is_causal"] = False
            return inner(hidden_states=hidden_states, attention_mask=None, **kwargs)

        module.forward = forward


def tanh_gelu(value):
    return F.gelu(value, approximate="tanh")


def quick_gelu(value):
    return value * torch.sigmoid(1.702 * value)


def check_unet(name: str, model, goldens: dict) -> None:
    def answer(case):
        keys = [f"{case}.{part}" for part in ("sample", "timesteps", "context")]
        return lambda model: model(*[goldens[key] for key in keys]).sample

    assert moved(goldens["unet.b3.noise"], answer("unet.b3")(model)) < 1e-5
    report(f"{name}.unet", model, answer("unet.b3"), {
        "all group norms eps 1e-5": set_eps(nn.GroupNorm, 1e-5),
        "all group norms eps 1e-6": set_eps(nn.GroupNorm, 1e-6),
        "conv_norm_out eps 1e-6": lambda model: setattr(model.conv_norm_out, "eps", 1e-6),
        "layer norms eps 1e-6": set_eps(nn.LayerNorm, 1e-6),
        "one layer norm eps 1e-6": one_eps(nn.LayerNorm, 1e-6),
        "group norms of half as many groups": groups(model.config.norm_num_groups // 2),
        "GELU by tanh": geglu_act(tanh_gelu),
        "GELU by sigmoid": geglu_act(quick_gelu),
        "GEGLU halves swapped": swap_geglu,
        "twice the heads": heads(2),
        "half the heads": heads(0.5),
        "no to_out bias": zero("to_out.0.bias"),
        "no shortcut bias": zero("conv_shortcut.bias"),
        "no conv1 bias": zero("conv1.bias"),
        "no conv2 bias": zero("conv2.bias"),
        "no proj_in bias": zero("proj_in.bias"),
        "no proj_out bias": zero("proj_out.bias"),
        "no ff bias": zero("ff.net.2.bias"),
        "no time_emb_proj bias": zero("time_emb_proj.bias"),
        "no downsampler bias": zero("downsamplers.0.conv.bias"),
        "no cross attention": zero("attn2.to_out.0"),
        "no self attention": zero("attn1.to_out.0"),
        "asymmetric downsampling": asymmetric_padding,
        "bilinear upsampling": bilinear,
        "sin before cos": swap_sin_cos,
        "freq_shift 1": freq_shift,
        "timesteps rounded down": whole_timesteps,
    })
    report(f"{name}.unet.odd", model, answer("unet.odd"), {"upsampled by 2 and cut": no_upsample_size})


def check_guided_unet(model, goldens: dict) -> None:
    """What a UNet makes of the guidance scale that it is told."""
    sample, times, context = (goldens[f"unet.g3.{part}"] for part in ("sample", "timesteps", "context"))
    embedding = goldens["unet.g3.embedding"]

    def told(embedding):
        return lambda model: model(sample, times, context, timestep_cond=embedding).sample

    assert moved(goldens["unet.g3.noise"], told(embedding)(model)) < 1e-5
    report("lcm.unet", model, told(embedding), {"scale not heard": zero("cond_proj")})
    half = embedding.shape[1] // 2
    for name, wrong in {
        "cosines before sines": torch.cat([embedding[:, half:-1], embedding[:, :half], embedding[:, -1:]], dim=1),
        "scale, not scale - 1": guidance_embedding(model, [2.0, 4.7, 15.0]),
        "scale 1 % too large": guidance_embedding(model, [1.01, 3.737, 14.14]),
    }.items():
        value = moved(told(embedding)(model), told(wrong)(model))
        print(f"{'lcm.unet':14} {name:38} {value:9.1e}{'   <-- weak' if value < 1e-3 else ''}", flush=True)


def check_vae(name: str, model, goldens: dict) -> None:
    image, latents = goldens["vae.encode.40x24.image"], goldens["vae.decode.40x24.latents"]
    breakages = {
        "all group norms eps 1e-5": set_eps(nn.GroupNorm, 1e-5),
        "last group norm eps 1e-5": one_eps(nn.GroupNorm, 1e-5),
        "group norms of half as many groups": groups(model.config.norm_num_groups // 2),
        "no attention": zero("attentions.0.to_out.0"),
        "no to_q bias": zero("to_q.bias"),
        "no to_out bias": zero("to_out.0.bias"),
        "two heads": heads(2),
        "no shortcut bias": zero("conv_shortcut.bias"),
        "no conv2 bias": zero("conv2.bias"),
    }
    decoding = {"no post_quant bias": zero("post_quant_conv.bias"), "bilinear upsampling": bilinear}
    encoding = {"symmetric downsampling": symmetric_padding, "no quant bias": zero("quant_conv.bias")}
    only_decoder = {"last group norm eps 1e-5"}
    report(f"{name}.encode", model, lambda model: model.encode(image).latent_dist.mean,
           {key: value for key, value in breakages.items() if key not in only_decoder} | encoding)
    report(f"{name}.decode", model, lambda model: model.decode(latents).sample, breakages | decoding)


def check_text(name: str, model, goldens: dict) -> None:
    report(f"{name}.text", model, lambda model: model(goldens["text.ids"])[0], {
        "layer norms eps 1e-6": set_eps(nn.LayerNorm, 1e-6),
        "one layer norm eps 1e-6": one_eps(nn.LayerNorm, 1e-6),
        "the other GELU": act(F.gelu if name == "sd1" else quick_gelu),
        "the GELU by tanh": act(tanh_gelu),
        "no causal mask": no_causal_mask,
        "no final norm": lambda model: setattr(model, "final_layer_norm", nn.Identity()),
        "no q bias": zero("q_proj.bias"),
        "no v bias": zero("v_proj.bias"),
        "no positions": zero("position_embedding"),
    })


def check_images(name: str, pipelines: dict) -> None:
    own = pipelines["text"].scheduler
    for case in images.cases(name):
        if case["kind"] != "text":
            continue
        factor = pipelines["text"].vae_scale_factor
        shape = (1, 4, case["height"] // factor, case["width"] // factor)
        noise = torch.randn(shape, generator=torch.Generator("cpu").manual_seed(case["seed"]))
        shaken = noise + 1e-5 * randn("shake", *shape)
        one, other = (
            images.run(pipelines, case, own, latents=latents, output_type="np")[0] for latents in (noise, shaken)
        )
        print(f"{case['name']:28} shaken by 1e-5: moves by {255 * abs(one - other).max():.3f}/255", flush=True)


def main() -> None:
    out = out_dir(__doc__)
    for name in ["sd1", "sd2"]:
        pipelines = images.load(out, name)
        pipeline = pipelines["text"]
        goldens = load_file(out / f"modules-{name}.safetensors")
        check_text(name, pipeline.text_encoder, goldens)
        check_vae(name, pipeline.vae, goldens)
        check_unet(name, pipeline.unet, goldens)
        check_images(name, pipelines)
    unet = UNet2DConditionModel.from_pretrained(out / "tiny-lcm/unet")
    check_guided_unet(unet, load_file(out / "modules-lcm.safetensors"))
    goldens = load_file(out / "modules-vae.safetensors")
    check_vae("bare", AutoencoderKL.from_pretrained(out / "tiny-vae"), goldens)


if __name__ == "__main__":
    main()
