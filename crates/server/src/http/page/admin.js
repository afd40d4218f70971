// The tables of images and models: to browse, to add to, to edit, to remove from.

import "./key.js";
import { call, get, parse, post, Problem, read, release, show, written } from "./api.js";
import { $ } from "./dom.js";

const TEXT = { read: (field) => field.value, write: (value) => value ?? "" };
const WORDS = { lines: 2, read: (field) => field.value || null, write: (value) => value ?? "" };
const OBJECT = {
  lines: 4,
  read: (field) => {
    try {
      return parse(field.value || "{}");
    } catch {
      throw new Problem(0, { detail: "This is no JSON object, such as {\"licence\": \"CC0-1.0\"}.", field: field.name });
    }
  },
  write: (value) => JSON.stringify(value ?? {}, null, 2),
};

/** What each table has: its columns, and the fields of its rows. */
const TABLES = {
  images: {
    title: "Images",
    one: "image",
    heads: ["", "Name", "Owner", "File", "State", "Changed", ""],
    cells: (row) => [picture(row), named(row), row.owner, row.path, state(row), date(row.update_ts)],
    edit: { name: TEXT, owner: TEXT, description: WORDS, path: TEXT, meta: OBJECT },
    add: { file: { type: "file" }, path: TEXT, name: TEXT, owner: TEXT, description: WORDS, meta: OBJECT },
    labels: { file: "A file to upload", path: "Path below a folder of images" },
  },
  models: {
    title: "Models",
    one: "model",
    heads: ["Name", "Owner", "Family", "Weights", "State", "Changed", ""],
    cells: (row) => [named(row), row.owner, row.family, row.source ?? row.hosted, state(row), date(row.update_ts)],
    edit: { name: TEXT, owner: TEXT, description: WORDS, hosted: TEXT, meta: OBJECT },
    add: { path: TEXT, name: TEXT, owner: TEXT, description: WORDS, meta: OBJECT },
    labels: { path: "Folder below the folder of models", hosted: "Where its weights come from" },
  },
};
const LABELS = { name: "Name", owner: "Owner", description: "Description", path: "Path", meta: "Anything else (JSON)" };

let shown = "images";
let next = null;
/** Answers that come too late are for another table or search. */
let turn = 0;

const table = () => TABLES[shown];

function make(tag, text, props = {}) {
  const element = Object.assign(document.createElement(tag), props);
  if (text !== undefined && text !== null) element.append(text);
  return element;
}

function picture(row) {
  if (!row.available) return "";
  const image = make("img", null, { alt: "", loading: "lazy" });
  show(image, row.content).catch(() => {});
  return image;
}

function named(row) {
  const cell = document.createDocumentFragment();
  cell.append(row.name);
  if (row.description) cell.append(make("small", row.description));
  return cell;
}

const state = (row) =>
  row.available ? "available" : make("span", row.unavailable_because ?? "not available", { className: "missing" });
const date = (value) => (value ? new Date(value).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "");

function line(row) {
  const tr = make("tr");
  for (const cell of table().cells(row)) tr.append(make("td", cell));
  const last = make("td");
  if (row.id) {
    const edit = make("button", "Edit", { type: "button", className: "quiet" });
    edit.setAttribute("aria-label", `Edit ${row.name}`);
    edit.addEventListener("click", () => open(row));
    last.append(edit);
  } else {
    last.append(make("small", "found in the folder of models"));
  }
  tr.append(last);
  return tr;
}

/** Runs what may be refused, and says so in `place`. */
async function attempt(place, work) {
  place.textContent = "";
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const label = error.field && document.querySelector(`#row-fields [name="${error.field}"]`)?.dataset.label;
    const said = error.message.replace(/^[\w[\]]+: /, "");
    place.textContent = label ? `${label}: ${said}` : error.message;
  }
}

async function load(cursor = null) {
  const mine = (turn += 1);
  const query = new URLSearchParams({ limit: 50 });
  if (cursor !== null) query.set("cursor", cursor);
  if ($("search").value.trim()) query.set("search", $("search").value.trim());
  const page = await get(`/api/v1/${shown}?${query}`);
  if (mine !== turn) return;
  if (cursor === null) {
    document.querySelectorAll("#rows img").forEach(release);
    $("rows").replaceChildren();
  }
  $("rows").append(...page[shown].map(line));
  next = page.next;
  $("more").hidden = !next;
  $("none").hidden = $("rows").children.length > 0;
}

