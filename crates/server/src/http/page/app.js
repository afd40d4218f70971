// What the page does when something is typed, pressed, dropped or pasted.

import "./key.js";
import { call, get, post, Problem, read } from "./api.js";
import { $ } from "./dom.js";
import { isTouched, loadModels, request, showError, startFrom, toPrompt, use } from "./form.js";
import { add, loadRecent, more } from "./recent.js";
import { forget, left, say, stop, watch } from "./stage.js";

const actions = {
  attempt,
  use: (plan) => useSettings({ ...plan, ...plan.text, origin: "diffusion-server" }),
  start: async (image) => {
    const answer = await call(image.url);
    startFrom(await dataUrl(await answer.blob()));
    toPrompt();
  },
};

/** Runs what may be refused, and says so where it belongs. */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    showError(error.field, error.message);
  }
}

function useSettings(settings) {
  const missing = use(settings);
  if (missing.length > 0) $("error").textContent = `Not taken over: ${missing.join("; ")}.`;
}

const dataUrl = (blob) => new Promise((done, failed) => {
  const reader = new FileReader();
  reader.onload = () => done(reader.result);
  reader.onerror = () => failed(new Problem(0, { detail: "The file cannot be read.", field: "init_image" }));
  reader.readAsDataURL(blob);
});

/** A picture that came in: to start from, or to make alike if it says how it was made. */
async function take(file) {
  $("offer").hidden = true;
  if (!file.type.startsWith("image/")) {
    showError("init_image", `${file.name} is not a picture.`);
    return;
  }
  const url = await dataUrl(file);
  startFrom(url);
  toPrompt();
  if (!["image/png", "image/jpeg", "image/webp"].includes(file.type)) return;
  const options = { method: "POST", headers: { "Content-Type": file.type }, body: file };
  // What cannot be read here will be refused in words when it is used.
  const info = await call("/api/v1/png-info", options).then(read).catch(() => ({}));
  if (!info.origin) return;
  const names = { "diffusion-server": "this server", automatic1111: "the web UI of AUTOMATIC1111",
    comfyui: "ComfyUI", invokeai: "InvokeAI" };
  $("offer-text").textContent = `This picture was made by ${names[info.origin]}, and says how.`;
  $("offer-use").onclick = () => {
    $("offer").hidden = true;
    startFrom(null);
    useSettings(info);
  };
  $("offer").hidden = false;
  say(`${$("offer-text").textContent} Its settings can be used.`);
}

// Asking
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  const body = request();
  if (body === null || $("make").disabled) return;
  $("make").disabled = true;
  attempt(async () => {
    const job = await post("/api/v1/jobs", body, { Prefer: "respond-async" });
    $("make").disabled = false;
    await watch(job, ended);
  }).finally(() => { $("make").disabled = false; });
  if (matchMedia("(max-width: 860px)").matches) {
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    $("frame").scrollIntoView({ block: "start", behavior });
  }
});

const ended = (job) => add(job, actions);

$("prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || !$("stop").hidden) return;
  event.preventDefault();
  $("ask").requestSubmit();
});
$("stop").addEventListener("click", () => attempt(stop));

// Pictures: chosen, dropped, pasted
$("choose").addEventListener("click", () => $("file").click());
$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  if (file) attempt(() => take(file));
  $("file").value = "";
});
$("unchoose").addEventListener("click", () => {
  startFrom(null);
  $("offer").hidden = true;
  $("choose").focus();
});
$("offer-no").addEventListener("click", () => {
  $("offer").hidden = true;
  toPrompt();
});

const hasFile = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!hasFile(event)) return;
  event.preventDefault();
  $("veil").hidden = false;
});
addEventListener("dragleave", (event) => { if (event.relatedTarget === null) $("veil").hidden = true; });
addEventListener("drop", (event) => {
  $("veil").hidden = true;
  if (!hasFile(event)) return;
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) attempt(() => take(file));
});
addEventListener("paste", (event) => {
  const [file] = event.clipboardData?.files ?? [];
  if (!file) return;
  event.preventDefault();
  attempt(() => take(file));
});

$("older").addEventListener("click", () => attempt(() => more(actions)));

// The beginning
if (!isTouched) $("prompt").focus();
attempt(async () => {
  await loadModels();
  await loadRecent(actions);
  const id = left();
  if (!id) return;
  const job = await get(`/api/v1/jobs/${id}`).catch(() => null);
  if (job && ["queued", "running"].includes(job.state)) await watch(job, ended);
  else forget();
});
