/** Reading a file, and its SHA-256. */

import { UploadError } from "./service.js";

/** Whether the browser can hash: pages of plain http, but for `localhost`, cannot. */
export const canHash = () => Boolean(globalThis.crypto?.subtle);

/** SHA-256 in Base64. */
export async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return btoa(String.fromCharCode(...digest));
}

/**
 * The bytes of a file or of a piece of it. Throws UploadError where it cannot be read, which browsers
 * refuse once its time is another than when it was chosen.
 */
export async function readable(blob) {
  try {
    return await blob.arrayBuffer();
  } catch ({ name }) {
    if (name !== "NotFoundError") throw changed();
    const detail = "It was moved or removed since it was chosen. Choose it again.";
    throw new UploadError("The file cannot be read", detail, { retry: false, type: "file-unreadable" });
  }
}

/** The error for a file that is not what it was. */
export function changed() {
  return new UploadError(
    "The file has changed",
    "It is not what it was when it was chosen, or may not be read any more, so what was sent of it is discarded. Choose it again.",
    { retry: false, changed: true, type: "file-changed" },
  );
}
