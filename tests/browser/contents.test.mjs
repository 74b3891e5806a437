// uploader.js without a browser: no upload ever holds bytes of two files, and none is sent twice.

import assert from "node:assert/strict";
import { test } from "node:test";
import { keeping, made, Storage } from "./made_up.mjs";

const never = new Promise(() => {});
const bytes = (seed, size = 40) => Uint8Array.from({ length: size }, (_, i) => (i * seed) % 251);
/** A file whose name, size and time are those of each other one of its size. */
const file = (content) => new File([content], "REC_0001.bin", { lastModified: 1 });
/** Until nothing more is asked for or remembered, however slow the machine is. */
async function quiet(asked, storage) {
  for (let still = 0, looks = 0, before; still < 25; looks += 1) {
    assert.ok(looks < 3_000, "nothing was asked for");
    await new Promise((resolve) => setTimeout(resolve, 20));
    const now = JSON.stringify([asked, [...storage.entries]]);
    still = asked.length && now === before ? still + 1 : 0;
    before = now;
  }
}
const differing = (content, at) => content.map((byte, i) => (i === at ? byte ^ 1 : byte));
const putsOf = (asked, id) => asked.filter((what) => what.startsWith(`PUT ${id}`));

for (const at of [0, 15, 19]) {
  test(`a file that differs in byte ${at} alone gets nothing of the other`, async () => {
    const storage = new Storage();
    const [one, other] = [bytes(3), differing(bytes(3), at)];
    let closed = false;
    const { asked, bytesOf } = keeping({
      bucket: (what) => (!closed && /u1\/[34]/.test(what) ? never : [200, ""]),
    });
    made({ storage }).uploader.upload(file(one));
    await quiet(asked, storage);
    closed = true;
    assert.equal(bytesOf("u1").length, 20);
    const before = asked.length;
    const { id } = await made({ storage }).uploader.upload(file(other));
    assert.equal(id, "u2");
    assert.deepEqual(bytesOf("u2"), [...other]);
    assert.equal(asked.slice(before).some((what) => what.includes("u1")), false);
    // The first one is still remembered, and goes on.
    assert.deepEqual(storage.ids, ["u1"]);
    assert.equal((await made({ storage }).uploader.upload(file(one))).id, "u1");
    assert.deepEqual(bytesOf("u1"), [...one]);
    assert.equal(putsOf(asked, "u1").length, 6); // two of them by the page that went away
  });
}

test("of files that only their contents tell apart each goes on with its own", async () => {
  const storage = new Storage();
  const contents = [bytes(3), bytes(5), bytes(7)];
  let closed = false;
  const { asked, bytesOf } = keeping({ bucket: (what) => (!closed && /\/4/.test(what) ? never : [200, ""]) });
  const { uploader } = made({ storage, parallel: 8 });
  for (const content of contents) uploader.upload(file(content));
  await quiet(asked, storage);
  closed = true;
  assert.deepEqual(storage.ids.sort(), ["u1", "u2", "u3"]);
  const before = asked.length;
  const again = made({ storage }).uploader;
  const ended = await Promise.all(contents.map((_, i) => again.upload(file(contents[2 - i]))));
  assert.deepEqual(ended.map(({ id }) => id), ["u3", "u2", "u1"]);
  contents.forEach((content, i) => assert.deepEqual(bytesOf(`u${i + 1}`), [...content]));
  assert.equal(asked.slice(before).filter((what) => what.startsWith("PUT")).length, 3);
  assert.deepEqual(storage.ids, []);
});

test("the path in a folder tells files apart", async () => {
  const storage = new Storage();
  const { uploader } = made({ storage, parallel: 8 });
  const { asked } = keeping({ bucket: (what) => (what.endsWith("/4") ? never : [200, ""]) });
  uploader.upload(file(bytes(3)), { path: "scans/a/REC_0001.bin" });
  uploader.upload(file(bytes(3)), { path: "scans/b/REC_0001.bin" });
  await quiet(asked, storage);
  const keys = [...storage.entries.keys()];
  assert.deepEqual(keys.map((key) => /scans\/./.exec(key)[0]).sort(), ["scans/a", "scans/b"]);
});

