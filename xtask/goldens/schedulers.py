"""Writes the reference values of the noise and scheduler tests.

    python xtask/goldens/schedulers.py [--out DIR]

Every trajectory is made as a diffusers pipeline makes it: the configuration is loaded as the
folder's own class, a StableDiffusionPipeline is built around it (which forces some values), and a
scheduler chosen by name is made from the pipeline's with `from_config`. In place of the UNet there
is `fake_unet`, which the Rust tests repeat.
"""

import argparse
import inspect
import json
import pathlib
import tempfile
import warnings

import diffusers
import torch
from safetensors.torch import save_file

warnings.simplefilter("ignore")
diffusers.logging.set_verbosity_error()

KINDS = {
    "euler": ("EulerDiscreteScheduler", {}),
    "euler-a": ("EulerAncestralDiscreteScheduler", {}),
    "ddim": ("DDIMScheduler", {}),
    "dpmpp-2m": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "use_karras_sigmas": False},
    ),
    "dpmpp-2m-karras": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True},
    ),
    "dpmpp-2m-sde": (
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "sde-dpmsolver++", "use_karras_sigmas": False},
    ),
    "pndm": ("PNDMScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "unipc": ("UniPCMultistepScheduler", {}),
    "lcm": ("LCMScheduler", {}),
}
# Names for other noise levels of the above.
SPREAD = {
    "euler-karras": ("EulerDiscreteScheduler", "use_karras_sigmas", {}),
    "lms-karras": ("LMSDiscreteScheduler", "use_karras_sigmas", {}),
    "heun-karras": ("HeunDiscreteScheduler", "use_karras_sigmas", {}),
} | {
    f"dpmpp-2m{sde}-{name}": ("DPMSolverMultistepScheduler", key, {"algorithm_type": algorithm})
    for sde, algorithm in [("", "dpmsolver++"), ("-sde", "sde-dpmsolver++")]
    for name, key in [("karras", "use_karras_sigmas"), ("exponential", "use_exponential_sigmas")]
    if sde or name != "karras"
}
SPREADS = ["use_karras_sigmas", "use_exponential_sigmas"]
CLASSES = sorted({name for name, _ in KINDS.values()})
SPACINGS = ["leading", "linspace", "trailing"]
PREDICTIONS = ["epsilon", "v_prediction", "sample"]
NO_SAMPLE = {"PNDMScheduler", "EulerAncestralDiscreteScheduler"}

SCALED = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
# As Stable Diffusion 1.5 and 2.1 have it.
SD15 = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    **SCALED,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
    "clip_sample": False,
}
SD21 = {
    **SD15,
    "_class_name": "DDIMScheduler",
    "_diffusers_version": "0.8.0",
    "prediction_type": "v_prediction",
}


def config(cls, **values):
    """A configuration of a class with Stable Diffusion's betas."""
    return {"_class_name": cls, **SCALED, "num_train_timesteps": 1000, **values}


