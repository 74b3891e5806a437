/** Signed requests of parts, asked for as they are needed. */

const BATCH = 100; // parts signed in one request

/** When URLs signed just now expire, in epoch milliseconds; if that is past, the clock is wrong. */
export function until(expiresAt) {
  const end = Date.parse(expiresAt);
  return end > Date.now() ? end : Infinity;
}

export class PartUrls {
  #parts = new Map(); // by number, with their URLs
  #end = 0; // when they expire, in epoch milliseconds
  #signing;
  /** @type {(body: object) => Promise<{ parts: { part_number: number, url: string }[], expires_at: string }>} */
  ask;
  /** @type {number[]} */
  todo;

  /**
   * `ask` asks the service to sign `{part_numbers}`; `todo` are the parts that wait for their
   * turn; `first` is an answer that is there already, or null.
   */
  constructor(ask, todo, first) {
    Object.assign(this, { ask, todo });
    if (first) this.#learn(first);
  }

  /**
   * The `url` of a part, and its `headers` where its MD5 is signed; anew after failures, which may
   * come of the old one.
   */
  async get(n, failures, md5) {
    if (md5) return (await this.ask({ part_numbers: [n], checksums_md5: [md5] })).parts[0];
    if (failures || this.#end < Date.now()) this.#parts.clear();
    while (!this.#parts.has(n)) {
      // Where several parts need URLs at once, one request signs them.
      await (this.#signing ??= this.#sign(n).finally(() => (this.#signing = null)));
    }
    return this.#parts.get(n);
  }

  async #sign(n) {
    const next = this.todo.filter((m) => !this.#parts.has(m)).slice(0, BATCH - 1);
    this.#learn(await this.ask({ part_numbers: [n, ...next] }));
  }

  #learn({ parts, expires_at: end }) {
    for (const part of parts) this.#parts.set(part.part_number, part);
    this.#end = until(end);
  }
}
