// One job from its making to its picture.

import { clear, fetched, follow, hasKey, post, show } from "./api.js";
import { $ } from "./dom.js";

const STORED = "diffusion-server-job";

let following = null;

/** Says something to those who listen rather than look. */
export const say = (text) => { $("said").textContent = text; };

const seconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} s`;

/** Follows a job; `ended` is called with the job as it is then. */
export async function watch(job, ended) {
  following?.abort();
  const mine = new AbortController();
  following = mine;
  sessionStorage.setItem(STORED, job.id);
  begin(job);
  say("Being made.");
  let last = job;
  const told = (name, data) => {
    if (name === "lost") status("The server does not answer; trying again");
    if (name === "job") {
      last = data;
      if (data.state === "queued") status("Waiting for its turn");
      return ["succeeded", "failed", "cancelled"].includes(data.state);
    }
    if (name === "progress") step(data.images[0]);
    if (name === "preview" && data.index === 0) form(data.png);
    return false;
  };
  try {
    await follow(job.events_url, told, mine.signal);
    if (following === mine) await end(last);
  } finally {
    if (following === mine) {
      following = null;
      forget();
      $("progress").hidden = true;
      exchange("stop", "make");
    }
  }
  if (mine.signal.aborted) return;
  ended(last);
}

/** The job that was followed when the page was left. */
export const left = () => sessionStorage.getItem(STORED);
export const forget = () => sessionStorage.removeItem(STORED);

/** Stops what is followed. */
export async function stop() {
  const id = left();
  if (id) await post(`/api/v1/jobs/${id}/cancel`);
}

const status = (text) => { $("status").textContent = text; };

function begin(job) {
  const { width, height } = job.images[0];
  $("frame").style.aspectRatio = `${width} / ${height}`;
  $("picture").hidden = true;
  clear($("picture"));
  $("empty").hidden = false;
  $("empty").textContent = "";
  $("progress").hidden = false;
  $("progress").value = 0;
  $("save").hidden = true;
  exchange("make", "stop");
  status(job.state === "queued" ? "Waiting for its turn" : "Being made");
}

/** Shows a button in place of another, and keeps the keyboard where it was. */
function exchange(gone, here) {
  const had = document.activeElement === $(gone);
  $(here).hidden = false;
  if (had) $(here).focus({ preventScroll: true });
  $(gone).hidden = true;
}

function step({ done, total, seconds: spent }) {
  $("progress").value = done / (total + 1);
  status(done < total ? `Step ${done} of ${total} · ${seconds(spent)}` : `Last touches · ${seconds(spent)}`);
}

function form(png) {
  const picture = $("picture");
  picture.src = `data:image/png;base64,${png}`;
  picture.alt = "The picture as it is so far";
  picture.classList.add("forming");
  picture.hidden = false;
  $("empty").hidden = true;
}

async function end(job) {
  const image = job.images[0];
  const picture = $("picture");
  if (job.state !== "succeeded") {
    picture.hidden = true;
    $("empty").hidden = false;
    $("empty").textContent = job.state === "cancelled" ? "It was stopped." : "It could not be made.";
    status(image.error ?? "");
    say(`${$("empty").textContent} ${image.error ?? ""}`);
    return;
  }
  await show(picture, image.url);
  await picture.decode().catch(() => {});
  picture.alt = image.prompt || "A picture without a prompt";
  picture.classList.remove("forming");
  picture.hidden = false;
  $("empty").hidden = true;
  status(`${image.model} · seed ${image.seed} · ${image.width} × ${image.height} · ${seconds(image.seconds)}`);
  saveLinks($("save"), image);
  say("The picture is there.");
}

/** Links send no key: what is saved is fetched first. */
async function saveWithKey(link) {
  const address = link.getAttribute("href");
  link.href = await fetched(address);
  link.click();
  URL.revokeObjectURL(link.href);
  link.href = address;
}

/** Links that save an image under its name. */
export function saveLinks(place, image) {
  const name = image.name.replace(/\.png$/, "");
  const formats = [["Save", "png", ""], ["JPEG", "jpg", "?format=jpeg"], ["WebP", "webp", "?format=webp"]];
  place.replaceChildren(...formats.map(([text, ending, query]) => {
    const link = document.createElement("a");
    link.textContent = text;
    link.href = image.url + query;
    link.download = `${name}.${ending}`;
    if (ending !== "png") link.setAttribute("aria-label", `Save as ${text}`);
    link.addEventListener("click", (event) => {
      if (!hasKey() || link.href.startsWith("blob:")) return;
      event.preventDefault();
      saveWithKey(link);
    });
    return link;
  }));
  place.hidden = false;
}
