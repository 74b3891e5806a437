/**
 * Claimcheck's uploader: files of any size from a browser straight into the bucket.
 *
 *   const uploader = new Uploader({ destination: "images" });
 *   const stored = await uploader.upload(file, { onProgress: ({ loaded, total }) => ... });
 *
 * One module without dependencies; uploader.d.ts describes all of it. Bytes go from here to the
 * bucket, in one request or in parts, as the service says; the service only signs and confirms.
 */

// Milliseconds before the first retry, at most; doubled for each further one.
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;
const SERVICE_TIMEOUT = 60_000; // the service answers within 30 s, or says "later"
const BATCH = 100; // announcements in one request, and parts signed in one
// Milliseconds: after a quicker request one more may run at once, after a slower one fewer.
const QUICK = 2_000;
const SLOW = 8_000;
const REMEMBERED = 30 * 86_400_000; // milliseconds that an unfinished upload is remembered here
const PREFIX = "claimcheck:";
const HANDOVER = 1_000; // milliseconds to wait for a closing page to release its uploads

/**
 * A failure with a message for people. `status` is the HTTP status, 0 without an answer; `type` is
 * the problem's slug (docs/problems.md), `problem` the whole problem; `retry` says whether the same
 * upload may succeed later.
 */
export class UploadError extends Error {
  constructor(title, detail, more) {
    super(detail ? `${title}. ${detail}` : title);
    Object.assign(this, { name: "UploadError", title, detail, status: 0, retry: true }, more);
  }
}

/** The value, or the result of calling it if it is a function. */
const given = (value) => (typeof value === "function" ? value() : value);

/** When URLs signed just now expire, in epoch milliseconds; if that is past, the clock is wrong. */
function until(expiresAt) {
  const end = Date.parse(expiresAt);
  return end > Date.now() ? end : Infinity;
}

/** Whether a request that failed with this status may succeed later. */
const isTransient = (status) => status >= 500 || [0, 408, 409, 425, 429].includes(status);

/** Wait, but not longer than until the browser is online again. Throws the signal's reason. */
function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener("online", end);
      signal?.removeEventListener("abort", end);
      signal?.aborted ? reject(signal.reason) : resolve();
    };
    const timer = setTimeout(end, milliseconds);
    addEventListener("online", end);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
  });
}

