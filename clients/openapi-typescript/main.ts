// The native API through a client whose types are generated from the server's own description,
// `/openapi.json`: a field that the server does not know, or a wrong type, does not compile.

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const { DIFFUSION_SERVER_URL: baseUrl = "http://127.0.0.1:8000", DIFFUSION_SERVER_KEY: key = "" } =
  process.env;
const server = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

// The models at hand.
const models = await server.GET("/api/v1/models", { params: { query: { limit: 100 } } });
assert(models.data, JSON.stringify(models.error));
const model = models.data.models.find((model) => model.available);
assert(model?.width && model.height, "no model is available");

// An image. The answer comes when it is made.
const prompt = "a cat in the rain";
const wanted: components["schemas"]["NewJob"] = {
  kind: "txt2img",
  prompt,
  model: model.name,
  steps: 4,
  seed: 7,
};
const made = await server.POST("/api/v1/jobs", { body: wanted });
assert(made.data, JSON.stringify(made.error));
const image = made.data.images[0];
assert(image && image.state === "succeeded" && image.seed === 7, JSON.stringify(made.data));
assert.deepEqual([image.width, image.height], [model.width, model.height]);

// Its file.
const file = await server.GET("/api/v1/jobs/{id}/images/{index}", {
  params: { path: { id: made.data.id, index: image.index } },
  parseAs: "arrayBuffer",
});
assert(file.data instanceof ArrayBuffer && file.data.byteLength === image.bytes);
await writeFile("cat.png", Buffer.from(file.data));

// An answer now, and the image later: the job is asked for again, and cancelled.
const later = await server.POST("/api/v1/jobs", {
  body: { ...wanted, steps: 900 },
  params: { header: { Prefer: "respond-async" } },
});
assert.equal(later.response.status, 202);
assert(later.data);
const path = { id: later.data.id };
const cancelled = await server.POST("/api/v1/jobs/{id}/cancel", { params: { path } });
assert.equal(cancelled.response.ok, true);
const job = await server.GET("/api/v1/jobs/{id}", { params: { path } });
assert(job.data && job.data.state !== "succeeded");

// What is wrong is told with the field's name.
const refused = await server.POST("/api/v1/jobs", { body: { ...wanted, steps: 0 } });
assert.equal(refused.response.status, 422);
assert.match(refused.error?.detail ?? "", /^steps: /);

// The other dialects are described too.
const openai = await server.POST("/v1/images/generations", {
  body: { prompt, num_inference_steps: 2, response_format: "b64_json" },
});
assert(openai.data && "data" in openai.data, JSON.stringify(openai.error));
assert(openai.data.data[0]?.b64_json);

console.log(`cat.png: ${image.width}×${image.height} pixels, drawn by ${image.model}`);