def cases():
    """Yields (configuration, kind or None, steps, strength or None) with options."""
    euler, ancestral = "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"
    lms, heun = "LMSDiscreteScheduler", "HeunDiscreteScheduler"
    dpm, unipc = "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"
    ddim, pndm, lcm = "DDIMScheduler", "PNDMScheduler", "LCMScheduler"

    # Every name over the two models' own configurations.
    for kind in [None, *KINDS]:
        for base in [SD15, SD21]:
            for steps in [1, 2, 5, 20]:
                yield base, kind, steps, None
        yield SD15, kind, 50, None
        for strength in [0.05, 0.3, 0.75, 1.0]:
            yield SD15, kind, 20, strength
        yield SD21, kind, 10, 0.6
        # What the pipeline forces, with the keys there, not there, and listed as defaults.
        sparse = {k: v for k, v in SD15.items() if k not in ("steps_offset", "clip_sample")}
        yield sparse, kind, 6, None
        yield {**sparse, "_class_name": ddim}, kind, 6, None
        yield {**SD15, "_class_name": ddim, "steps_offset": 0, "clip_sample": True}, kind, 6, None
        yield {**SD15, "_use_default_values": ["beta_end", "steps_offset"]}, kind, 6, None
        yield {"_class_name": ddim}, kind, 6, None
        if kind is not None:
            ddpm = {**sparse, "_class_name": "DDPMScheduler", "variance_type": "fixed_small"}
            yield {**ddpm, "clip_sample": True}, kind, 6, None

    # Every class by its own configuration.
    for cls in CLASSES:
        for prediction in PREDICTIONS:
            if prediction == "sample" and cls in NO_SAMPLE:
                continue
            for spacing in SPACINGS:
                yield config(cls, prediction_type=prediction, timestep_spacing=spacing), None, 7, None
        for spacing in SPACINGS:
            yield config(cls, timestep_spacing=spacing), None, 24, 0.7
        yield {"_class_name": cls}, None, 9, None
        yield config(cls, beta_schedule="squaredcos_cap_v2"), None, 9, None
        betas = [0.01, 0.015, 0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4]
        small = {"trained_betas": betas, "num_train_timesteps": len(betas)}
        if cls == lcm:
            small["original_inference_steps"] = 6
        yield config(cls, **small), None, 5, None
        if cls not in (pndm, lms, heun):
            for prediction in ["v_prediction", "sample"]:
                if prediction == "sample" and cls in NO_SAMPLE:
                    continue
                snr = {"rescale_betas_zero_snr": True, "prediction_type": prediction}
                yield config(cls, **snr, timestep_spacing="trailing"), None, 8, None
                yield config(cls, **snr, timestep_spacing="leading"), None, 8, None
        else:  # a key that the class does not know
            yield config(cls, rescale_betas_zero_snr=True), None, 8, None

    # Noise levels.
    for cls in [euler, lms, heun, dpm, unipc]:
        for spread in ["use_karras_sigmas", "use_exponential_sigmas"]:
            bounds = {spread: True, "sigma_min": 0.05, "sigma_max": 10.0}
            for steps in [1, 6, 25]:
                yield config(cls, **{spread: True}), None, steps, None
            yield config(cls, **bounds), None, 6, None
            yield config(cls, **{spread: True}, timestep_spacing="leading"), None, 20, 0.5
            # The first timesteps coincide, which diffusers survives only with a begin index.
            yield config(cls, **{spread: True}, beta_schedule="squaredcos_cap_v2"), None, 6, 1.0
    yield config(euler, sigma_min=0.05, sigma_max=10.0), "dpmpp-2m-karras", 6, None
    yield config(euler, use_karras_sigmas=True, sigma_min=0.05), "lms", 6, None
    yield config(euler, use_karras_sigmas=True, sigma_min=0.05), "heun", 6, None
    for cls in [euler, dpm, unipc]:
        for more in [{}, {"use_karras_sigmas": True}]:
            for steps in [6, 20]:
                yield config(cls, final_sigmas_type="sigma_min", **more), None, steps, None
    for more in [{}, {"use_karras_sigmas": True}, {"final_sigmas_type": "sigma_min"}]:
        yield config(euler, interpolation_type="log_linear", **more), None, 6, None
    yield config(euler, timestep_type="continuous"), None, 6, None
    yield config(euler, timestep_type="continuous", prediction_type="v_prediction"), None, 6, None
    yield config(euler, prediction_type="original_sample"), None, 6, None
    for cls in [euler, dpm]:  # one timestep too many
        yield config(cls, timestep_spacing="trailing"), None, 61, None

    # DPM-Solver.
    for algorithm in ["dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver"]:
        final = {} if algorithm.endswith("++") else {"final_sigmas_type": "sigma_min"}
        for order in [1, 2, 3]:
            if algorithm == "sde-dpmsolver" and order == 3:
                continue
            solver = {"algorithm_type": algorithm, "solver_order": order, **final}
            for steps in [8, 18]:
                yield config(dpm, **solver), None, steps, None
            yield config(dpm, **solver), None, 10, 0.5
        for prediction in ["v_prediction", "sample"]:
            heun_type = {"solver_type": "heun", "prediction_type": prediction}
            yield config(dpm, algorithm_type=algorithm, **heun_type, **final), None, 16, None
        limit = {"thresholding": True, "dynamic_thresholding_ratio": 0.9, "sample_max_value": 1.5}
        yield config(dpm, algorithm_type=algorithm, **limit, **final), None, 8, None
    yield config(dpm, algorithm_type="sde-dpmsolver++"), None, 6, None, {"shape": (1, 4, 1, 2)}
    yield config(dpm, euler_at_final=True, final_sigmas_type="sigma_min"), None, 20, None
    yield config(dpm, lower_order_final=False, solver_order=3), None, 8, None
    for steps in [1, 6, 20]:
        yield config(dpm, use_lu_lambdas=True), None, steps, None
    for spacing in SPACINGS:
        clipped = {"lambda_min_clipped": -5.1, "timestep_spacing": spacing}
        yield config(dpm, beta_schedule="squaredcos_cap_v2", **clipped), None, 10, None
    yield config(dpm, lambda_min_clipped=float("-inf"), variance_type=None), None, 6, None
    deis = {"algorithm_type": "deis", "solver_type": "logrho"}
    yield config(dpm, **deis, final_sigmas_type="sigma_min"), None, 6, None

    # UniPC.
    for order in [1, 2, 3]:
        for steps in [8, 18]:
            yield config(unipc, solver_order=order), None, steps, None
            for predict_x0 in [True, False]:
                solver = {"solver_order": order, "solver_type": "bh1", "predict_x0": predict_x0}
                yield config(unipc, **solver, final_sigmas_type="sigma_min"), None, steps, None
        yield config(unipc, solver_order=order), None, 16, 0.5
    for prediction in PREDICTIONS:
        noise = {"predict_x0": False, "final_sigmas_type": "sigma_min"}
        yield config(unipc, prediction_type=prediction, **noise), None, 8, None
    yield config(unipc, disable_corrector=[0, 1, 4]), None, 8, None
    yield config(unipc, lower_order_final=False, final_sigmas_type="sigma_min"), None, 8, None
    yield config(unipc, thresholding=True, sample_max_value=1.5), None, 8, None
    yield config(unipc, solver_type="bh1", final_sigmas_type="sigma_min"), "dpmpp-2m", 8, None
    final = {"final_sigmas_type": "sigma_min"}
    yield config(dpm, solver_type="bh1", **final), "unipc", 8, None
    yield config(unipc, solver_type="bh1", **final), "unipc", 8, None
    yield config("DEISMultistepScheduler", solver_type="bh1", **final), "unipc", 8, None

    # PNDM with Runge-Kutta steps.
    for steps in [4, 5, 15, 50]:
        for prediction in ["epsilon", "v_prediction"]:
            yield config(pndm, prediction_type=prediction), None, steps, None
    for strength in [0.3, 0.5, 0.9]:
        yield config(pndm), None, 20, strength
    for spacing in SPACINGS:
        yield config(pndm, timestep_spacing=spacing, set_alpha_to_one=True), None, 12, None

    # Ranges of the predicted latent, and what is left.
    for cls in [ddim, lcm]:
        for ratio in [0.3, 0.995]:
            limit = {"thresholding": True, "dynamic_thresholding_ratio": ratio, "sample_max_value": 2.0}
            yield config(cls, **limit), None, 6, None
        yield config(cls, set_alpha_to_one=False), None, 6, None
    yield config(pndm, clip_sample_range=0.7), "ddim", 6, None
    yield config(lcm, original_inference_steps=20, timestep_scaling=0.01), None, 6, None
    yield config(lcm), None, 50, None
    yield config(lcm), None, 6, None, {"shape": (1, 4, 1, 3)}
    yield config(ancestral), None, 6, None, {"shape": (1, 4, 1, 3)}
    for beta_schedule in ["exp", "scaled_linear", "linear"]:
        yield config(heun, beta_schedule=beta_schedule), None, 6, None

    # The names for other noise levels, over the models' own configurations and over one that
    # spreads them already.
    for kind in SPREAD:
        for base in [SD15, SD21]:
            for steps in [1, 2, 5, 20]:
                yield base, kind, steps, None
        yield SD15, kind, 20, 0.3
        yield config(euler, use_karras_sigmas=True, sigma_min=0.05), kind, 6, None
        yield config(euler, use_exponential_sigmas=True), kind, 6, None


