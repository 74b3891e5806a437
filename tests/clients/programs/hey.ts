import { client } from "./hey/client.gen.js";
import { announceUpload, confirmUpload, listFiles } from "./hey/index.js";
import { bytes, given, send } from "./send.js";

client.setConfig({ baseUrl: given("API"), auth: given("TOKEN"), throwOnError: true });

const file = { destination: "files", filename: "hey.txt", size: bytes.size };
const announced = await announceUpload({ body: file, throwOnError: true });
const { id, upload } = announced.data;
if (upload === null || upload.method !== "POST") throw new Error("no form");
await send(upload);

const confirmed = await confirmUpload({ path: { upload_id: id }, throwOnError: true });
console.log(confirmed.data.id, confirmed.data.state, confirmed.data.size);

const listed = await listFiles({ query: { limit: 10 }, throwOnError: true });
for (const one of listed.data.items) console.log(one.filename);
