/** Uploads in their order: a few at a time, announced together. */

import { Slots } from "./bucket.js";
import { browserStorage, Memory } from "./memory.js";
import { keptPath, newKey, problemError, Service } from "./service.js";

const BATCH = 100; // announcements in one request

/** Shared by the uploads of an Uploader: their order, announcements and slots. */
export class Queue {
  taken = new Set(); // ids of uploads that a transfer works on
  #waiting = [];
  #running = 0;
  #asking = [];
  #md5Sizes = new Map(); // by destination: the size of the largest file that its MD5 was asked for
  /** @type {number} */
  parallel;
  /** @type {number} */
  sha256;
  /** @type {number} */
  stall;

  /** @param {import("../uploader.js").UploaderOptions} options */
  constructor({ parallel = 4, sha256 = 0, stall = 60_000, storage = browserStorage(), ...how }) {
    Object.assign(this, { parallel, sha256, stall });
    this.service = new Service(how);
    this.slots = new Slots(parallel);
    this.memory = new Memory(storage);
  }

  add(transfer) {
    this.#waiting.push(transfer);
    queueMicrotask(() => this.#next()); // so that those added together are announced together
  }

  remove(transfer) {
    this.#waiting = this.#waiting.filter((other) => other !== transfer);
  }

  #next() {
    while (this.#running < this.parallel && this.#waiting.length) {
      this.#running += 1;
      this.#waiting.shift().proceed().then(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }

  /** Whether its MD5 will be asked for, as that of a file of its size was. */
  wantsMd5({ md5, file, destination }) {
    return !md5 && file.size <= this.#md5Sizes.get(destination);
  }

  /** Note that its MD5 was asked for. */
  noteMd5({ file, destination }) {
    this.#md5Sizes.set(destination, Math.max(file.size, this.#md5Sizes.get(destination) ?? 0));
  }

  /** Announce it, in one request with others that need it now or are next in the queue. */
  announce(transfer) {
    if (!this.#asking.length) queueMicrotask(() => this.#announceAll());
    return this.#ask(this.#asking, transfer);
  }

  #ask(list, transfer) {
    return new Promise((resolve, reject) => list.push({ transfer, resolve, reject }));
  }

  async #announceAll() {
    const first = this.#asking.splice(0);
    const asking = [...first];
    const soon = this.#waiting.filter(({ isReady }) => isReady).slice(0, BATCH - asking.length);
    const bodies = [...asking.map(({ transfer }) => transfer), ...soon].map(announcement);
    for (const transfer of soon) transfer.announceWith(this.#ask(asking, transfer));
    const tell = (state) => first.forEach(({ transfer }) => transfer.tell(state));
    // Each retry has the same key: where only the answer was lost, it gives the same uploads.
    const call = (path, body) => this.service.call("POST", path, { body, tell, once: newKey() });
    try {
      const answers =
        bodies.length > 1
          ? (await call("v1/uploads/batch", { uploads: bodies })).uploads
          : [await call("v1/uploads", bodies[0])];
      answers.forEach(({ problem, ...announced }, index) => {
        const { transfer, resolve, reject } = asking[index];
        if (problem) reject(problemError(problem.status, problem, 0));
        else resolve(transfer.take(announced));
      });
    } catch (error) {
      error.again = 0; // the request was retried already
      for (const { reject } of asking) reject(error);
    }
  }
}

/** The body of the request; JSON leaves out what is undefined. */
function announcement({ destination, filename, file, contentType, path, metadata, hashed, md5 }) {
  return {
    destination,
    filename,
    size: file.size,
    content_type: contentType || undefined,
    path: keptPath(path),
    metadata,
    checksum_sha256: hashed || undefined,
    checksum_md5: md5 || undefined,
  };
}