def load(values, kind):
    """The scheduler as a pipeline has it."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "scheduler_config.json").write_text(json.dumps(values))
        own = getattr(diffusers, values["_class_name"]).from_pretrained(folder)
    pipeline = diffusers.StableDiffusionPipeline(
        vae=None,
        text_encoder=None,
        tokenizer=None,
        unet=None,
        scheduler=own,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    if kind is None:
        return pipeline.scheduler
    if kind in KINDS:
        cls, overrides = KINDS[kind]
    else:
        cls, key, overrides = SPREAD[kind]
        overrides = {**overrides, **{name: name == key for name in SPREADS}}
    return getattr(diffusers, cls).from_config(pipeline.scheduler.config, **overrides)


def fake_unet(latent, timestep):
    """A smooth stand-in made of operations that round the same everywhere."""
    n = latent.numel()
    bias = torch.tensor([(7 * i % 11 - 5) / 8 for i in range(n)]).reshape(latent.shape)
    return (latent * 0.75 + bias * (timestep.float() / 1000)) / (latent * latent * 0.0625 + 1)


def trajectory(values, kind, steps, strength, seed, shape):
    """The case's description, timesteps and latents (the first, and after every evaluation)."""
    scheduler = load(values, kind)
    scheduler.set_timesteps(steps)
    timesteps, begin = scheduler.timesteps, 0
    if strength is not None:  # StableDiffusionImg2ImgPipeline.get_timesteps
        begin = (steps - min(int(steps * strength), steps)) * scheduler.order
        timesteps = timesteps[begin:]
        if hasattr(scheduler, "set_begin_index"):
            scheduler.set_begin_index(begin)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(shape, generator=generator)
    if strength is None:
        latent = noise * scheduler.init_noise_sigma
    else:
        clean = torch.tensor([(37 * i % 23 - 11) / 8 for i in range(noise.numel())])
        latent = scheduler.add_noise(clean.reshape(shape), noise, timesteps[:1])
    parameters = inspect.signature(scheduler.step).parameters
    more = {"eta": 0.0} if "eta" in parameters else {}
    if "generator" in parameters:
        more["generator"] = generator
    latents = [latent]
    for timestep in timesteps:
        output = fake_unet(scheduler.scale_model_input(latent, timestep), timestep)
        latent = scheduler.step(output, timestep, latent, **more).prev_sample
        latents.append(latent)
    latents = torch.stack([x.flatten() for x in latents])
    if not latents.isfinite().all():
        raise ValueError(f"not finite: {values} {kind} {steps} {strength}")
    case = {
        "config": values,
        "kind": kind,
        "class": type(scheduler).__name__,
        "steps": steps,
        "strength": strength,
        "begin": begin,
        "seed": seed,
        "init_noise_sigma": float(scheduler.init_noise_sigma),
    }
    return case, scheduler.timesteps.float(), latents