function field(name, kind, row) {
  const label = table().labels[name] ?? LABELS[name];
  const box = make("div", null, { className: "field" });
  const input = kind.lines ? make("textarea", null, { rows: kind.lines, spellcheck: false }) : make("input", null, { type: kind.type ?? "text", autocomplete: "off" });
  Object.assign(input, { id: `row-${name}`, name });
  input.dataset.label = label;
  if (kind.type === "file") input.accept = "image/png,image/jpeg,image/webp,image/gif,image/bmp,image/tiff";
  else if (row) input.value = kind.write(row[name]);
  // As the field has it: it may keep less than it was given.
  input.dataset.before = input.value;
  box.append(make("label", label, { htmlFor: input.id }), input);
  return box;
}

/** Shows a row to be edited, or none to be added. */
function open(row) {
  const fields = row ? table().edit : table().add;
  $("row-title").textContent = row ? row.name : `Add ${shown === "images" ? "an" : "a"} ${table().one}`;
  $("row-fields").replaceChildren(...Object.entries(fields).map(([name, kind]) => field(name, kind, row)));
  $("row-error").textContent = "";
  $("row-remove").hidden = !row;
  $("row-remove").textContent = "Remove";
  $("row-form").onsubmit = (event) => {
    event.preventDefault();
    attempt($("row-error"), () => (row ? save(row) : add()));
  };
  $("row-remove").onclick = () => {
    if ($("row-remove").textContent === "Remove") {
      $("row-remove").textContent = "Really remove?";
      return;
    }
    attempt($("row-error"), async () => {
      await call(`/api/v1/${shown}/${row.id}`, { method: "DELETE" });
      await done(`${row.name} is removed.`);
    });
  };
  $("row").showModal();
}

async function done(said) {
  $("row").close();
  $("said").textContent = said;
  await load();
}

/** The fields that are not as they were. */
async function save(row) {
  const changed = {};
  for (const [name, kind] of Object.entries(table().edit)) {
    const input = $(`row-${name}`);
    if (input.value !== input.dataset.before) changed[name] = kind.read(input);
  }
  const body = written(changed);
  const options = { method: "PATCH", headers: { "Content-Type": "application/json" }, body };
  const saved = await read(await call(`/api/v1/${shown}/${row.id}`, options));
  await done(`${saved.name} is saved.`);
}

async function add() {
  const given = {};
  for (const [name, kind] of Object.entries(table().add)) {
    const input = $(`row-${name}`);
    if (kind.type !== "file" && input.value) given[name] = kind.read(input);
  }
  const file = $("row-file")?.files[0];
  let row;
  if (file) {
    const form = new FormData();
    form.append("file", file);
    const { path, meta, ...texts } = given;
    if (path) throw new Problem(0, { detail: "give a file or a path, not both", field: "path" });
    if (meta) form.append("meta", JSON.stringify(meta));
    for (const [name, text] of Object.entries(texts)) form.append(name, text);
    row = await read(await call("/api/v1/images", { method: "POST", body: form }));
  } else {
    if (shown === "images" && !given.path) throw new Problem(0, { detail: "Choose a file, or give a path." });
    row = await post(`/api/v1/${shown}`, given);
  }
  await done(`${row.name} is added.`);
}

/** Shows the table that the address names. */
function choose() {
  shown = location.hash === "#models" ? "models" : "images";
  for (const name of Object.keys(TABLES)) {
    if (name === shown) $(`tab-${name}`).setAttribute("aria-current", "page");
    else $(`tab-${name}`).removeAttribute("aria-current");
  }
  $("title").textContent = table().title;
  $("heads").replaceChildren(...table().heads.map((head) => make("th", head, { scope: "col" })));
  $("search").value = "";
  attempt($("error"), () => load());
}

$("find").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt($("error"), () => load());
});
$("more").addEventListener("click", () => attempt($("error"), () => load(next)));
$("add").addEventListener("click", () => open(null));
$("row-close").addEventListener("click", () => $("row").close());
addEventListener("hashchange", choose);
choose();
