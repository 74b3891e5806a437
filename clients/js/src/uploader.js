/**
 * Claimcheck's uploader: files of any size from a browser straight into the bucket.
 *
 *   const uploader = new Uploader({ destination: "images" });
 *   const stored = await uploader.upload(file, { onProgress: ({ loaded, total }) => ... });
 *
 * It has no dependencies; uploader.d.ts describes all of it. Bytes go from here to the bucket, in one
 * request or in parts, as the service says; the service only signs and confirms.
 */

export { Uploader } from "./uploader/client.js";
export { UploadError } from "./uploader/service.js";
export { Uploads } from "./uploader/uploads.js";
