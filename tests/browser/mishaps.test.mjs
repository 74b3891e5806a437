// uploader.js without a browser: mishaps whose moment a real one cannot be made to hit.

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { test } from "node:test";
import { file, made, multipart, NOT_ARRIVED, problem, put, settled, stored, until, world } from "./made_up.mjs";

for (const code of ["RequestTimeout", "IncompleteBody"]) {
  test(`an upload whose part was refused for ${code} goes on later`, async () => {
    world(
      (what) => (what === "POST uploads" ? [201, multipart("a", 3)] : [200, multipart("a", 3).upload]),
      (what) => (what === "PUT a/3" ? [400, `<Error><Code>${code}</Code></Error>`] : [200, ""]),
    );
    const { uploader, storage } = made({ retries: 2 });
    await assert.rejects(uploader.upload(file(30)), { status: 400, retry: true });
    assert.deepEqual(storage.ids, ["a"]);
  });
}

test("parts that arrive for an upload that is gone are no parts of the next one", async () => {
  const sent = new Set();
  let gone = false;
  let announced = 0;
  let late = 0;
  world(
    async (what) => {
      if (what === "POST uploads") {
        // The second one comes when all that was on its way has arrived.
        while (late) await until();
        return [201, multipart(`m${++announced}`, 6)];
      }
      if (what.endsWith("uploads/m1/parts")) gone = late > 0;
      if (what.includes("/m1/")) return problem(409, "upload-expired");
      const missing = [1, 2, 3, 4, 5, 6].filter((n) => !sent.has(`PUT m2/${n}`));
      return missing.length ? problem(409, "upload-not-arrived", { missing_parts: missing }) : stored("m2");
    },
    async (what) => {
      if (what === "PUT m1/1" && !gone) return [503, ""];
      if (what.includes("m1")) late += 1;
      await until();
      if (what.includes("m1")) late -= 1;
      sent.add(what);
      return [200, ""];
    },
  );
  const { uploader } = made();
  const progress = [];
  const { id } = await uploader.upload(file(60), { onProgress: ({ loaded }) => progress.push(loaded) });
  assert.ok(gone, "nothing was on its way");
  assert.equal(id, "m2");
  assert.equal([...sent].filter((what) => what.includes("m2")).length, 6);
  assert.equal(Math.max(...progress), 60);
});

test("parts that the service misses are sent, and the upload is the same", async () => {
  const sent = [];
  let confirmed = 0;
  const asked = world(
    (what) => {
      if (what === "POST uploads") return [201, multipart("a", 3)];
      if (what === "GET uploads/a/parts") {
        const there = [1, 2, 3].filter((n) => n !== 2 || confirmed > 2);
        return [200, { parts: there.map((n) => ({ part_number: n, size: 10 })) }];
      }
      confirmed += 1;
      // Twice the bucket has lost the second part.
      return confirmed > 2 ? stored("a") : problem(409, "upload-not-arrived", { missing_parts: [2] });
    },
    (what) => [sent.push(what) && 200, ""],
  );
  const { uploader } = made();
  assert.equal((await uploader.upload(file(30))).id, "a");
  assert.deepEqual(sent.sort(), ["PUT a/1", "PUT a/2", "PUT a/2", "PUT a/2", "PUT a/3"]);
  assert.equal(asked.filter((what) => what === "POST uploads").length, 1);
});

test("a token that cannot be had for a moment is asked for again", async () => {
  world((what) => (what === "POST uploads" ? [201, put("a")] : stored("a")));
  let calls = 0;
  const token = async () => {
    if (++calls % 2) throw new TypeError("Failed to fetch");
    return "t";
  };
  const { uploader } = made({ token });
  assert.equal((await uploader.upload(file())).id, "a");
});

test("headers that cannot be had are told of with their cause", async () => {
  world(() => [500, {}]);
  const cause = new RangeError("of the page's own");
  const { uploader } = made({
    retries: 1,
    headers: () => {
      throw cause;
    },
  });
  await assert.rejects(uploader.upload(file()), { name: "UploadError", status: 0, retry: true, cause });
});

test("a 401 is tried again whatever failed before it, and once", async () => {
  const answers = [[503, {}], [401, {}], [502, {}], [401, { title: "Who are you?" }]];
  const asked = world((what) => (what === "POST uploads" ? [201, put("a")] : answers.shift()));
  const { uploader } = made({ token: () => "t" });
  await assert.rejects(uploader.upload(file()), { status: 401, title: "Who are you?" });
  assert.equal(asked.filter((what) => what.endsWith("/confirm")).length, 4);
});

test("a router's own 404 makes nobody forget an upload", async () => {
  let away = true;
  const asked = world((what) => {
    if (away) return (away = false) || [404, "<h1>default backend - 404</h1>"];
    return what.endsWith("a/confirm") ? stored("a") : [201, put("b")];
  });
  const { uploader, storage } = made();
  storage.remember("a");
  assert.equal((await uploader.upload(file())).id, "a");
  assert.deepEqual(asked, ["POST uploads/a/confirm", "POST uploads/a/confirm"]);
});

test("where another server answers, it asks whether the address is right", async () => {
  world(() => [404, "<h1>Not Found</h1>"]);
  const { uploader } = made({ retries: 0 });
  const expected = { status: 404, type: "", detail: "Is its address right?" };
  await assert.rejects(uploader.upload(file()), expected);
});