/** Requests to the service. */
class Service {
  constructor({ endpoint = new URL("..", import.meta.url).href, headers, token, retries = 8 }) {
    this.base = new URL(endpoint.replace(/\/*$/, "/"), globalThis.location?.href).href;
    Object.assign(this, { headers, token, retries });
  }

  /** One request; the answer's JSON. Throws an UploadError made from problem+json (RFC 9457). */
  async ask(method, path, { body, signal } = {}) {
    let response, answer;
    try {
      const headers = new Headers(await given(this.headers));
      const token = await given(this.token);
      if (token) headers.set("Authorization", `Bearer ${token}`);
      if (body) headers.set("Content-Type", "application/json");
      const timeout = AbortSignal.timeout(SERVICE_TIMEOUT);
      response = await fetch(this.base + path, {
        method,
        headers,
        body: body && JSON.stringify(body),
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      });
      // A proxy in between may answer with an HTML page.
      answer = response.status === 204 ? null : JSON.parse(await response.text());
    } catch (cause) {
      signal?.throwIfAborted();
      // A failed status is a failure whatever its body; a success without JSON is one too.
      if (!response || response.ok) {
        throw new UploadError(
          "The service cannot be reached",
          "Check the connection, and that the service knows this page's origin, and try again.",
          { cause }, // `token` or `headers` may have thrown
        );
      }
    }
    const { status, ok, headers: said } = response;
    if (ok && status !== 202) return answer;
    throw problemError(status, answer, said.get("Retry-After") * 1000);
  }

  /**
   * Repeat `work` (called with the number of failures so far) until it succeeds, fails for good or
   * has failed too often, with exponential backoff and full jitter in between.
   */
  async persist(work, { signal, tell, retries = this.retries } = {}) {
    const refusals = {}; // counts of failures with a limit of their own, by status
    for (let failures = 0; ; ) {
      try {
        signal?.throwIfAborted();
        return await work(failures);
      } catch (error) {
        signal?.throwIfAborted();
        const { status, again, later } = error;
        // Failures while the browser is offline do not count. But `onLine` may be wrong.
        const offline = tell && !status && navigator.onLine === false;
        const most = offline || later ? Infinity : Math.min(retries, again ?? retries);
        const before = again === undefined ? failures : (refusals[status] ?? 0);
        if (!error.retry || error.gone || error.lacks || before >= most) throw error;
        const backoff = Math.random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);
        if (!later) tell?.(offline ? "offline" : "retrying");
        if (most < Infinity) {
          failures += 1;
          refusals[status] = before + 1;
        }
        await sleep(offline ? LONGEST_WAIT : error.wait || backoff, signal);
      }
    }
  }

  /** `ask`, with retries. */
  call(method, path, { body, ...how } = {}) {
    return this.persist(() => this.ask(method, path, { body, signal: how.signal }), how);
  }
}

/** An UploadError from the service's problem; `wait` is Retry-After in milliseconds, or 0. */
function problemError(status, problem, wait) {
  const type = /[^:/]*$/.exec(problem?.type ?? "")[0];
  const later = status === 202; // the service is still working on it
  return new UploadError(
    problem?.title ?? `The service answered with status ${status}`,
    problem?.detail ?? "Try again in a moment.",
    {
      status,
      type,
      problem,
      wait,
      later,
      // A 404 that is no problem comes from a router in front that has no service behind it.
      retry: later || isTransient(status) || status === 401 || (status === 404 && !type),
      again: status === 401 ? 1 : undefined, // `token` may give a newer one
      // The upload is in another state than assumed here: ask the service.
      gone: /-(expired|not-pending|not-found)$/.test(type),
      lacks: problem?.missing_parts,
    },
  );
}

/** Whether the upload can never succeed. */
const isLost = ({ status, gone, retry }) => gone || (status >= 400 && status !== 403 && !retry);

/**
 * A limit on requests to the bucket at once: two at first, more on a quick connection, fewer on a
 * slow one and after failures, because a broken connection loses the requests under way.
 */
class Slots {
  busy = 0;
  waiting = [];

  constructor(most) {
    this.most = most;
    this.#allow(2);
  }

  /** Run `work` when a slot is free; its argument releases the slot before it ends. */
  async run(work, signal) {
    if (this.busy >= this.limit) await new Promise((resolve) => this.waiting.push(resolve));
    else this.busy += 1;
    const begun = Date.now();
    let held = 1;
    const leave = () => {
      this.busy -= held;
      held = 0;
      while (this.busy < this.limit && this.waiting.length) {
        this.busy += 1;
        this.waiting.shift()();
      }
    };
    try {
      signal.throwIfAborted();
      const result = await work(leave);
      const took = Date.now() - begun;
      if (took < QUICK) this.#allow(this.limit + 1);
      else if (took > SLOW && this.limit > 2) this.#allow(this.limit - 1);
      return result;
    } catch (error) {
      if (isTransient(error.status)) this.#allow(this.limit >> 1);
      throw error;
    } finally {
      leave();
    }
  }

  #allow(limit) {
    this.limit = Math.max(1, Math.min(limit, this.most));
  }
}

/** Send a body to the bucket by XMLHttpRequest, because fetch has no upload progress. */
function send({ method, url, headers = {}, body, signal, stall, onSent, onLeft }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer;
    const abort = () => request.abort();
    const alive = (milliseconds) => {
      clearTimeout(timer);
      timer = setTimeout(abort, milliseconds);
    };
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => {
      alive(stall);
      onSent(loaded);
    };
    request.upload.onload = () => {
      alive(5 * stall); // the store may need time to assemble it
      onLeft();
    };
    request.onload = () => {
      const { status, responseText } = request;
      // 412: the URL may only create, and an earlier attempt had arrived.
      if (status < 300 || status === 412) resolve();
      else reject(refusal(status, responseText, request.getAllResponseHeaders()));
    };
    request.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      // No effect after `onload`.
      reject(
        signal.aborted
          ? signal.reason
          : new UploadError(
              "The file could not be sent",
              "The connection to the bucket failed, or the bucket does not allow uploads from this page (CORS). Check the connection and try again.",
            ),
      );
    };
    signal.addEventListener("abort", abort);
    alive(stall);
    request.send(body);
  });
}

