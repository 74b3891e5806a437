/** The worker that makes MD5s: asked with {id, blob}, it answers {id, digest}, or {id} where it failed. */

import { md5 } from "./md5.js";

addEventListener("message", async ({ data: { id, blob } }) => {
  const digest = await md5(blob).catch(() => undefined);
  postMessage({ id, digest });
});
