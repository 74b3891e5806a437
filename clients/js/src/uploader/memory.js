/** Unfinished uploads, remembered so that they go on after a failure, a reload or a restart. */

import { canHash } from "./reading.js";

export const PREFIX = "claimcheck:";
const KEPT = 30 * 86_400_000; // milliseconds that an unfinished upload is remembered in storage
const PLACES = 4; // uploads remembered of files that nothing but their contents tells apart

/**
 * Two memories. The page's own is by the file's object, which is one and the same file. Storage is
 * by a fingerprint (name, size, time, path ...), which two files may share: its entries hold the
 * SHA-256 of each piece that was sent, to compare. Where none can be made (plain http), or the
 * browser refuses to store anything, uploads do not continue after a reload, and all else works.
 */
export class Memory {
  #kept = new WeakMap(); // file -> {fingerprint, id, pieces, left}

  constructor(storage) {
    this.storage = canHash() ? storage : null;
    this.#try(() => {
      for (const key of Object.keys(storage).filter((name) => name.startsWith(PREFIX))) {
        if (JSON.parse(storage.getItem(key)).at < Date.now() - KEPT) storage.removeItem(key);
      }
    });
  }

  /** What is remembered of uploads of such a file: {id, pieces, left} or {id, size, digests}. */
  find(file, fingerprint) {
    const kept = this.#kept.get(file);
    const stored = this.storage ? this.#places(fingerprint).map((key) => this.#read(key)) : [];
    const found = [kept?.fingerprint === fingerprint ? kept : null, ...stored];
    return found.filter((entry, i) => entry && (!i || entry.id !== kept?.id));
  }

  keep(file, fingerprint, entry) {
    this.#kept.set(file, { fingerprint, ...entry });
  }

  /** Store {id, size, digests}: all pieces of which a byte may have been sent, or nothing. */
  save(fingerprint, entry) {
    if (!this.storage) return;
    const places = this.#places(fingerprint);
    const found = places.map((key) => this.#read(key));
    let place = found.findIndex((other) => other?.id === entry.id);
    if (place < 0) place = found.findIndex((other) => !other);
    if (place < 0) place = found.indexOf(found.reduce((a, b) => (b.at < a.at ? b : a)));
    const key = places[place];
    try {
      this.storage.setItem(key, JSON.stringify({ ...entry, at: Date.now() }));
    } catch {
      this.#try(() => this.storage.removeItem(key)); // no room for it
    }
  }

  delete(file, fingerprint, id) {
    if (this.#kept.get(file)?.id === id) this.#kept.delete(file);
    if (!this.storage) return;
    for (const key of this.#places(fingerprint)) {
      if (this.#read(key)?.id === id) this.#try(() => this.storage.removeItem(key));
    }
  }

  #places(fingerprint) {
    return Array.from({ length: PLACES }, (_, place) => `${PREFIX}${place}${fingerprint}`);
  }

  #read(key) {
    return this.#try(() => JSON.parse(this.storage.getItem(key)));
  }

  #try(work) {
    try {
      return work();
    } catch {
      return undefined;
    }
  }
}

export function browserStorage() {
  try {
    return globalThis.localStorage;
  } catch {
    return null; // the browser denies storage to this page
  }
}
