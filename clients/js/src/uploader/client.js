/** The uploader: what pages call. */

import { Queue } from "./queue.js";
import { Transfer } from "./transfer.js";

/** The service's address, where this module comes from it. (`new URL` is where bundlers look for files.) */
const here = () => import.meta.url.replace(/[^/]*\/[^/]*$/, "");

export class Uploader {
  #queue;
  #destination;

  /** @param {import("../uploader.js").UploaderOptions} [options] */
  constructor({ destination, endpoint = here(), ...options } = {}) {
    this.#destination = destination;
    this.#queue = new Queue({ endpoint, ...options });
  }

  /**
   * Upload a file; returns the promise of the stored file, with `pause()`, `resume()` and `cancel()`.
   * Uploads that begin together are announced together.
   *
   * @param {Blob & { name?: string, webkitRelativePath?: string }} file
   * @param {import("../uploader.js").UploadOptions} [options]
   */
  upload(file, { destination = this.#destination, ...options } = {}) {
    const { filename = file.name ?? "file", contentType = file.type } = options;
    const { path = file.webkitRelativePath ?? "" } = options;
    const how = { ...options, destination, filename, contentType, path };
    const transfer = new Transfer(this.#queue, file, how);
    if (transfer.state === "waiting") this.#queue.add(transfer);
    return Object.assign(transfer.promise, {
      file,
      pause: () => transfer.pause(),
      resume: () => transfer.resume(),
      cancel: () => transfer.cancel(),
    });
  }

  /** Another request to the service, with the same headers, retries and errors; its JSON. */
  request(method, path, options) {
    return this.#queue.service.call(method, path, options);
  }

  /** Upload each of the files; `Promise.allSettled` waits for all of them. */
  uploadAll(files, options) {
    return Array.from(files, (file) => this.upload(file, options));
  }
}
