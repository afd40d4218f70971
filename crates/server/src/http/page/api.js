// Calls to the server, with an API key where it asks for one.

const STORED = "diffusion-server-key";

/** What the server refused, in its words; `field` names the one that is wrong. */
export class Problem extends Error {
  constructor(status, details) {
    super(details.detail || details.title || `The server answered ${status}.`);
    this.status = status;
    this.field = details.field;
  }
}

let askForKey = async () => {};

/** Sets what asks the user for a key: called with whether the one at hand was refused. */
export function onKeyWanted(ask) {
  let asking = null;
  askForKey = (wasRefused) => (asking ??= ask(wasRefused).finally(() => { asking = null; }));
}

export const hasKey = () => sessionStorage.getItem(STORED) !== null;
export const keepKey = (key) => sessionStorage.setItem(STORED, key);

/**
 * JSON as the server writes it. Seeds may have more digits than numbers keep here: those are texts
 * here, and numbers again in what `post` sends. Inside of a text the quotes would be escaped.
 */
export const parse = (json) => JSON.parse(json.replace(/"((?:variation_)?seed)":\s*(\d{16,})/g, '"$1":"$2"'));
export const written = (body) =>
  JSON.stringify(body).replace(/"((?:variation_)?seed)":"(\d+)"/g, '"$1":$2');

/** The answer to a request that went well. */
export async function call(path, options = {}) {
  for (;;) {
    const key = sessionStorage.getItem(STORED);
    const headers = new Headers(options.headers);
    if (key !== null) headers.set("Authorization", `Bearer ${key}`);
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, { detail: "The server does not answer. Is it running, and can it be reached?" });
    }
    if (answer.ok) return answer;
    if (answer.status === 401) {
      await askForKey(key !== null);
      continue;
    }
    throw new Problem(answer.status, await answer.json().catch(() => ({})));
  }
}

/** What an answer says. */
export const read = async (answer) => parse(await answer.text());
export const get = async (path) => read(await call(path));

export async function post(path, body, headers = {}) {
  const options = { method: "POST", headers };
  if (body !== undefined) {
    options.body = written(body);
    options.headers = { "Content-Type": "application/json", ...headers };
  }
  return read(await call(path, options));
}

/** An address of what a path leads to, in memory until it is revoked. */
export const fetched = async (path) => URL.createObjectURL(await (await call(path)).blob());

/** What image elements are to show. */
const wanted = new WeakMap();

/** Lets an image element show what a path leads to: elements send no key. */
export async function show(picture, path) {
  wanted.set(picture, path);
  const address = hasKey() ? await fetched(path) : path;
  if (wanted.get(picture) !== path) {
    if (address !== path) URL.revokeObjectURL(address);
    return;
  }
  release(picture);
  picture.src = address;
}

/** Lets it show nothing. */
export function clear(picture) {
  wanted.delete(picture);
  release(picture);
  picture.removeAttribute("src");
}

/** Gives back the memory of what it was loaded from. */
export function release(picture) {
  if (picture.src.startsWith("blob:")) URL.revokeObjectURL(picture.src);
}

/** Calls `told` with each event of a job until it says that there will be no more. */
export async function follow(path, told, signal) {
  let last = null;
  while (!signal.aborted) {
    try {
      const headers = last === null ? {} : { "Last-Event-ID": last };
      const answer = await call(path, { headers, signal });
      if (answer.status === 204) return;
      for await (const event of events(answer.body)) {
        last = event.id ?? last;
        if (told(event.name, parse(event.data))) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.status >= 400 && error.status < 500) throw error;
      told("lost");
    }
    await new Promise((wake) => setTimeout(wake, 1000));
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const event = {};
      for (const line of block.split("\n")) {
        const at = line.indexOf(":");
        if (at > 0) event[line.slice(0, at)] = line.slice(at + 1).trimStart();
      }
      if (event.data) yield { name: event.event, id: event.id, data: event.data };
    }
  }
}
