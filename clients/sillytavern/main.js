// The calls that SillyTavern 1.19.0 makes to its image source "Stable Diffusion Web UI
// (AUTOMATIC1111)", in its order, against this server.
//
// It reads where the server is and which API key to send from DIFFUSION_SERVER_URL (such as
// http://127.0.0.1:8000) and DIFFUSION_SERVER_KEY (anything, where the server demands none).
// SillyTavern is set to them as the source's URL and its authentication, `anyone:KEY`.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";
import fetch from "node-fetch";

const { DIFFUSION_SERVER_URL: url, DIFFUSION_SERVER_KEY: key = "none" } = process.env;
const auth = `anyone:${key}`;
const headers = { Authorization: `Basic ${Buffer.from(auth).toString("base64")}` };
const address = (name) => new URL(`/sdapi/v1/${name}`, url);

async function get(name) {
  const answer = await fetch(address(name), { headers });
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

function post(name, body, signal) {
  return fetch(address(name), {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify(body),
    signal,
  });
}

// Until nothing is under way: it looks ten times, every two seconds.
async function idle() {
  for (let attempt = 0; attempt < 10; attempt++) {
    const { progress, state } = await get("progress");
    if (progress === 0 && state.job_count === 0) return;
    await pause(2000);
  }
  assert.fail("something is under way still");
}

// The button "Connect" tries the options; then come the lists that its settings offer.
await get("options");
const names = async (name) => (await get(name)).map((item) => item.name);
assert((await names("samplers")).includes("DDIM"));
assert((await names("schedulers")).length > 0);
const [upscalers, latent] = await Promise.all([names("upscalers"), names("latent-upscale-modes")]);
upscalers.splice(1, 0, ...latent);
assert.equal(upscalers[0], "None");
// Forge has its own list in place of the other: one of the two must be there.
const vaes = await Promise.allSettled([get("sd-vae"), get("sd-modules")]);
assert(Array.isArray(vaes.find((list) => list.status === "fulfilled").value));
const models = (await get("sd-models")).map((model) => model.title);
const before = (await get("options")).sd_model_checkpoint;
assert(models.includes(before));

// Another model is chosen.
const model = models.at(-1);
assert((await post("options", { sd_model_checkpoint: model })).ok);
await idle();
assert.equal((await get("options")).sd_model_checkpoint, model);

// An image, with every setting, where the server is and how to enter among them.
function asked(settings) {
  return {
    url,
    auth,
    prompt: "a cat, best quality",
    negative_prompt: "lowres, blurry",
    sampler_name: "DDIM",
    scheduler: "normal",
    steps: 4,
    cfg_scale: 7,
    width: 128,
    height: 128,
    restore_faces: false,
    enable_hr: false,
    hr_upscaler: "Latent",
    hr_scale: 1,
    hr_additional_modules: [],
    denoising_strength: 0.7,
    hr_second_pass_steps: 0,
    // Only Forge is told of further modules: whether this is it, the options say.
    override_settings: { CLIP_stop_at_last_layers: 2, sd_vae: "Automatic" },
    override_settings_restore_afterwards: true,
    clip_skip: 2,
    save_images: true,
    send_images: true,
    do_not_save_grid: false,
    do_not_save_samples: false,
    ...settings,
  };
}
assert(!("forge_preset" in (await get("options"))));
const answer = await post("txt2img", asked({ seed: 7 }));
assert(answer.ok, `${answer.status}`);
const made = await answer.json();
await writeFile("cat.png", Buffer.from(made.images[0], "base64"));
const info = JSON.parse(made.info);
assert.deepEqual([info.seed, info.clip_skip, info.sampler_name], [7, 2, "DDIM"]);
console.log(`cat.png: ${info.width}x${info.height} pixels, by ${info.sd_model_name}`);

// The user stops waiting: the call is interrupted and given up at once.
await get("options");
const stop = new AbortController();
const long = post("txt2img", asked({ steps: 900, width: 256, height: 256 }), stop.signal);
while (!(await get("progress")).state.sampling_step) await pause(50);
const interrupted = fetch(address("interrupt"), { method: "POST", headers });
stop.abort();
await assert.rejects(long, { name: "AbortError" });
assert((await interrupted).ok);
await idle();

// What cannot be done is no image.
const refused = await post("txt2img", asked({ enable_hr: true }));
assert.equal(refused.status, 422);
assert.match((await refused.json()).detail, /^enable_hr/);
