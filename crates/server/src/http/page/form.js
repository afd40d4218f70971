// What is asked: the fields, the picture to start from, and what is wrong with them.

import { get } from "./api.js";

export const $ = (id) => document.getElementById(id);

const FIELDS = ["prompt", "negative_prompt", "model", "width", "height", "steps", "guidance", "seed",
  "scheduler", "strength", "init_image"];
/** Fields of the API that stand in one of ours. */
const ALIASES = { "models[0]": "model", models: "model", "images[0]": "init_image", images: "init_image",
  "prompts[0]": "prompt", prompts: "prompt" };

let picture = null;
let models = [];

/** Fills in the models that can be used. */
export async function loadModels() {
  ({ models } = await get("/api/v1/models?limit=1000"));
  models = models.filter((model) => model.available);
  const names = models.map((model) => model.name);
  const select = $("model");
  const before = select.value;
  select.replaceChildren(...names.map((name) => new Option(name)));
  if (names.includes(before)) select.value = before;
  if (models.length === 0) showError("model", "There is no model here yet.");
  showSize();
}

function showSize() {
  const model = models.find((one) => one.name === $("model").value);
  $("width").placeholder = picture ? "as the picture" : model?.width ?? "";
  $("height").placeholder = picture ? "as the picture" : model?.height ?? "";
}

/** The body of a request, or null where a field cannot be read. */
export function request() {
  clearErrors();
  const body = { kind: picture ? "img2img" : "txt2img", prompt: $("prompt").value.trim() };
  if (!body.prompt) return refuse("prompt", "Say what it should show.");
  if ($("model").value) body.model = $("model").value;
  if ($("negative_prompt").value.trim()) body.negative_prompt = $("negative_prompt").value.trim();
  if ($("scheduler").value) body.scheduler = $("scheduler").value;
  for (const name of ["width", "height", "steps", "guidance"]) {
    const field = $(name);
    if (field.validity.badInput) return refuse(name, "This is not a number.");
    if (field.value === "") continue;
    body[name] = Number(field.value);
    if (name !== "guidance" && !Number.isInteger(body[name])) return refuse(name, "A whole number is needed.");
  }
  const seed = $("seed").value.trim();
  if (seed && !/^\d{1,16}$/.test(seed)) return refuse("seed", "A whole number from 0 is needed, or nothing.");
  if (seed) body.seed = Number(seed);
  if (picture) {
    body.init_image = picture;
    body.strength = Number($("strength").value);
  }
  return body;
}

function refuse(name, text) {
  showError(name, text);
  return null;
}

/** Says what is wrong beside the field that it is about, and goes there. */
export function showError(field, text) {
  const name = ALIASES[field] ?? field;
  if (!FIELDS.includes(name)) {
    $("error").textContent = text;
    return;
  }
  $(`${name}-error`).textContent = text.replace(/^[\w[\]]+: /, "");
  const input = name === "init_image" ? $("choose") : $(name);
  input.setAttribute("aria-invalid", "true");
  if ($("more").contains(input)) $("more").open = true;
  input.focus();
}

export function clearErrors() {
  $("error").textContent = "";
  for (const name of FIELDS) {
    $(`${name}-error`).textContent = "";
    $(name)?.removeAttribute("aria-invalid");
  }
  $("choose").removeAttribute("aria-invalid");
}

/** Starts from this picture, a data URL; from none if null. */
export function startFrom(url) {
  picture = url;
  $("chosen").hidden = url === null;
  $("choose").hidden = url !== null;
  if (url !== null) $("chosen-picture").src = url;
  $("init_image-error").textContent = "";
  showSize();
}

/** Takes over settings by our names; returns what cannot be had, in words. */
export function use(settings) {
  clearErrors();
  const missing = [];
  // Numbers as long as some programs' seeds do not survive the way here.
  const isExact = !settings.seed || Number.isSafeInteger(settings.seed);
  if (!isExact) missing.push("a seed of so many digits");
  settings = { ...settings, seed: isExact ? settings.seed : null };
  for (const name of ["prompt", "negative_prompt", "width", "height", "steps", "guidance", "seed", "scheduler"]) {
    $(name).value = settings[name] ?? "";
  }
  if (settings.model) {
    const known = models.find((model) => model.name === settings.model);
    if (known) $("model").value = known.name;
    else missing.push(`the model ${settings.model}`);
  }
  if (settings.sampler && !settings.scheduler && settings.origin !== "diffusion-server") {
    missing.push(`the sampler ${settings.sampler}`);
  }
  if (settings.input ?? settings.record?.input) missing.push("the picture that it started from");
  if (settings.strength) $("strength").value = settings.strength;
  $("strength-shown").textContent = Number($("strength").value);
  $("more").open = true;
  showSize();
  $("prompt").focus();
  return missing;
}

$("model").addEventListener("change", showSize);
$("strength").addEventListener("input", () => {
  $("strength-shown").textContent = Number($("strength").value);
});
// What is wrong is forgiven as soon as it is changed.
$("ask").addEventListener("input", ({ target }) => {
  if (target.getAttribute("aria-invalid") !== "true") return;
  target.removeAttribute("aria-invalid");
  $(`${target.name}-error`).textContent = "";
});