/** An UploadError from S3's XML: <Error><Code/><Message/></Error>. */
function refusal(status, xml, headers) {
  const [code, message] = ["Code", "Message"].map((n) => xml.match(`<${n}>([^<]*)</${n}>`)?.[1]);
  const why = [code, message].filter(Boolean).join(": ") || `status ${status}`;
  const later = isTransient(status) || code === "RequestTimeout";
  return new UploadError("The bucket refused the file", `${why}.`, {
    status,
    gone: status === 404, // NoSuchUpload
    wait: /^retry-after: *(\d+)/im.exec(headers)?.[1] * 1000,
    retry: later || status === 400 || status === 403,
    // Most likely an expired signature: each retry is signed anew, so one is enough.
    again: later ? undefined : 1,
  });
}

/** The upload of one file. Each run of `proceed` lasts until its end, a failure or a pause. */
class Transfer {
  state = "waiting";
  hashed = null; // base64 of the SHA-256
  #announcing = null; // promise of the service's answer
  #announced = null; // that answer, with `upload` in it
  #until = 0; // when its URLs expire, in epoch milliseconds
  #held = null; // the id of the upload that is locked against other transfers and tabs
  #release; // releases the lock
  #run = null; // AbortController of the run under way
  #left = false; // whether all bytes of a file in one request were sent, answered or not
  #sent = false;
  #done = new Set(); // part numbers that the bucket has
  #inFlight = new Map(); // part number -> bytes sent
  #resolve;
  #reject;
  #onAbort = () => this.cancel(this.signal.reason);

  constructor(queue, file, options) {
    Object.assign(this, { queue, file, ...options });
    const { filename, destination, contentType, signal } = options;
    const { lastModified, webkitRelativePath, size } = file;
    const { base } = queue.service;
    // A Blob has nothing but its size to recognize it by, so it is not remembered.
    this.fingerprint = lastModified && JSON.stringify([
      ...[base, destination, filename, contentType, size, lastModified, webkitRelativePath],
    ]);
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (signal?.aborted) this.cancel(signal.reason);
    else signal?.addEventListener("abort", this.#onAbort);
  }

  get announcement() {
    return {
      destination: this.destination,
      filename: this.filename,
      size: this.file.size,
      ...(this.contentType && { content_type: this.contentType }),
      ...(this.hashed && { checksum_sha256: this.hashed }),
    };
  }

  /** Whether it can be announced together with others before its turn. */
  get isReady() {
    return !this.#announcing && !this.#announced && !this.#toHash && !this.#remembered;
  }

  get #toHash() {
    const { size } = this.file;
    return size && size <= this.queue.sha256 && !this.hashed && globalThis.crypto?.subtle;
  }

