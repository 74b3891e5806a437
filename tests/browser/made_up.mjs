// What uploader.js needs of a browser, made up for Node's own test runner (test_mishaps.py).

import { Uploader } from "./uploader.js";

Math.random = () => 0; // it never waits before it tries again
Object.defineProperty(globalThis, "navigator", { value: { onLine: true }, configurable: true });
// What waits for a bucket that never answers does not hold up the end.
const { setTimeout: later } = globalThis;
globalThis.setTimeout = (work, milliseconds) => {
  const timer = later(work, milliseconds);
  return milliseconds > 10_000 ? timer.unref() : timer;
};
globalThis.addEventListener = globalThis.removeEventListener = () => {};

export const until = () => new Promise((resolve) => setTimeout(resolve, 5));
/** Until `done()`, however slow the machine is; and a moment more, for what must not follow. */
export async function settled(done) {
  for (let looks = 0; !done(); looks += 1) {
    if (looks > 10_000) throw new Error("it did not come to pass");
    await until();
  }
  await until();
}
export const inAnHour = () => new Date(Date.now() + 3_600_000).toISOString();
export const put = (id, end = inAnHour()) => ({
  id,
  upload: { method: "PUT", url: `https://bucket/${id}`, headers: {}, expires_at: end },
});
export const multipart = (id, count) => ({
  id,
  upload: {
    method: "multipart",
    part_size: 10,
    part_count: count,
    expires_at: inAnHour(),
    parts: Array.from({ length: count }, (_, i) => ({
      part_number: i + 1,
      url: `https://bucket/${id}/${i + 1}`,
    })),
  },
});
export const stored = (id) => [200, { id, state: "confirmed" }];
export const problem = (status, slug, more) => [status, { type: `urn:problem:${slug}`, status, ...more }];
export const NOT_ARRIVED = problem(409, "upload-not-arrived");
export const file = (size = 10, name = "a.bin") => new File([new Uint8Array(size)], name, { lastModified: 1 });

export const TEN_ZEROS = "AdRIr9koBlRYz2cLYPWllNc1rwFyyNZ/IqgWgBMmgco=";

export class Storage {
  entries = new Map();
  getItem = (key) => this.entries.get(key) ?? null;
  setItem = (key, value) => this.entries.set(key, value);
  removeItem = (key) => this.entries.delete(key);
  /** An earlier visit sent `file()` in this upload. */
  remember(id) {
    const fingerprint = JSON.stringify(["https://service/", "files", "a.bin", "", 10, 1, ""]);
    const entry = { id, size: 10, digests: { 1: TEN_ZEROS }, at: Date.now() };
    this.setItem(`claimcheck:0${fingerprint}`, JSON.stringify(entry));
  }
  get ids() {
    return [...this.entries.values()].map((entry) => JSON.parse(entry).id);
  }
}

/**
 * A service and a bucket that answer as these functions do: `service("POST uploads", body, headers)` gives
 * status and JSON (or text), `bucket("PUT id/1", bytes)` status and XML, or undefined for a lost connection.
 * Gives what was asked of both, in order.
 */
export function world(service, bucket = () => [200, ""]) {
  const asked = [];
  globalThis.fetch = async (url, { method, headers, body, signal }) => {
    const what = `${method} ${url.split("/v1/")[1]}`;
    signal.throwIfAborted();
    asked.push(what);
    const [status, answer] = await service(what, body && JSON.parse(body), headers);
    signal.throwIfAborted();
    const text = typeof answer === "string" ? answer : JSON.stringify(answer);
    return new Response(status === 204 ? null : text, { status });
  };
  globalThis.XMLHttpRequest = class {
    upload = {};
    setRequestHeader() {}
    getAllResponseHeaders = () => "";
    open(method, url) {
      this.what = `${method} ${url.split("https://bucket/")[1]}`;
    }
    abort() {
      this.aborted = true;
      this.onloadend();
    }
    async send(body) {
      asked.push(this.what);
      this.upload.onprogress({ loaded: body.size ?? body.byteLength });
      this.upload.onload();
      const answer = await bucket(this.what, body);
      if (this.aborted) return;
      if (answer) {
        [this.status, this.responseText] = answer;
        this.onload();
      }
      this.onloadend();
    }
  };
  return asked;
}

/** A service and a bucket that keep what is sent in parts of 10 bytes, or whole: `kept.get(id)`. */
export function keeping({ whole, bucket = () => [200, ""] } = {}) {
  const kept = new Map(); // id -> Map of part numbers to bytes
  const counts = new Map(); // id -> how many parts there will be
  const announced = (id) => (whole ? put(id) : multipart(id, counts.get(id)));
  const announce = ({ size }) => {
    const made = `u${kept.size + 1}`;
    kept.set(made, new Map());
    counts.set(made, whole ? 1 : Math.ceil(size / 10));
    return announced(made);
  };
  const asked = world(
    async (what, body) => {
      const [, method, id, verb] = /^(\w+) uploads\/?(\w*)\/?(\w*)/.exec(what);
      if (!id) return [201, announce(body)];
      if (id === "batch") return [200, { uploads: body.uploads.map(announce) }];
      if (method === "DELETE") return kept.delete(id) && [204];
      const parts = kept.get(id);
      if (!parts) return problem(404, "upload-not-found");
      if (verb === "renew") return [200, announced(id)];
      if (verb === "parts" && method === "POST") return [200, announced(id).upload];
      if (verb === "parts") {
        const list = [...parts].map(([n, bytes]) => ({ part_number: n, size: bytes.length }));
        return [200, { parts: list }];
      }
      return parts.size === counts.get(id) ? stored(id) : NOT_ARRIVED;
    },
    async (what, body) => {
      const [id, n] = what.slice(4).split("/");
      const bytes = new Uint8Array(await new Response(body).arrayBuffer());
      const answer = await bucket(what, () => kept.get(id).set(Number(n ?? 1), bytes));
      if (answer?.[0] === 200) kept.get(id).set(Number(n ?? 1), bytes);
      return answer;
    },
  );
  /** The bytes of an upload, parts in order. */
  const bytesOf = (id) => [...kept.get(id)].sort(([a], [b]) => a - b).flatMap(([, b]) => [...b]);
  return { asked, kept, bytesOf };
}

/** An uploader whose uploads are remembered in `storage`. */
export function made({ storage = new Storage(), ...options } = {}) {
  const endpoint = "https://service/";
  return { storage, uploader: new Uploader({ endpoint, destination: "files", storage, ...options }) };
}
