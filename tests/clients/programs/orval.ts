import { announceUpload, confirmUpload, listFiles } from "./orval/api.js";
import { bytes, given, send } from "./send.js";

const options = { headers: { Authorization: `Bearer ${given("TOKEN")}` } };

const file = { destination: "files", filename: "orval.txt", size: bytes.size };
const announced = await announceUpload(file, options);
if (announced.status !== 201) throw new Error(`${announced.status}`);
const { id, upload } = announced.data;
if (upload.method !== "POST") throw new Error("no form");
await send(upload);

const confirmed = await confirmUpload(id, undefined, options);
if (confirmed.status !== 200) throw new Error(`${confirmed.status}`);
console.log(confirmed.data.id, confirmed.data.state, confirmed.data.size);

const listed = await listFiles({ limit: 10 }, options);
if (listed.status !== 200) throw new Error(listed.data.detail);
for (const one of listed.data.items) console.log(one.filename);
