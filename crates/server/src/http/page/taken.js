// What a picture says of how it was made, and what of that cannot be had here.

/** Settings of AUTOMATIC1111's web UI that the form has, or that change nothing. */
const FOLLOWED = ["CFG scale", "Clip skip", "Denoising strength", "Hashes", "Model", "Model hash",
  "Precision", "RNG", "Sampler", "Schedule type", "Seed", "Size", "Steps", "Variation seed",
  "Variation seed strength", "Version"];
const OF_MASKS = /^(mask|inpaint|soft inpainting)/i;
const NETWORK = /<(lora|lyco|hypernet):[^<>]*>/gi;

/** The prompt without what names networks, which would be read as words here. */
export const withoutNetworks = (prompt) => prompt.replace(NETWORK, "").trim();

/** What no field has, in words. */
export function notTaken(settings) {
  const isOurs = settings.origin === "diffusion-server";
  const names = isOurs ? [] : Object.keys(settings.parameters ?? {});
  const { mask, input } = settings.record ?? settings;
  const ofMask = names.filter((name) => OF_MASKS.test(name));
  const ofNetworks = names.filter((name) => /lora/i.test(name));
  const others = names.filter((name) => ![...FOLLOWED, ...ofMask, ...ofNetworks].includes(name));
  const isMasked = Boolean(mask) || ofMask.length > 0;
  // Of an enlargement, the strength is that of its second pass.
  const isEnlarged = names.some((name) => name.startsWith("Hires"));
  const isDrawnOn = input || isMasked || (!isOurs && settings.strength && !isEnlarged);
  const graph = settings.origin === "comfyui" ? settings.texts?.prompt ?? settings.texts?.workflow ?? "" : "";
  const node = (part) => new RegExp(`"(class_type|type)":\\s*"[^"]*${part}`, "i").test(graph);
  const prompts = `${settings.prompt ?? ""} ${settings.negative_prompt ?? ""}`;
  const hasNetworks = ofNetworks.length > 0 || node("lora") || (!isOurs && prompts.search(NETWORK) >= 0);
  return [
    isDrawnOn ? "the picture that it started from" : "",
    isMasked ? "the mask" : "",
    hasNetworks ? "its LoRA or other networks" : "",
    node("controlnet") ? "ControlNet" : "",
    others.length > 0 ? `what is not here: ${others.join(", ")}` : "",
  ].filter(Boolean);
}
