/** The lock on an upload, so that no other transfer and no other tab works on it. */

import { PREFIX } from "./memory.js";

const HANDOVER = 1_000; // milliseconds to wait for a closing page to release its uploads

export class Lock {
  #id = null; // of the upload that is locked
  #release;

  /** `taken` are the ids of uploads that transfers of this page work on. */
  constructor(taken) {
    this.taken = taken;
  }

  /** Lock an upload until `leave`; false if another transfer or tab has it. */
  async take(id) {
    if (this.#id === id) return true;
    if (this.taken.has(id)) return false;
    const { locks } = navigator; // none on plain http, where no tab knows another's uploads
    this.taken.add(id); // a file that is chosen twice here becomes two uploads
    const ours = await new Promise((resolve) => {
      if (!locks) return resolve(true);
      const hold = () => {
        resolve(true);
        return new Promise((release) => (this.#release = release));
      };
      const signal = AbortSignal.timeout(HANDOVER);
      return locks.request(PREFIX + id, { signal }, hold).catch(() => resolve(false));
    });
    if (ours) this.#id = id;
    else this.taken.delete(id);
    return ours;
  }

  leave() {
    this.taken.delete(this.#id);
    this.#release?.();
    this.#id = this.#release = null;
  }
}
