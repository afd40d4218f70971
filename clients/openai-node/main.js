// OpenAI's package for Node, unmodified, against this server.
//
// It reads where the server is and which API key to send from OPENAI_BASE_URL (such as
// http://127.0.0.1:8000/v1) and OPENAI_API_KEY (anything, where the server demands none).

import assert from "node:assert/strict";
import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import OpenAI, { toFile } from "openai";

const client = new OpenAI();
const png = "image/png";

// The models.
const models = await client.models.list();
const model = models.data[0].id;
assert.equal((await client.models.retrieve(model)).id, model);

// An image, in base64. Fields that this server adds are sent like all others.
const cat = await client.images.generate({
  model,
  prompt: "cat dancing in rain",
  size: "1024x1024",
  response_format: "b64_json",
  seed: 7,
  num_inference_steps: 4,
});
await writeFile("cat.png", Buffer.from(cat.data[0].b64_json, "base64"));
console.log(`cat.png: ${cat.size} pixels, drawn by ${cat.model}`);

// With a name that is built into many programs, by its URL. It needs no key.
const named = await client.images.generate({
  model: "dall-e-3",
  prompt: "cat dancing in rain",
  num_inference_steps: 2,
});
const file = await fetch(named.data[0].url);
assert.equal(file.headers.get("content-type"), png);
assert((await file.arrayBuffer()).byteLength > 0);

// An edit of a file, one of two pictures, and a variation.
const edit = { model, prompt: "a dog", num_inference_steps: 4, response_format: "b64_json" };
const dog = await client.images.edit({ ...edit, image: createReadStream("cat.png") });
const content = Buffer.from(dog.data[0].b64_json, "base64");
await writeFile("dog.png", content);
const image = [
  await toFile(content, "dog.png", { type: png }),
  await toFile(createReadStream("cat.png"), "cat.png", { type: png }),
];
const both = await client.images.edit({ ...edit, image });
assert.equal(both.data.length, 2);
const variation = await client.images.createVariation({
  image: createReadStream("cat.png"),
  n: 2,
  num_inference_steps: 4,
});
assert.equal(variation.data.length, 2);

// An image as it forms.
const stream = await client.images.generate({
  model,
  prompt: "cat dancing in rain",
  stream: true,
  partial_images: 2,
  num_inference_steps: 20,
});
const types = [];
for await (const event of stream) {
  types.push(event.type.split(".")[1]);
  await writeFile(`forming-${types.length}.png`, Buffer.from(event.b64_json, "base64"));
}
assert(types.includes("partial_image"), types.join());
assert.equal(types.at(-1), "completed");

// What is wrong is an exception that names the field.
const refused = client.images.generate({ model, prompt: "cat", size: "large" });
await assert.rejects(refused, (error) => {
  assert(error instanceof OpenAI.BadRequestError);
  assert.deepEqual([error.param, error.code], ["size", "invalid_value"]);
  return true;
});
const stranger = new OpenAI({ apiKey: "sk-wrong" });
await assert.rejects(stranger.models.list(), OpenAI.AuthenticationError);
