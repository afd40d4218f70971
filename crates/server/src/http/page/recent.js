// Recent pictures, and one of them with how it was made.

import { clear, get, release, show } from "./api.js";
import { $ } from "./dom.js";
import { saveLinks } from "./stage.js";

const PAGE = 24;
/** Pictures that are fetched at the same time. */
const AT_ONCE = 6;
let next = null;

/** What a picture is called. */
const called = (image) => image.prompt || "A picture without a prompt";

/** The pictures of a job that are there, whatever became of the others. */
const made = (job) => job.images.filter((image) => image.url);

/** Lists the newest, in place of what is listed. */
export async function loadRecent(actions) {
  $("recent").replaceChildren();
  next = null;
  await more(actions);
}

/** Lists the page behind what is listed. */
export async function more(actions) {
  const cursor = next ? `&cursor=${next}` : "";
  const page = await get(`/api/v1/jobs?limit=${PAGE}${cursor}`);
  next = page.next;
  const tiles = page.jobs.flatMap((job) => made(job).map((image) => tile(job, image, actions)));
  $("recent").append(...tiles.map(({ item }) => item));
  $("older").hidden = next === null;
  $("none").hidden = $("recent").children.length > 0;
  await load(tiles);
}

/** Puts a job that has just ended before the others. */
export async function add(job, actions) {
  const tiles = made(job).map((image) => tile(job, image, actions));
  $("recent").prepend(...tiles.map(({ item }) => item));
  $("none").hidden = $("recent").children.length > 0;
  await load(tiles);
}

async function load(tiles) {
  const waiting = tiles.values();
  const some = async () => {
    for (const { picture, path } of waiting) {
      // What cannot be had, as it was removed, keeps its text.
      await show(picture, path).catch(() => {});
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, some));
}

function tile(job, image, actions) {
  const picture = new Image();
  picture.alt = called(image);
  for (const event of ["load", "error"]) picture.addEventListener(event, () => release(picture));
  const button = document.createElement("button");
  button.type = "button";
  button.append(picture);
  button.addEventListener("click", () => actions.attempt(() => open(job, image, actions)));
  const item = document.createElement("li");
  item.append(button);
  return { item, picture, path: `${image.url}?format=webp&quality=75` };
}

/** Shows one with how it was made. */
async function open(job, image, actions) {
  const { images } = await get(`/api/v1/jobs/${job.id}/plan`);
  const plan = images[image.index];
  $("shown-title").textContent = called(image);
  await show($("shown-picture"), image.url);
  $("shown-picture").alt = called(image);
  const lines = [
    ["Not", plan.negative_prompt],
    ["Model", plan.model],
    ["Size", `${plan.width} × ${plan.height}`],
    ["Steps", plan.steps],
    ["Guidance", plan.guidance],
    ["Seed", plan.seed],
    ["Scheduler", plan.scheduler ?? "the model’s own"],
    ["Variation", plan.variation && `${plan.variation.strength} of seed ${plan.variation.seed}`],
    ["Syntax", plan.text?.syntax === "a1111" ? "AUTOMATIC1111" : null],
    ["Clip skip", plan.text?.clip_skip],
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
  $("shown-start").onclick = () => { dialog.close(); actions.attempt(() => actions.start(image)); };
  dialog.showModal();
  dialog.scrollTop = 0;
}

$("shown-close").addEventListener("click", () => $("shown").close());
$("shown").addEventListener("close", () => clear($("shown-picture")));
// A click beside the dialog closes it.
$("shown").addEventListener("click", (event) => { if (event.target === $("shown")) $("shown").close(); });
