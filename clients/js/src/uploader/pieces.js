/** A file in pieces, and the SHA-256 of each by which it is known again. */

import { md5Of } from "./hashing.js";
import { changed, readable, sha256 } from "./reading.js";

/** Bytes of each piece of a file that goes in one request; others have the size of their parts. */
export const PIECE = 16 << 20;
const LARGEST = 128 << 20; // a piece is read into memory to be hashed

/**
 * Pieces of a file, and which of them were sent in one upload. Where they are hashed, a piece is
 * never sent with other bytes than those of its digest, and its digest is there before it is sent.
 */
export class Pieces {
  /** @type {Blob} */
  file;
  /** @type {number} */
  size;
  /** @type {Record<number, string | true>} */
  digests;
  /** @type {boolean} */
  isHashed;
  #ahead = new Map(); // number -> promise of a piece that is read before its turn; one at most

  /** `digests` are those of the pieces that were sent, by number from 1. */
  constructor(file, size, isHashed, digests = {}) {
    Object.assign(this, { file, size, digests, isHashed: isHashed && size <= LARGEST });
  }

  get numbers() {
    return Object.keys(this.digests).map(Number);
  }

  get count() {
    return Math.max(1, Math.ceil(this.file.size / this.size));
  }

  /** Whether each of them was sent. */
  get isWhole() {
    return this.numbers.length >= this.count;
  }

  slice(n) {
    return this.file.slice((n - 1) * this.size, n * this.size);
  }

  /**
   * A piece to send: its `body`, and its `md5` where `isHeld`. The piece `next` is read meanwhile, so
   * that the line does not wait for it. Throws UploadError where it is not what it was.
   */
  async take(n, isHeld, next) {
    const made = this.#ahead.get(n) ?? this.#make(n, isHeld);
    this.#ahead.delete(n);
    const piece = await made;
    if (next && !this.#ahead.size) {
      const soon = this.#make(next, isHeld);
      soon.catch(() => {}); // whoever takes it hears of it
      this.#ahead.set(next, soon);
    }
    return piece;
  }

  async #make(n, isHeld) {
    const body = await this.#read(n);
    return { body, md5: isHeld ? await md5Of(body) : undefined };
  }

  async #read(n) {
    const piece = this.slice(n);
    if (!this.isHashed) {
      this.digests[n] = true;
      return piece;
    }
    const bytes = await readable(piece);
    const digest = await sha256(bytes);
    if ((this.digests[n] ??= digest) !== digest) throw changed();
    // These very bytes, because the file may change before they leave. As a Blob, because an open
    // DevTools window copies every other body into its messages, which takes seconds for each.
    return new Blob([bytes]);
  }

  async takeAll(signal) {
    for (let n = 1; n <= this.count; n += 1) {
      signal.throwIfAborted();
      await this.take(n);
    }
  }

  /**
   * Whether the file has the pieces that were sent: all of them, or with `sample` the first and the
   * last. `onPiece` is called with the number of each that it has.
   *
   * @param {{ signal?: AbortSignal, sample?: boolean, onPiece?: (n: number) => void }} how
   */
  async agree({ signal, sample, onPiece }) {
    const { numbers } = this;
    const ends = [numbers[0], numbers.at(-1)]; // first, because they tell most other files at once
    for (const n of new Set(sample ? ends : [...ends, ...numbers])) {
      signal?.throwIfAborted();
      if ((await sha256(await readable(this.slice(n)))) !== this.digests[n]) return false;
      onPiece?.(n);
    }
    return numbers.length > 0;
  }
}
