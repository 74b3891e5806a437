/** A file in pieces, and the SHA-256 of each by which it is known again. */

import { UploadError } from "./service.js";

/** Bytes of each piece of a file that goes in one request; others have the size of their parts. */
export const PIECE = 16 << 20;
const LARGEST = 128 << 20; // a piece is read into memory to be hashed

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

function changed() {
  return new UploadError(
    "The file has changed",
    "It is not what it was when it was chosen, or may not be read any more, so what was sent of it is discarded. Choose it again.",
    { retry: false, changed: true, type: "file-changed" },
  );
}

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

  /** A piece to send. Throws UploadError where it is not what it was. */
  async take(n) {
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