test("a part that the bucket has and nobody remembers makes it begin afresh", async () => {
  const storage = new Storage();
  let closed = false;
  const { asked, bytesOf } = keeping({ bucket: (what) => (!closed && /\/4/.test(what) ? never : [200, ""]) });
  made({ storage }).uploader.upload(file(bytes(3)));
  await quiet(asked, storage);
  closed = true;
  for (const [key, text] of storage.entries) {
    const entry = JSON.parse(text);
    delete entry.digests[2];
    storage.setItem(key, JSON.stringify(entry));
  }
  assert.equal((await made({ storage }).uploader.upload(file(bytes(3)))).id, "u2");
  assert.deepEqual(bytesOf("u2"), [...bytes(3)]);
});

test("where storage has no room for all that was sent, nothing is remembered", async () => {
  const storage = new Storage();
  let writes = 0;
  storage.setItem = (key, value) => {
    if (++writes > 2) throw new DOMException("", "QuotaExceededError");
    storage.entries.set(key, value);
  };
  const { uploader } = made({ storage });
  const { asked } = keeping({ bucket: (what) => (what.endsWith("/4") ? never : [200, ""]) });
  uploader.upload(file(bytes(3)));
  await quiet(asked, storage);
  assert.equal(writes, 4);
  assert.deepEqual(storage.ids, []);
});

test("the same bytes chosen as before continue, however the time between them was spent", async () => {
  const storage = new Storage();
  let closed = false;
  const { asked } = keeping({ whole: true, bucket: (_, arrive) => closed || arrive() ? [200, ""] : never });
  // A file in one request, whose page goes away before it is confirmed.
  const { fetch } = globalThis;
  globalThis.fetch = (url, how) => (url.endsWith("/confirm") && !closed ? never : fetch(url, how));
  made({ storage }).uploader.upload(file(bytes(3)));
  await quiet(asked, storage);
  closed = true;
  assert.deepEqual(storage.ids, ["u1"]);
  const other = await made({ storage }).uploader.upload(file(differing(bytes(3), 39)));
  const same = await made({ storage }).uploader.upload(file(bytes(3)));
  assert.deepEqual([other.id, same.id], ["u2", "u1"]);
  assert.equal(putsOf(asked, "u1").length, 1);
});

/** Run as a page of plain http, which has no WebCrypto. */
async function onPlainHttp(work) {
  const { crypto } = globalThis;
  const value = { getRandomValues: (array) => crypto.getRandomValues(array) };
  Object.defineProperty(globalThis, "crypto", { value, configurable: true });
  try {
    await work();
  } finally {
    Object.defineProperty(globalThis, "crypto", { value: crypto, configurable: true });
  }
}

test("without WebCrypto nothing is stored, and a retry of the same object goes on", () =>
  onPlainHttp(async () => {
    let away = true;
    const { asked, bytesOf } = keeping({ bucket: (what) => (away && what.endsWith("/3") ? [503, ""] : [200, ""]) });
    const { uploader, storage } = made({ retries: 1, parallel: 1 });
    const chosen = file(bytes(3));
    await assert.rejects(uploader.upload(chosen), { status: 503 });
    assert.equal(storage.entries.size, 0);
    away = false;
    assert.equal((await uploader.upload(chosen)).id, "u1");
    assert.deepEqual(bytesOf("u1"), [...bytes(3)]);
    assert.equal(putsOf(asked, "u1/1").length, 1);
  }));

test("without WebCrypto another object begins afresh", () =>
  onPlainHttp(async () => {
    let away = true;
    const { bytesOf } = keeping({ bucket: (what) => (away && what.endsWith("/3") ? [503, ""] : [200, ""]) });
    const { uploader } = made({ retries: 1, parallel: 1 });
    await assert.rejects(uploader.upload(file(bytes(3))), { status: 503 });
    away = false;
    assert.equal((await uploader.upload(file(bytes(5)))).id, "u2");
    assert.deepEqual(bytesOf("u2"), [...bytes(5)]);
  }));

test("what is cancelled while it is compared drops nothing of another file", async () => {
  const storage = new Storage();
  const world = keeping({ bucket: () => never });
  made({ storage }).uploader.upload(file(bytes(3)));
  await quiet(world.asked, storage);
  const upload = made({ storage }).uploader.upload(file(bytes(5)), {
    onProgress: ({ state }) => state === "hashing" && upload.cancel(),
  });
  await assert.rejects(upload, { name: "AbortError" });
  await quiet(world.asked, storage);
  assert.ok(world.kept.has("u1"));
  assert.deepEqual(storage.ids, ["u1"]);
});

