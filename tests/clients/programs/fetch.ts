import createClient from "openapi-fetch";
import type { paths } from "./api.js";
import { bytes, given, send } from "./send.js";

const headers = { Authorization: `Bearer ${given("TOKEN")}` };
const client = createClient<paths>({ baseUrl: given("API"), headers });

const file = { destination: "files", filename: "fetch.txt", size: bytes.size };
const announced = await client.POST("/v1/uploads", { body: file });
if (!announced.data) throw new Error(announced.error.detail);
const { id, upload } = announced.data;
if (upload === null || upload.method !== "POST") throw new Error("no form");
await send(upload);

const path = { upload_id: id };
const confirmed = await client.POST("/v1/uploads/{upload_id}/confirm", { params: { path } });
if (!confirmed.data) throw new Error(confirmed.error.detail);
console.log(confirmed.data.id, confirmed.data.state, confirmed.data.size);

const listed = await client.GET("/v1/files", { params: { query: { limit: 10 } } });
if (!listed.data) throw new Error(listed.error.detail);
for (const one of listed.data.items) console.log(one.filename);
