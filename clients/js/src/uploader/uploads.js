/** A list of uploads as a user interface shows it: what the hooks for React and Vue are made of. */

import { Uploader } from "./client.js";
import { filesOf } from "./dropped.js";

const PAUSE = 80; // milliseconds between two tellings of progress alone
const STILL = { speed: 0, secondsLeft: null };
const BEGUN = { ...STILL, state: "waiting", loaded: 0, stored: null, error: null };
const ENDED = ["stored", "failed", "cancelled"];

/** One upload; `view` is what is shown of it, a new object after each change. */
class Entry {
  /** @type {Uploads} */
  list;
  /** @type {Blob & { name?: string }} */
  file;
  /** @type {import("../uploader.js").UploadOptions} */
  options;

  constructor(list, file, options) {
    Object.assign(this, { list, file, options });
    this.view = {
      id: ++list.count,
      file,
      name: options.filename ?? file.name ?? "file",
      total: file.size,
      retry: () => this.view.state === "failed" && this.start(),
      remove: () => list.remove(this),
    };
  }

  get isOpen() {
    return !ENDED.includes(this.view.state);
  }

  start() {
    const onProgress = (progress) => {
      if (this.isOpen) this.#show(progress, progress.state === this.view.state);
    };
    const promise = this.list.uploader.upload(this.file, { ...this.options, onProgress });
    const { pause, resume, cancel } = promise;
    this.#show({ ...BEGUN, promise, pause, resume, cancel });
    promise.then(
      (stored) => this.#show({ ...STILL, state: "stored", stored }),
      (error) => {
        const state = error.name === "AbortError" ? "cancelled" : "failed";
        this.#show({ ...STILL, state, error });
      },
    );
  }

  #show(change, isMinor) {
    this.view = { ...this.view, ...change };
    this.list.changed(isMinor);
  }
}

export class Uploads {
  count = 0;
  #entries = [];
  #list = [];
  #listeners = new Set();
  #later;
  #uploader;
  /** @type {boolean} */
  single;
  /** @type {import("../uploader.js").UploaderOptions} */
  options;

  /** @param {import("../uploader.js").UploadsOptions} [options] */
  constructor({ single = false, ...options } = {}) {
    Object.assign(this, { single, options });
  }

  /** Made with the first file: a server, which renders the list, has none. */
  get uploader() {
    return (this.#uploader ??= new Uploader(this.options));
  }

  /** All of them as they are shown, in order: another array after each change. */
  snapshot = () => this.#list;

  /** Call `listener` after each change; returns a function that ends it. */
  subscribe = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Begin to upload; a file that is in the list already is not begun again. */
  add = (files, options = {}) => {
    const chosen = [...files];
    if (this.single) chosen.splice(1);
    const entries = chosen.map((file) => {
      const same = (entry) => entry.file === file && entry.view.state !== "cancelled";
      return this.#entries.find(same) ?? new Entry(this, file, options);
    });
    if (this.single && entries.length) {
      for (const other of this.#entries) if (other !== entries[0]) this.remove(other);
    }
    for (const entry of entries) {
      if (!this.#entries.includes(entry)) this.#entries.push(entry);
      if (!entry.view.state || entry.view.state === "failed") entry.start();
    }
    return entries.map(({ view }) => view);
  };

  /** Begin to upload what was dropped or pasted, files in folders with their paths. */
  addFrom = async (transfer, options) => {
    const { found, failed } = await filesOf(transfer);
    const views = found.flatMap(({ file, path }) => this.add([file], { path, ...options }));
    if (failed.length) throw failed[0];
    return views;
  };

  /** Remove those that have ended. */
  clear = () => {
    this.#entries = this.#entries.filter(({ isOpen }) => isOpen);
    this.changed();
  };

  remove(entry) {
    if (entry.isOpen) entry.view.cancel();
    this.#entries = this.#entries.filter((other) => other !== entry);
    this.changed();
  }

  changed(isMinor) {
    if (isMinor) return void (this.#later ??= setTimeout(() => this.changed(), PAUSE));
    clearTimeout(this.#later);
    this.#later = undefined;
    this.#list = this.#entries.map(({ view }) => view);
    for (const listener of this.#listeners) listener();
  }
}
