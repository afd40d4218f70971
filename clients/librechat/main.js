// The calls that the image tools of LibreChat 0.8.8 make, against this server.
//
// It reads where the server is and which API key to send from DIFFUSION_SERVER_URL (such as
// http://127.0.0.1:8000) and DIFFUSION_SERVER_KEY (anything, where the server demands none).
// LibreChat is set to them with SD_WEBUI_URL=http://anyone:KEY@127.0.0.1:8000 for the tool "Stable
// Diffusion", and with IMAGE_GEN_OAI_BASEURL=http://127.0.0.1:8000/v1 and IMAGE_GEN_OAI_API_KEY=KEY
// for "OpenAI Image Tools" (DALLE_REVERSE_PROXY and DALLE3_API_KEY for "DALL-E-3").

import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import axios from "axios";
import FormData from "form-data";
import OpenAI from "openai";

const { DIFFUSION_SERVER_URL: url, DIFFUSION_SERVER_KEY: key = "none" } = process.env;
const png = "image/png";

async function save(name, base64) {
  await writeFile(name, Buffer.from(base64, "base64"));
  assert.equal((await readFile(name)).subarray(1, 4).toString(), "PNG", name);
}

// "Stable Diffusion": one image, always as large and with as many steps. The key is in the URL.
const webui = new URL(url);
webui.username = "anyone";
webui.password = key;
const { data } = await axios.post(`${webui.href.replace(/\/$/, "")}/sdapi/v1/txt2img`, {
  prompt: "lighthouse, dawn, fog, rocks, waves, gulls, lantern",
  negative_prompt: "people, text, frame, blurry, cropped, lowres, drawing",
  cfg_scale: 4.5,
  steps: 22,
  width: 1024,
  height: 1024,
});
await save("lighthouse.png", data.images[0].split(",", 1)[0]);
const info = JSON.parse(data.info);
assert.deepEqual([info.width, info.height], [1024, 1024]);
const settings = info.infotexts[0].split("\n").pop();
assert(settings.startsWith("Steps: 22, Sampler: Euler, "), settings);
assert(settings.includes(`CFG scale: 4.5, Seed: ${info.seed}, Size: 1024x1024, `), settings);

// "OpenAI Image Tools": an image as its package for Node asks for it, and edits as a form.
const baseURL = `${url}/v1`;
const openai = new OpenAI({ apiKey: key, baseURL });
const generated = await openai.images.generate({
  model: "gpt-image-1",
  prompt: "a lighthouse at dawn",
  n: 1,
  background: "auto",
  output_format: "png",
  output_compression: undefined,
  quality: "auto",
  size: "auto",
});
await save("dawn.png", generated.data[0].b64_json);
for (const pictures of [["dawn.png"], ["dawn.png", "lighthouse.png"]]) {
  const form = new FormData();
  form.append("model", "gpt-image-1");
  form.append("prompt", "a lighthouse at night");
  form.append("quality", "auto");
  form.append("size", "auto");
  for (const filename of pictures) {
    form.append("image[]", createReadStream(filename), { filename, contentType: png });
  }
  const headers = { ...form.getHeaders(), Authorization: `Bearer ${key}` };
  const edited = await axios.post("/images/edits", form, { headers, baseURL });
  // It shows the first.
  assert.equal(edited.data.data.length, pictures.length);
  await save("night.png", edited.data.data[0].b64_json);
}

// "DALL-E-3": the image is fetched from where it is, without the key.
const drawn = await openai.images.generate({
  model: "dall-e-3",
  quality: "standard",
  style: "vivid",
  size: "1792x1024",
  prompt: "a lighthouse in the rain",
  n: 1,
});
const file = await axios.get(drawn.data[0].url, { responseType: "arraybuffer" });
assert.equal(file.headers["content-type"], png);
await writeFile("rain.png", file.data);
console.log(`lighthouse.png: ${info.width}x${info.height} pixels; rain.png: ${drawn.size}`);
