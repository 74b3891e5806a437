/** The upload of one file: announced, sent, confirmed; paused, resumed, cancelled. */

import { explained, requestOf, Slots, transmit } from "./bucket.js";
import { md5Of } from "./hashing.js";
import { Lock } from "./lock.js";
import { PartUrls, until } from "./part-urls.js";
import { PIECE, Pieces } from "./pieces.js";
import { canHash, readable, sha256 } from "./reading.js";
import { isLost } from "./service.js";
import { Speed } from "./speed.js";

/** The upload of one file. Each run of `proceed` lasts until its end, a failure or a pause. */
export class Transfer {
  state = "waiting";
  hashed = null; // base64 of the SHA-256
  md5 = null; // base64
  #announcing = null; // promise of the service's answer
  #announced = null; // that answer, with `upload` in it
  #until = 0; // when its URLs expire, in epoch milliseconds
  #lock; // on the upload that it works on
  #own = null; // the id of the upload that holds nothing but this file
  #run = null; // AbortController of the run under way
  #pieces = null; // Pieces that were sent in it
  #left = false; // whether all bytes of a file in one request were sent, answered or not
  #sent = false;
  #done = new Set(); // part numbers that the bucket has
  #moved = new Map(); // part number -> bytes that have left at most
  #speed = new Speed();
  #resolve;
  #reject;
  /** @type {import("./queue.js").Queue} */ queue;
  /** @type {File} */ file;
  /** @type {string} */ destination;
  /** @type {AbortSignal | undefined} */ signal;
  /** @type {import("../uploader.js").UploadOptions["onProgress"]} */ onProgress;
  #onAbort = () => this.cancel(this.signal.reason);

  constructor(queue, file, options) {
    Object.assign(this, { queue, file, ...options });
    this.#lock = new Lock(queue.taken);
    const { filename, destination, contentType, path, signal } = options;
    const { base } = queue.service;
    this.fingerprint = JSON.stringify([
      ...[base, destination, filename, contentType, file.size, file.lastModified, path],
    ]);
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (signal?.aborted) this.cancel(signal.reason);
    else signal?.addEventListener("abort", this.#onAbort);
  }

  /** Whether it can be announced together with others before its turn. */
  get isReady() {
    const isHashed = !this.#toHash && !this.queue.wantsMd5(this);
    return !this.#announcing && !this.#announced && isHashed && !this.#remembered.length;
  }

  get #toHash() {
    const { size } = this.file;
    return size && size <= this.queue.sha256 && !this.hashed && canHash();
  }