  /** The id of an earlier, unfinished upload of this file that no other transfer has taken. */
  get #remembered() {
    const id = this.queue.memory.get(this.fingerprint);
    return this.queue.taken.has(id) ? undefined : id;
  }

  announceWith(announcing) {
    this.#announcing = announcing;
    announcing.catch(() => (this.#announcing = null)); // it is announced again in its turn
  }

  tell(state) {
    if (this.state === "ended" || (this.state === "paused" && state !== "waiting")) return;
    this.state = state;
    const { size: total } = this.file;
    const { part_size: part = total, part_count: count } = this.#announced?.upload ?? {};
    let loaded = this.#sent ? total : 0;
    if (!this.#sent) {
      for (const n of this.#done) loaded += n < count ? part : total - part * (count - 1);
      for (const bytes of this.#inFlight.values()) loaded += bytes;
    }
    this.onProgress?.({ loaded, total, state }, this.file);
  }

  /** Start or continue. Never rejects; failures reject the upload's promise. */
  async proceed() {
    const run = (this.#run = new AbortController());
    try {
      this.#end(this.#resolve, await this.#complete(run.signal));
    } catch (error) {
      if (run.signal.aborted) return; // by pause or cancel, which have reported it
      if (isLost(error)) this.#forget(this.#announced?.id);
      this.#end(this.#reject, error);
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
    const held = this.#held;
    this.#stop();
    this.#end(this.#reject, reason);
    // An announcement under way cannot be aborted, but its upload can be cancelled.
    const announced = this.#announced ?? (await this.#announcing?.catch(() => null));
    let id = announced?.id ?? held;
    const before = this.#remembered;
    if (!id && before && (await this.#hold(before))) id = before;
    this.#forget(id);
    if (!id) return true;
    const gone = this.queue.service.call("DELETE", `v1/uploads/${id}`).then(
      () => true,
      ({ status }) => status !== 409, // after other failures the upload expires
    );
    return gone.finally(() => this.#leave());
  }

  #stop() {
    this.queue.remove(this);
    this.#run?.abort();
    this.#inFlight.clear();
  }

  #end(settle, value) {
    this.state = "ended";
    this.signal?.removeEventListener("abort", this.#onAbort);
    this.#leave();
    settle(value);
  }

  /** Lock the upload until `#leave`; false if another tab has it. */
  async #hold(id) {
    if (this.#held === id) return true;
    const { taken } = this.queue;
    const { locks } = navigator; // none on plain http, where two tabs may send the same parts
    taken.add(id); // a file that is chosen twice here becomes two uploads
    const ours = await new Promise((resolve) => {
      if (!locks) return resolve(true);
      const hold = () => {
        resolve(true);
        return new Promise((release) => (this.#release = release));
      };
      const signal = AbortSignal.timeout(HANDOVER);
      return locks.request(PREFIX + id, { signal }, hold).catch(() => resolve(false));
    });
    if (ours) this.#held = id;
    else taken.delete(id);
    return ours;
  }

  #leave() {
    this.queue.taken.delete(this.#held);
    this.#release?.();
    this.#held = this.#release = null;
  }

  #forget(id) {
    this.queue.memory.delete(this.fingerprint, id);
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
        const { upload, ...file } = this.#announced;
        if (upload) {
          this.queue.memory.set(this.fingerprint, file.id);
          if (!this.#sent) await this.#send(signal);
        }
        const stored = upload ? await this.#confirm(file.id, signal) : file;
        this.#forget(file.id);
        return stored;
      } catch (error) {
        run.throwIfAborted();
        const { gone, lacks } = error;
        if (!(gone || lacks) || turn > 2 || !this.#announced) throw error;
        this.#sent = false;
        this.#inFlight.clear();
        if (lacks) continue;
        // First continue from the service's state; if that fails again, begin anew.
        if (turn > 1) this.#forget(this.#announced.id);
        this.#leave();
        this.#announced = this.#announcing = null;
        this.#done = new Set();
      } finally {
        others.abort(); // requests of this turn that are still under way
      }
    }
  }

  /** Continue an earlier upload of the file, or announce a new one. */
  async #open(signal) {
    const id = this.#remembered;
    if (id) {
      try {
        if (await this.#hold(id)) return await this.#reopen(id, signal);
      } catch (error) {
        this.#leave();
        signal.throwIfAborted();
        if (!isLost(error)) throw error;
        this.#forget(id); // it has expired, or belongs to another caller
      }
    }
    if (this.#toHash) {
      this.tell("hashing");
      const bytes = await readable(this.file);
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      this.hashed = btoa(String.fromCharCode(...digest));
    }
    const announced = await this.#persist(() => {
      if (!this.#announcing) this.announceWith(this.queue.announce(this));
      return this.#announcing;
    }, signal);
    await this.#hold(announced.id);
    signal.throwIfAborted();
    return announced;
  }

  async #reopen(id, signal) {
    const file = await this.#persist(() => this.#arrived(id, signal), signal);
    if (file) return { ...file, upload: null };
    const again = await this.#persist(() => this.#ask("POST", `${id}/renew`, signal), signal);
    await this.#look(signal, again);
    return this.take(again);
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

  /** Ask which parts the bucket has in full. */
  async #look(signal, { id, upload } = this.#announced) {
    if (upload?.method !== "multipart") return;
    const { parts } = await this.#persist(() => this.#ask("GET", `${id}/parts`, signal), signal);
    const whole = ({ part_number: n, size }) => size === this.#part(upload, n).size;
    this.#done = new Set(parts.filter(whole).map(({ part_number: n }) => n));
  }

  #part({ part_size: size }, n) {
    return this.file.slice((n - 1) * size, n * size);
  }

  async #send(signal) {
    const { method } = this.#announced.upload;
    await (method === "multipart" ? this.#sendParts(signal) : this.#sendWhole(signal));
    this.#sent = true;
  }

  #sendWhole(signal) {
    const { id } = this.#announced;
    const prepare = async (failures) => {
      // Perhaps only the answer was lost, or a pause came before it.
      if (this.#left && (await this.#arrived(id, signal))) return null;
      this.#left = false;
      if (failures || this.#until < Date.now()) {
        this.#announced = this.take(await this.#ask("POST", `${id}/renew`, signal));
      }
      const { fields, ...request } = this.#announced.upload;
      if (!fields) return { ...request, body: this.file };
      const form = new FormData();
      for (const [name, value] of Object.entries(fields)) form.append(name, value);
      form.append("file", this.file); // S3 ignores every field after this one
      return { ...request, body: form };
    };
    return this.#transmit(1, this.file.size, prepare, signal);
  }

  async #sendParts(signal) {
    const { id, upload } = this.#announced;
    const urls = new Map();
    const learn = ({ parts, expires_at: end }) => {
      for (const { part_number: n, url } of parts) urls.set(n, url);
      this.#until = until(end);
    };
    if (this.#until > Date.now()) learn(upload);
    const all = Array.from({ length: upload.part_count }, (_, index) => index + 1);
    const todo = all.filter((n) => !this.#done.has(n));
    let signing;
    const sign = async (n) => {
      const part_numbers = [n, ...todo.filter((m) => !urls.has(m)).slice(0, BATCH - 1)];
      learn(await this.#ask("POST", `${id}/parts`, signal, { part_numbers }));
    };
    const prepare = async (n, failures) => {
      if (failures || this.#until < Date.now()) urls.clear();
      while (!urls.has(n)) {
        // Where several parts need URLs at once, one request signs them.
        await (signing ??= sign(n).finally(() => (signing = null)));
      }
      return { method: "PUT", url: urls.get(n), body: this.#part(upload, n) };
    };
    // A part that is being sent when the page closes is lost, so there are never more than two.
    // Others may still wait for the bucket's answer: all their bytes are sent.
    const room = new Slots(2);
    const done = this.#done;
    const work = async () => {
      for (let n; (n = todo.shift()); ) {
        const { size } = this.#part(upload, n);
        await this.#transmit(n, size, (failures) => prepare(n, failures), signal, room);
        done.add(n);
      }
    };
    await Promise.all(Array.from({ length: this.queue.parallel }, work));
  }

  /**
   * Send a part, or the whole file, when a slot is free. `prepare` gives the signed request, or null
   * where the bytes have arrived already.
   */
  #transmit(n, size, prepare, signal, room = new Slots(1)) {
    const onSent = (loaded) => {
      if (signal.aborted) return;
      this.#inFlight.set(n, Math.min(loaded, size)); // a form is longer than its file
      this.tell("sending");
    };
    const { slots, stall } = this.queue;
    const transmit = async (failures, onLeft) => {
      const left = () => {
        this.#left = true;
        onLeft();
      };
      onSent(0);
      try {
        const request = await prepare(failures);
        signal.throwIfAborted();
        if (request) await send({ ...request, signal, stall, onSent, onLeft: left });
      } catch (error) {
        // Perhaps the file cannot be read any more, and then no retry helps.
        if (error.status === 0) await readable(this.file.slice(0, 1));
        throw error;
      } finally {
        if (!signal.aborted) this.#inFlight.delete(n);
      }
    };
    const inTurn = (failures) =>
      room.run((onLeft) => slots.run(() => transmit(failures, onLeft), signal), signal);
    return this.#persist(inTurn, signal);
  }

  #confirm(id, signal) {
    return this.#persist(() => {
      this.tell("confirming");
      return this.#ask("POST", `${id}/confirm`, signal);
    }, signal);
  }
}

/** The bytes of a file. Throws UploadError where it cannot be read. */
async function readable(file) {
  try {
    return await file.arrayBuffer();
  } catch {
    throw new UploadError(
      "The file cannot be read",
      "It was changed, moved or removed since it was chosen. Choose it again.",
      { retry: false },
    );
  }
}

/**
 * The ids of unfinished uploads by file, so that they continue after a reload or a restart. Where
 * the browser refuses to store anything they do not, and all else works.
 */
class Memory {
  constructor(storage) {
    this.storage = storage;
    this.#try(() => {
      for (const key of Object.keys(storage).filter((name) => name.startsWith(PREFIX))) {
        if (JSON.parse(storage.getItem(key)).at < Date.now() - REMEMBERED) storage.removeItem(key);
      }
    });
  }

  get(fingerprint) {
    return this.#try(() => JSON.parse(this.storage.getItem(PREFIX + fingerprint)).id);
  }

  set(fingerprint, id) {
    const entry = JSON.stringify({ id, at: Date.now() });
    if (fingerprint) this.#try(() => this.storage.setItem(PREFIX + fingerprint, entry));
  }

  delete(fingerprint, id) {
    if (this.get(fingerprint) !== id) return;
    this.#try(() => this.storage.removeItem(PREFIX + fingerprint));
  }

  #try(work) {
    try {
      return work();
    } catch {
      return undefined;
    }
  }
}

/** Shared by the uploads of an Uploader: their order, announcements and slots. */
class Queue {
  taken = new Set(); // ids of uploads that a transfer works on
  #waiting = [];
  #running = 0;
  #asking = [];

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
    const bodies = [...asking.map(({ transfer }) => transfer), ...soon].map((t) => t.announcement);
    for (const transfer of soon) transfer.announceWith(this.#ask(asking, transfer));
    const tell = (state) => first.forEach(({ transfer }) => transfer.tell(state));
    const call = (path, body) => this.service.call("POST", path, { body, tell });
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

function browserStorage() {
  try {
    return globalThis.localStorage;
  } catch {
    return null; // the browser denies storage to this page
  }
}

export class Uploader {
  #queue;
  #destination;

  constructor({ destination, ...options } = {}) {
    this.#destination = destination;
    this.#queue = new Queue(options);
  }

  /**
   * Upload a file; returns the promise of the stored file, with `pause()`, `resume()` and `cancel()`.
   * Uploads that begin together are announced together.
   */
  upload(file, { destination = this.#destination, ...options } = {}) {
    const { filename = file.name ?? "file", contentType = file.type } = options;
    const how = { ...options, destination, filename, contentType };
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
