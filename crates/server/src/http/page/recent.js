// Recent pictures, and one of them with how it was made.

import { get, shown } from "./api.js";
import { $ } from "./form.js";
import { saveLinks } from "./stage.js";

const PAGE = 24;
let next = null;

/** Lists the newest, in place of what is listed. */
export async function loadRecent(actions) {
  $("recent").replaceChildren();
  next = null;
  await more(actions);
}

/** Lists the page behind what is listed. */
export async function more(actions) {
  const cursor = next ? `&cursor=${next}` : "";
  const page = await get(`/api/v1/jobs?state=succeeded&limit=${PAGE}${cursor}`);
  next = page.next;
  for (const job of page.jobs) {
    for (const image of job.images) $("recent").append(await tile(job, image, actions));
  }
  $("older").hidden = next === null;
  $("none").hidden = $("recent").children.length > 0;
}

/** Puts a job that has just ended before the others. */
export async function add(job, actions) {
  for (const image of [...job.images].reverse()) $("recent").prepend(await tile(job, image, actions));
  $("none").hidden = true;
}

async function tile(job, image, actions) {
  const picture = new Image();
  picture.alt = image.prompt;
  picture.addEventListener("load", () => URL.revokeObjectURL(picture.src));
  picture.src = await shown(`${image.url}?format=webp&quality=75`);
  const button = document.createElement("button");
  button.type = "button";
  button.append(picture);
  button.addEventListener("click", () => open(job, image, actions));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

async function open(job, image, actions) {
  const { images } = await get(`/api/v1/jobs/${job.id}/plan`);
  const plan = images[image.index];
  $("shown-title").textContent = image.prompt;
  $("shown-picture").src = await shown(image.url);
  $("shown-picture").alt = image.prompt;
  const lines = [
    ["Not", plan.negative_prompt],
    ["Model", plan.model],
    ["Size", `${plan.width} × ${plan.height}`],
    ["Steps", plan.steps],
    ["Guidance", plan.guidance],
    ["Seed", plan.seed],
    ["Scheduler", plan.scheduler ?? "the model’s own"],
    ["Strength", plan.strength],
    ["Made", new Date(job.finished_at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })],
  ];
  $("shown-settings").replaceChildren(...lines.flatMap(([name, value]) => {
    if (value === null || value === undefined || value === "") return [];
    const [term, told] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    told.textContent = value;
    return [term, told];
  }));
  saveLinks($("shown-save"), image);
  const dialog = $("shown");
  $("shown-use").onclick = () => { dialog.close(); actions.use(plan); };
  $("shown-start").onclick = () => { dialog.close(); actions.start(image); };
  dialog.showModal();
  dialog.scrollTop = 0;
}

$("shown-close").addEventListener("click", () => $("shown").close());
// A click beside the dialog closes it.
$("shown").addEventListener("click", (event) => { if (event.target === $("shown")) $("shown").close(); });