def draws():
    """Draws of noise: name to (seed, sizes drawn in turn)."""
    sizes = [1, 5, 15, 16, 17, 31, 32, 100]
    singles = {f"seed{seed}.n{n}": (seed, [n]) for seed in [0, 42] for n in sizes}
    return singles | {
        "high": (2**32 + 42, [100]),
        "highest": (2**64 - 1, [20]),
        "mixed": (7, [3, 16, 2, 5, 40, 1, 1, 17, 700, 3]),
        "large": (1234, [16384]),
    }


def write_noise(out):
    tensors = {}
    for name, (seed, sizes) in draws().items():
        # PyTorch takes seeds above 2^63 as negative numbers.
        generator = torch.Generator().manual_seed(seed - 2**64 if seed >= 2**63 else seed)
        values = torch.cat([torch.randn(n, generator=generator) for n in sizes])
        if name == "large":
            tensors["large.last"] = values[-48:].clone()
            values = values[:48].clone()
        tensors[name] = values
    # Seeds as text: JSON's numbers may lose the low bits.
    described = {name: [str(seed), sizes] for name, (seed, sizes) in draws().items()}
    save_file(tensors, out / "noise.safetensors", metadata={"draws": json.dumps(described)})


def write_trajectories(out):
    tensors, described = {}, []
    for i, case in enumerate(cases()):
        values, kind, steps, strength, *options = case
        shape = options[0]["shape"] if options else (1, 4, 1, 5)
        case, timesteps, latents = trajectory(values, kind, steps, strength, 1000 + i, shape)
        tensors[f"{i}.timesteps"], tensors[f"{i}.latents"] = timesteps, latents
        described.append(json.dumps(case))
    save_file(tensors, out / "schedulers.safetensors")
    (out / "schedulers.json").write_text("[\n" + ",\n".join(described) + "\n]\n")
    print(f"{len(described)} trajectories")


def main():
    default = pathlib.Path(__file__).resolve().parents[2] / "crates/engine/tests/goldens"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=default)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    write_noise(out)
    write_trajectories(out)


if __name__ == "__main__":
    main()
