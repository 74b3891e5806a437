/** Signed URLs of parts, asked for as they are needed. */

const BATCH = 100; // parts signed in one request

/** When URLs signed just now expire, in epoch milliseconds; if that is past, the clock is wrong. */
export function until(expiresAt) {
  const end = Date.parse(expiresAt);
  return end > Date.now() ? end : Infinity;
}

export class PartUrls {
  #urls = new Map(); // by part number
  #end = 0; // when they expire, in epoch milliseconds
  #signing;

  /**
   * `ask` asks the service for the URLs of `{part_numbers}`; `todo` are the parts that wait for their
   * turn; `first` is an answer that is there already, or null.
   */
  constructor(ask, todo, first) {
    Object.assign(this, { ask, todo });
    if (first) this.#learn(first);
  }

  /** The URL of a part; signed anew after failures, which may come of the old one. */
  async get(n, failures) {
    if (failures || this.#end < Date.now()) this.#urls.clear();
    while (!this.#urls.has(n)) {
      // Where several parts need URLs at once, one request signs them.
      await (this.#signing ??= this.#sign(n).finally(() => (this.#signing = null)));
    }
    return this.#urls.get(n);
  }

  async #sign(n) {
    const next = this.todo.filter((m) => !this.#urls.has(m)).slice(0, BATCH - 1);
    this.#learn(await this.ask({ part_numbers: [n, ...next] }));
  }

  #learn({ parts, expires_at: end }) {
    for (const { part_number: n, url } of parts) this.#urls.set(n, url);
    this.#end = until(end);
  }
}