test("parts whose answers were lost are asked for, not sent again", async () => {
  const lost = new Set();
  const { asked, bytesOf } = keeping({
    bucket: (what, arrive) => {
      if (lost.has(what)) return [200, ""];
      lost.add(what);
      arrive();
      return undefined; // the connection is cut before the answer
    },
  });
  const progress = [];
  const onProgress = ({ loaded }) => progress.push(loaded);
  const { id } = await made().uploader.upload(file(bytes(3, 60)), { onProgress });
  assert.deepEqual(bytesOf(id), [...bytes(3, 60)]);
  assert.equal(putsOf(asked, id).length, 6);
});

for (const whole of [false, true]) {
  test(`the bar stands still while a line is down, ${whole ? "whole" : "in parts"}`, async () => {
    let down = 5;
    keeping({ whole, bucket: () => (down-- > 0 ? undefined : [200, ""]) });
    const progress = [];
    const onProgress = ({ loaded }) => progress.push(loaded);
    await made().uploader.upload(file(bytes(3)), { onProgress });
    assert.deepEqual(progress, progress.toSorted((a, b) => a - b));
    assert.equal(progress.at(-1), 40);
  });
}

for (const whole of [true, false]) {
  test(`a file that changed as its upload failed is not confirmed later, ${whole ? "whole" : "in parts"}`, async () => {
    let down = true;
    const { asked, kept } = keeping({
      whole,
      bucket: (what, keep) => {
        keep();
        return down ? [503, ""] : [200, ""];
      },
    });
    const chosen = file(bytes(3, 10));
    const { uploader } = made({ retries: 0 });
    await assert.rejects(uploader.upload(chosen), { status: 503 });
    assert.equal(kept.size, 1); // it has arrived, and may have arrived half changed
    down = false;
    const refusing = async () => {
      throw new DOMException("The file could not be read", "NotReadableError");
    };
    chosen.slice = () => ({ size: 1, arrayBuffer: refusing });
    chosen.arrayBuffer = refusing;
    await assert.rejects(uploader.upload(chosen), { message: /changed/ });
    assert.equal(asked.some((what) => what.endsWith("confirm")), false);
    assert.equal(kept.size, 0);
  });
}

const ALL = ["cors bucket", "no-cors bucket", "no-cors service"];
for (const [answering, sent, sends, said] of [
  [ALL, 0, 2, /no byte of the file left/],
  [ALL, 9, 2, /connection broke whenever/],
  [ALL.slice(1), 0, 1, /^The bucket does not let this page in.* lack https:\/\/page\.example:/],
  [ALL.slice(1), 9, 2, /The service answers, but the bucket at https:\/\/bucket does not/],
  [ALL.slice(2), 0, 2, /The service answers, but the bucket at https:\/\/bucket does not/],
  [[], 0, 2, /The connection to the bucket failed/],
]) {
  test(`what is said when ${sent} bytes left and these answer: ${answering}`, async () => {
    keeping({ bucket: () => undefined });
    const { fetch } = globalThis;
    globalThis.origin = "https://page.example";
    globalThis.fetch = async (url, how) => {
      if (how.method !== "HEAD") return fetch(url, how);
      const asked = `${how.mode} ${new URL(url).hostname}`;
      if (!answering.includes(asked)) throw new TypeError("Failed to fetch");
      return new Response(null, { status: 403 });
    };
    let sendings = 0;
    XMLHttpRequest.prototype.send = function () {
      sendings += 1;
      if (sent) this.upload.onprogress({ loaded: sent });
      queueMicrotask(() => this.onloadend());
    };
    await assert.rejects(made({ retries: 1 }).uploader.upload(file(bytes(3, 9))), {
      message: said,
      status: 0,
      retry: true,
    });
    assert.equal(sendings, sends);
  });
}

test("a service that does not know the page's origin is named at once", async () => {
  globalThis.origin = "https://page.example";
  let asked = 0;
  globalThis.fetch = async (url, { method, mode }) => {
    if (method === "HEAD" && mode === "no-cors") return new Response();
    asked += method === "HEAD" ? 0 : 1;
    throw new TypeError("Failed to fetch");
  };
  await assert.rejects(made().uploader.upload(file(bytes(3))), {
    message: /^The service does not let this page in.* the origin https:\/\/page\.example:/,
    status: 0,
    retry: true,
  });
  assert.equal(asked, 1);
});
