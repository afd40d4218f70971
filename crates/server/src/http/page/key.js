// The dialog that asks for an API key, on every page that has one.

import { hasKey, keepKey, onKeyWanted } from "./api.js";
import { $ } from "./dom.js";

document.body.insertAdjacentHTML("beforeend", `
  <dialog id="key" aria-labelledby="key-title">
    <form id="key-form" novalidate>
      <h2 id="key-title">API key</h2>
      <p>This server asks for a key. It is kept until this tab is closed.</p>
      <div class="field">
        <label for="key-value">Key</label>
        <input id="key-value" type="password" autocomplete="off" spellcheck="false"
          placeholder="dsk_…" aria-describedby="key-error">
        <p class="error" id="key-error"></p>
      </div>
      <div class="go"><button type="submit" class="main">Go on</button></div>
    </form>
  </dialog>`);

function enterKey(problem, kept) {
  $("key-error").textContent = problem;
  if (!$("key").open) $("key").showModal();
  $("key-form").onsubmit = (event) => {
    event.preventDefault();
    const key = $("key-value").value.trim();
    // A header holds nothing else.
    if (!/^[\x21-\x7e]+$/.test(key)) {
      $("key-error").textContent = "Enter the key as it was given to you.";
      return;
    }
    keepKey(key);
    kept();
  };
}

onKeyWanted((wasRefused) => new Promise((done) => {
  enterKey(wasRefused ? "The server does not know this key, or no longer." : "", () => {
    $("key").close();
    $("key-open").hidden = false;
    done();
  });
}));
// Without a key nothing here works.
$("key").addEventListener("cancel", (event) => { if (!hasKey()) event.preventDefault(); });
$("key-open").hidden = !hasKey();
$("key-open").addEventListener("click", () => enterKey("", () => location.reload()));
