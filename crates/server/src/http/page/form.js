// What is asked: the fields, the picture to start from, and what is wrong with them.

import { get } from "./api.js";
import { $ } from "./dom.js";
import { notTaken, withoutNetworks } from "./taken.js";

const FIELDS = ["prompt", "negative_prompt", "model", "width", "height", "steps", "guidance", "seed",
  "scheduler", "syntax", "clip_skip", "variation_seed", "variation_strength", "resize", "strength",
  "init_image"];
/** Fields of the API that stand in one of ours. */
const ALIASES = { "models[0]": "model", models: "model", "images[0]": "init_image", images: "init_image",
  "prompts[0]": "prompt", prompts: "prompt" };

/** What images are made with where neither the form nor the model says. */
const USUAL = ["steps", "guidance"].map((name) => [name, $(name).placeholder]);

/** The largest seed. */
const LAST_SEED = 2n ** 64n - 1n;

let picture = null;
/** A strength that the slider cannot stand at. */
let exactStrength = null;
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
  showDefaults();
}

/** Shows in empty fields what the model would take. */
function showDefaults() {
  const model = models.find((one) => one.name === $("model").value);
  $("width").placeholder = picture ? "as the picture" : model?.width ?? "";
  $("height").placeholder = picture ? "as the picture" : model?.height ?? "";
  for (const [name, usual] of USUAL) $(name).placeholder = model?.[name] ?? usual;
}

/** The body of a request, or null where a field cannot be read. */
export function request() {
  clearErrors();
  const body = { kind: picture ? "img2img" : "txt2img", prompt: $("prompt").value.trim() };
  if (!body.prompt) return refuse("prompt", "Say what it should show.");
  if ($("model").value) body.model = $("model").value;
  if ($("negative_prompt").value.trim()) body.negative_prompt = $("negative_prompt").value.trim();
  if ($("scheduler").value) body.scheduler = $("scheduler").value;
  for (const name of ["width", "height", "steps", "guidance", "clip_skip", "variation_strength"]) {
    const field = $(name);
    if (field.validity.badInput) return refuse(name, "This is not a number.");
    if (field.value === "") continue;
    body[name] = Number(field.value);
    if (!["guidance", "variation_strength"].includes(name) && !Number.isInteger(body[name])) return refuse(name, "A whole number is needed.");
  }
  for (const name of ["seed", "variation_seed"]) {
    const seed = $(name).value.trim();
    if (!seed) continue;
    if (!/^\d{1,20}$/.test(seed) || BigInt(seed) > LAST_SEED) {
      return refuse(name, `A whole number from 0 to ${LAST_SEED} is needed, or nothing.`);
    }
    body[name] = String(BigInt(seed));
  }
  const hasVariation = body.variation_seed !== undefined;
  if (hasVariation !== (body.variation_strength !== undefined)) {
    return refuse(hasVariation ? "variation_strength" : "variation_seed", "Seed and part go together.");
  }
  body.syntax = $("syntax").value;
  if (picture) {
    body.init_image = picture;
    body.strength = exactStrength ?? Number($("strength").value);
    if ($("resize").value !== "stretch") body.resize = $("resize").value;
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

/** Whether what is focused raises a keyboard. */
export const isTouched = matchMedia("(pointer: coarse)").matches;

/** Goes to the prompt, unless that raises a keyboard. */
export const toPrompt = () => $(isTouched ? "make" : "prompt").focus({ preventScroll: isTouched });

/** Starts from this picture, a data URL; from none if null. */
export function startFrom(url) {
  picture = url;
  $("chosen").hidden = url === null;
  $("choose").hidden = url !== null;
  if (url !== null) $("chosen-picture").src = url;
  $("resize-field").hidden = url === null;
  $("init_image-error").textContent = "";
  showDefaults();
}

/** Takes over settings by our names; returns what cannot be had, in words. */
export function use(settings) {
  clearErrors();
  const missing = [];
  const isOurs = settings.origin === "diffusion-server";
  const prompt = (text) => (isOurs ? text ?? "" : withoutNetworks(text ?? ""));
  const values = {
    ...settings,
    prompt: prompt(settings.prompt),
    negative_prompt: prompt(settings.negative_prompt),
    syntax: settings.syntax ?? "plain",
    variation_seed: settings.variation?.seed,
    variation_strength: settings.variation?.strength,
    resize: (settings.record ?? settings).resize ?? "stretch",
  };
  const names = FIELDS.filter((name) => !["model", "strength", "init_image"].includes(name));
  for (const name of names) $(name).value = values[name] ?? "";
  if (settings.model) {
    const known = models.find((model) => model.name === settings.model);
    if (known) $("model").value = known.name;
    else missing.push(`the model ${settings.model}`);
  }
  if (settings.sampler && !settings.scheduler && !isOurs) missing.push(`the sampler ${settings.sampler}`);
  if (settings.strength) {
    exactStrength = settings.strength;
    $("strength").value = settings.strength;
    showStrength();
  }
  $("more").open = true;
  showDefaults();
  toPrompt();
  return [...missing, ...notTaken(settings)];
}

function showStrength() {
  $("strength-shown").textContent = exactStrength ?? Number($("strength").value);
}

$("model").addEventListener("change", showDefaults);
$("strength").addEventListener("input", () => {
  exactStrength = null;
  showStrength();
});
// What is wrong is forgiven as soon as it is changed.
$("ask").addEventListener("input", ({ target }) => {
  if (target.getAttribute("aria-invalid") !== "true") return;
  target.removeAttribute("aria-invalid");
  $(`${target.name}-error`).textContent = "";
});