  /** Earlier, unfinished uploads of such a file that no other transfer has taken. */
  get #remembered() {
    const found = this.queue.memory.find(this.file, this.fingerprint);
    return found.filter(({ id }) => !this.queue.taken.has(id));
  }

  /** Whether it is remembered in storage; a Blob has no time to recognize it by. */
  get #isStored() {
    return Boolean(this.queue.memory.storage && this.file.lastModified);
  }

  announceWith(announcing) {
    this.#announcing = announcing;
    announcing.catch(() => (this.#announcing = null)); // it is announced again in its turn
  }

  tell(state) {
    if (this.state === "ended" || (this.state === "paused" && state !== "waiting")) return;
    this.state = state;
    const { size: total } = this.file;
    let loaded = this.#sent ? total : 0;
    if (!this.#sent) for (const bytes of this.#moved.values()) loaded += bytes;
    const speed = this.#speed.at(Date.now(), state === "sending" ? loaded : null);
    const secondsLeft = speed ? (total - loaded) / speed : null;
    this.onProgress?.({ loaded, total, state, speed, secondsLeft }, this.file);
  }

  /** Start or continue. Never rejects; failures reject the upload's promise. */
  async proceed() {
    const run = (this.#run = new AbortController());
    try {
      this.#end(this.#resolve, await this.#complete(run.signal));
    } catch (error) {
      if (run.signal.aborted) return; // by pause or cancel, which have reported it
      if (isLost(error) || error.changed) this.#forget(this.#own);
      else this.#keep();
      // Of a changed file the bucket may hold some old bytes and some new ones.
      if (error.changed && this.#own) await this.#ask("DELETE", this.#own).catch(() => {});
      this.#end(this.#reject, error.unanswered ? await explained(error, this.queue.service.base) : error);
    }
  }

  pause() {
    if (this.state === "ended" || this.state === "paused") return;
    this.#stop();
    this.tell("paused");
  }

  resume() {
    if (this.state !== "paused") return;
    this.tell("waiting");
    this.queue.add(this);
  }

  /** Cancel it; resolves to false if it had become a file before. */
  async cancel(reason = new DOMException("The upload was cancelled.", "AbortError")) {
    if (this.state === "ended") return false;
    const own = this.#own;
    this.#stop();
    this.#end(this.#reject, reason);
    // An announcement under way cannot be aborted, but its upload can be cancelled.
    const announced = this.#announced ?? (await this.#announcing?.catch(() => null));
    const id = announced?.id ?? own ?? (await this.#recall());
    this.#forget(id);
    if (!id) return true;
    const gone = this.queue.service.call("DELETE", `v1/uploads/${id}`).then(
      () => true,
      ({ status }) => status !== 409, // after other failures the upload expires
    );
    return gone.finally(() => this.#lock.leave());
  }

  /** The id of a remembered upload that seems to be of this file. */
  async #recall() {
    for (const { id, size, digests, pieces } of this.#remembered) {
      if (!(await this.#lock.take(id))) continue;
      const stored = new Pieces(this.file, size, true, digests);
      if (pieces || (await stored.agree({ sample: true }).catch(() => false))) return id;
      this.#lock.leave();
    }
    return null;
  }

  #stop() {
    this.queue.remove(this);
    this.#run?.abort();
  }

  #end(settle, value) {
    this.state = "ended";
    this.signal?.removeEventListener("abort", this.#onAbort);
    this.#lock.leave();
    settle(value);
  }

  #forget(id) {
    this.queue.memory.delete(this.file, this.fingerprint, id);
  }

  /** Remember it for another upload of the same object. */
  #keep() {
    const entry = { id: this.#own, pieces: this.#pieces, left: this.#left };
    if (this.#own) this.queue.memory.keep(this.file, this.fingerprint, entry);
  }

  /** Remember in storage what was sent. */
  #remember({ size, digests, isHashed }) {
    if (isHashed) this.queue.memory.save(this.fingerprint, { id: this.#own, size, digests });
  }

  #persist(work, signal) {
    return this.queue.service.persist(work, { signal, tell: (state) => this.tell(state) });
  }

  /** A request about this upload, once. */
  #ask(method, what, signal, body) {
    return this.queue.service.ask(method, `v1/uploads/${what}`, { body, signal });
  }

  async #complete(run) {
    for (let turn = 1; ; turn += 1) {
      const others = new AbortController();
      const signal = AbortSignal.any([run, others.signal]);
      try {
        if (!this.#announced) this.#announced = await this.#open(signal);
        else if (!this.#sent) await this.#look(signal); // more may have arrived before a pause
        const { id } = this.#announced;
        if (this.#announced.upload && !this.#sent) await this.#send(signal);
        const { upload, ...file } = this.#announced;
        const stored = upload ? await this.#confirm(id, signal) : file;
        this.#forget(id);
        return stored;
      } catch (error) {
        run.throwIfAborted();
        const { gone, lacks } = error;
        if (!(gone || lacks) || turn > 2 || !this.#announced) throw error;
        this.#sent = false;
        if (lacks) continue;
        // First continue from the service's state; if that fails again, begin anew.
        if (turn > 1) this.#forget(this.#own);
        else this.#keep();
        this.#reset();
      } finally {
        others.abort(); // requests of this turn that are still under way
      }
    }
  }

  #reset() {
    this.#lock.leave();
    this.#announced = this.#announcing = this.#own = this.#pieces = null;
    this.#left = false;
    this.#done = new Set();
    this.#moved.clear();
  }

  /** Continue an earlier upload of the file, or announce a new one. */
  async #open(signal) {
    for (const entry of this.#announcing ? [] : this.#remembered) {
      try {
        const again = await this.#reopen(entry, signal);
        if (again) return again;
      } catch (error) {
        this.#lock.leave();
        signal.throwIfAborted();
        if (!isLost(error)) throw error;
        this.#forget(entry.id); // it has expired, or belongs to another caller
      }
      this.#reset(); // it is another tab's, or another file's
    }
    if (this.#toHash) {
      this.tell("hashing");
      this.hashed = await sha256(await readable(this.file));
    }
    if (this.queue.wantsMd5(this)) await this.#makeMd5(signal);
    const announce = () => {
      if (!this.#announcing) this.announceWith(this.queue.announce(this));
      return this.#announcing;
    };
    const announced = await this.#persist(announce, signal).catch(async (error) => {
      if (error.type !== "checksum-required" || this.md5) throw error;
      await this.#makeMd5(signal);
      return this.#persist(announce, signal);
    });
    await this.#lock.take(announced.id);
    signal.throwIfAborted();
    this.#own = announced.id;
    const { part_size: size } = announced.upload ?? {};
    if (size) this.#pieces = new Pieces(this.file, size, this.#isStored);
    return announced;
  }

  async #makeMd5(signal) {
    this.tell("hashing");
    this.md5 = await md5Of(this.file);
    signal.throwIfAborted();
    this.queue.noteMd5(this);
  }

  /** Continue it; null where it is another file's, or there is doubt. */
  async #reopen({ id, size, digests, pieces, left }, signal) {
    if (digests) {
      pieces = new Pieces(this.file, size, true, digests);
      const onPiece = (n) => {
        this.#moved.set(n, pieces.slice(n).size);
        this.tell("hashing");
      };
      this.tell("hashing");
      if (!(await pieces.agree({ signal, onPiece }))) return null;
    }
    if (!(await this.#lock.take(id))) return null;
    [this.#own, this.#pieces, this.#left] = [id, pieces, left];
    if (left || pieces?.isWhole) {
      await readable(this.file.slice(0, 1)); // nothing has looked since its last byte left
      const file = await this.#persist(() => this.#arrived(id, signal), signal);
      if (file) return { ...file, upload: null };
    }
    const again = await this.#persist(() => this.#ask("POST", `${id}/renew`, signal), signal);
    const unknown = await this.#look(signal, again);
    return unknown ? null : this.take(again);
  }

  /** Confirm; the file, or undefined if its bytes have not arrived. */
  #arrived(id, signal) {
    return this.#ask("POST", `${id}/confirm`, signal).catch((error) => {
      if (error.type !== "upload-not-arrived") throw error;
    });
  }

  /** Note when the URLs of an announcement expire, and return it. */
  take(announced) {
    this.#until = until(announced.upload?.expires_at);
    return announced;
  }

  /** Ask which parts the bucket has in full; whether it has others than were sent from here. */
  async #look(signal, { id, upload } = this.#announced) {
    this.#done = new Set();
    if (upload?.method !== "multipart") return this.#moved.clear();
    const unknown = await this.#persist(() => this.#list(id, signal), signal);
    for (const n of this.#moved.keys()) if (!this.#done.has(n)) this.#moved.delete(n);
    return unknown;
  }

  async #list(id, signal) {
    const { parts } = await this.#ask("GET", `${id}/parts`, signal);
    const { digests } = this.#pieces;
    for (const { part_number: n, size, checksum_md5: known } of parts) {
      if (!digests[n] || size !== this.#pieces.slice(n).size) continue;
      if (known === null) continue; // the bucket may have other bytes than were announced
      this.#done.add(n);
      this.#moved.set(n, size);
    }
    return parts.some(({ part_number: n }) => !digests[n]);
  }

  async #send(signal) {
    const { method } = this.#announced.upload;
    await (method === "multipart" ? this.#sendParts(signal) : this.#sendWhole(signal));
    if (this.#announced.upload) await readable(this.file.slice(0, 1)); // it is what was chosen
    this.#sent = true;
  }

  #sendWhole(signal) {
    const { id } = this.#announced;
    const pieces = new Pieces(this.file, PIECE, this.#isStored);
    const hashing = this.#isStored ? pieces.takeAll(signal) : null;
    hashing?.catch(() => {}); // sending finds out, too, that it cannot be read
    const prepare = async (failures) => {
      // Perhaps only the answer was lost, or a pause came before it.
      if (this.#left) {
        await readable(this.file.slice(0, 1));
        const file = await this.#arrived(id, signal);
        if (file) return void (this.#announced = { ...file, upload: null });
      }
      this.#left = false;
      if (failures || this.#until < Date.now()) {
        this.#announced = this.take(await this.#ask("POST", `${id}/renew`, signal));
      }
      return requestOf(this.#announced.upload, this.file);
    };
    const onLeft = () => {
      this.#left = true;
      // Only what was sent unchanged is remembered.
      const known = hashing?.then(() => readable(this.file.slice(0, 1)));
      known?.then(() => signal.aborted || this.#remember(pieces), () => {});
    };
    return this.#transmit(1, this.file.size, prepare, signal, { onLeft });
  }

  async #sendParts(signal) {
    const { id, upload } = this.#announced;
    const todo = [];
    for (let n = 1; n <= upload.part_count; n += 1) if (!this.#done.has(n)) todo.push(n);
    const ask = (body) => this.#ask("POST", `${id}/parts`, signal, body);
    const urls = new PartUrls(ask, todo, this.#until > Date.now() ? upload : null);
    let listing;
    const prepare = async (n, failures) => {
      if (failures) {
        // Perhaps only the answer was lost. Where several were, one request asks for all.
        await (listing ??= this.#list(id, signal).finally(() => (listing = null)));
        if (this.#done.has(n)) return undefined;
      }
      const { body, md5 } = await this.#pieces.take(n, upload.integrity, todo[0]);
      const { url, headers } = await urls.get(n, failures, md5);
      signal.throwIfAborted();
      this.#remember(this.#pieces); // before a byte leaves, so that no other bytes can be taken for them
      return { method: "PUT", url, headers, body };
    };
    // A part that is being sent when the page closes is lost, so there are never more than two.
    // Others may still wait for the bucket's answer: all their bytes are sent.
    const room = new Slots(2);
    const work = async () => {
      for (let n; (n = todo.shift()); ) {
        const { size } = this.#pieces.slice(n);
        await this.#transmit(n, size, (failures) => prepare(n, failures), signal, { room });
        signal.throwIfAborted();
        this.#done.add(n);
      }
    };
    await Promise.all(Array.from({ length: this.queue.parallel }, work));
  }

  /**
   * Send a part, or the whole file, when a slot is free. `prepare` gives the signed request, or
   * nothing where the bytes have arrived already.
   */
  #transmit(n, size, prepare, signal, { room = new Slots(1), onLeft = () => {} }) {
    const onSent = (loaded) => {
      if (signal.aborted) return;
      // A form is longer than its file. What is sent again is not counted again.
      this.#moved.set(n, Math.max(this.#moved.get(n) ?? 0, Math.min(loaded, size)));
      this.tell("sending");
    };
    const { slots, stall } = this.queue;
    const how = { file: this.file, slots, room, stall, signal, onSent, onLeft };
    return this.#persist((failures) => transmit(() => prepare(failures), how), signal);
  }

  #confirm(id, signal) {
    const ask = () => this.tell("confirming") ?? this.#ask("POST", `${id}/confirm`, signal);
    return this.#persist(ask, signal);
  }
}