test("the service's own 404 makes it begin afresh", async () => {
  const asked = world((what) => {
    if (what === "POST uploads") return [201, put("b")];
    return what.includes("/a/") ? problem(404, "upload-not-found") : stored("b");
  });
  const { uploader, storage } = made();
  storage.remember("a");
  assert.equal((await uploader.upload(file())).id, "b");
  assert.deepEqual(asked, ["POST uploads/a/confirm", "POST uploads", "PUT b", "POST uploads/b/confirm"]);
});

test("what waited for its turn until its signature had expired is signed anew", async (t) => {
  const { now } = Date;
  t.after(() => (Date.now = now));
  const asked = world(
    (what) => {
      if (what === "POST uploads/batch") return [200, { uploads: [put("a"), put("b")] }];
      if (what === "POST uploads/b/renew") return [200, put("b")];
      return stored(what.split("/")[1]);
    },
    async (what) => {
      if (what === "PUT a") Date.now = () => now() + 7_200_000; // it takes two hours
      return [200, ""];
    },
  );
  const { uploader } = made({ parallel: 1 });
  await Promise.all(uploader.uploadAll([file(10, "a.bin"), file(10, "b.bin")]));
  assert.deepEqual(asked.slice(3), ["POST uploads/b/renew", "PUT b", "POST uploads/b/confirm"]);
});

test("what is cancelled while it is hashed is not announced", async () => {
  const asked = world(() => [201, put("a")]);
  const { digest } = crypto.subtle;
  let finish;
  const started = new Promise((resolve) => {
    crypto.subtle.digest = () => {
      resolve();
      return new Promise((go) => (finish = () => go(new ArrayBuffer(32))));
    };
  });
  const upload = made({ sha256: 100 }).uploader.upload(file());
  await started;
  assert.equal(await upload.cancel(), true);
  await assert.rejects(upload, { name: "AbortError" });
  finish();
  await until();
  crypto.subtle.digest = digest;
  assert.deepEqual(asked, []);
});

for (const what of ["cancel", "pause"]) {
  test(`${what}() in onProgress sends no byte`, async () => {
    const asked = world((request) => (request === "POST uploads" ? [201, put("a")] : [204]));
    let reached = false;
    const upload = made().uploader.upload(file(), {
      onProgress: ({ state }) => state === "sending" && (reached = true) && upload[what](),
    });
    upload.catch(() => {});
    await settled(() => reached && (what === "pause" || asked.length > 1));
    assert.deepEqual(asked, ["POST uploads", ...(what === "cancel" ? ["DELETE uploads/a"] : [])]);
  });
}

test("what had arrived although its answer was lost is not sent again", async () => {
  let there = false;
  const asked = world(
    (what) => (what === "POST uploads" ? [201, put("a")] : there ? stored("a") : NOT_ARRIVED),
    () => void (there = true),
  );
  assert.equal((await made().uploader.upload(file())).id, "a");
  assert.equal(asked.filter((what) => what === "PUT a").length, 1);
});

test("what had arrived although it was paused is not sent again", async () => {
  let there = false;
  const asked = world(
    (what) => (what === "POST uploads" ? [201, put("a")] : there ? stored("a") : NOT_ARRIVED),
    () => {
      there = true;
      upload.pause();
      return [200, ""];
    },
  );
  const upload = made().uploader.upload(file());
  await settled(() => there);
  upload.resume();
  assert.equal((await upload).id, "a");
  assert.equal(asked.filter((what) => what === "PUT a").length, 1);
});

test("a 412 means that it had arrived", async () => {
  let there = false;
  world(
    (what) => {
      if (what === "POST uploads") return [201, put("a")];
      if (what === "POST uploads/a/renew") return (there = true) && [200, put("a")];
      return there ? stored("a") : NOT_ARRIVED;
    },
    () => (there ? [412, ""] : undefined),
  );
  assert.equal((await made().uploader.upload(file())).id, "a");
});

test("a signal that many uploads share keeps none that has ended", async () => {
  world((what) => (what === "POST uploads" ? [201, put("a")] : stored("a")));
  const { signal } = new AbortController();
  const { uploader } = made();
  for (const name of ["a", "b", "c"]) await uploader.upload(file(10, name), { signal });
  assert.equal(getEventListeners(signal, "abort").length, 0);
});

test("an announcement has one key for all its retries, and each announcement its own", async () => {
  const keys = [];
  world((what, body, headers) => {
    const key = headers.get("Idempotency-Key");
    if (what.endsWith("/confirm")) return key ? problem(422, "validation-failed") : stored("a");
    keys.push([what, key]);
    if (keys.length % 2) return [200, "<h1>A proxy lost the answer</h1>"];
    if (what === "POST uploads") return [201, put("a")];
    return [200, { uploads: body.uploads.map((_, n) => put(`b${n}`)) }];
  });
  const { uploader } = made({ retries: 1 });
  await uploader.upload(file(10, "a.bin"));
  await Promise.all(uploader.uploadAll([file(10, "b.bin"), file(10, "c.bin")]));
  const [first, again, batch, repeated, ...more] = keys;
  assert.match(first[1], /^"[A-Za-z0-9+/]{24}"$/);
  assert.deepEqual([first, batch], [again, repeated]);
  assert.notEqual(first[1], batch[1]);
  assert.deepEqual([first[0], batch[0], more], ["POST uploads", "POST uploads/batch", []]);
});
