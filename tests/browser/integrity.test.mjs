// uploader.js without a browser: MD5s where the service asks for them, of the very bytes that are sent.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { file, made, multipart, problem, put, stored, world } from "./made_up.mjs";

const REQUIRED = problem(422, "checksum-required", { integrity: "md5" });
const md5 = (bytes) => createHash("md5").update(bytes).digest("base64");
const bytes = (size) => Uint8Array.from({ length: size }, (_, i) => i % 251);
const chosen = (size, name = "a.bin") => new File([bytes(size)], name, { lastModified: 1 });

/** Answers of a service that wants MD5s, for uploads in parts of 10 bytes; what it was asked, too. */
function wanting({ count = 3, refuse = () => {}, list = () => [], bucket } = {}) {
  const bodies = [];
  const headers = {};
  let ids = 0;
  const asked = world((what, body) => {
    const [, , id, verb] = /^(\w+) uploads\/?(\w*)\/?(\w*)/.exec(what);
    if (what.startsWith("GET")) return [200, { parts: list(id) }];
    if (body) bodies.push(body);
    const upload = { ...multipart(`m${ids}`, count).upload, integrity: "md5", parts: [] };
    if (what === "POST uploads") return [201, { id: `m${++ids}`, upload }];
    if (verb === "renew") return [200, { id, upload }];
    if (verb === "parts") {
      const [n] = body.part_numbers;
      const signed = { "content-md5": body.checksums_md5[0] };
      const parts = [{ part_number: n, url: `https://bucket/${id}/${n}`, headers: signed }];
      return refuse(id, n) ?? [200, { parts, expires_at: upload.expires_at }];
    }
    return stored(id);
  }, bucket);
  XMLHttpRequest.prototype.setRequestHeader = function (name, value) {
    headers[this.what] = { [name]: value };
  };
  return { asked, bodies, headers };
}

test("each part is asked for with its MD5 and sent with the header that was signed", async () => {
  const { bodies, headers } = wanting();
  assert.equal((await made().uploader.upload(chosen(25))).id, "m1");
  const pieces = [0, 10, 20].map((at) => md5(bytes(25).slice(at, at + 10)));
  const sums = bodies.filter((body) => body.part_numbers);
  sums.sort((a, b) => a.part_numbers[0] - b.part_numbers[0]);
  assert.deepEqual(sums.map((body) => body.checksums_md5), pieces.map((sum) => [sum]));
  assert.deepEqual(
    headers,
    Object.fromEntries(pieces.map((sum, i) => [`PUT m1/${i + 1}`, { "content-md5": sum }])),
  );
});

test("a part that the bucket refuses is sent once more", async () => {
  let refused = 0;
  const bucket = (what) =>
    what.endsWith("/2") && !refused++ ? [400, "<Error><Code>BadDigest</Code></Error>"] : [200, ""];
  const { asked } = wanting({ bucket });
  await made().uploader.upload(chosen(25));
  assert.equal(asked.filter((what) => what === "PUT m1/2").length, 2);
});

test("an upload whose parts are of another file is left alone, and another one begun", async () => {
  const refuse = (id) => id === "m1" && problem(409, "part-differs", { part_numbers: [1] });
  const { asked } = wanting({ refuse: (id) => refuse(id) || undefined });
  assert.equal((await made().uploader.upload(chosen(25))).id, "m2");
  assert.deepEqual(asked.filter((what) => what.startsWith("PUT m1")), []);
  assert.ok(!asked.includes("DELETE uploads/m1"));
});

test("a part whose bytes nobody can vouch for is sent again", async () => {
  let lost = true; // the answer to each part, and then each is there
  const bucket = () => (lost ? undefined : [200, ""]);
  const list = () => {
    lost = false;
    return [1, 2, 3].map((n) => {
      const size = n < 3 ? 10 : 5;
      return { part_number: n, size, checksum_md5: n === 2 ? null : "of a part that is there" };
    });
  };
  const { asked } = wanting({ bucket, list });
  await made().uploader.upload(chosen(25));
  const sent = asked.filter((what) => what.startsWith("PUT"));
  assert.equal(sent.filter((what) => what === "PUT m1/2").length, 2);
  assert.equal(sent.filter((what) => what === "PUT m1/1").length, 1);
});

test("what goes in one request is announced with its MD5, unasked for the next files", async () => {
  const announced = [];
  world((what, body) => {
    if (what !== "POST uploads") return stored("p");
    announced.push([body.filename, body.checksum_md5]);
    return body.checksum_md5 || body.size > 1000 ? [201, put("p")] : REQUIRED;
  });
  const { uploader } = made();
  for (const [size, name] of [[30, "one"], [20, "smaller"], [2000, "larger"]]) {
    await uploader.upload(chosen(size, name));
  }
  assert.deepEqual(announced, [
    ["one", undefined],
    ["one", md5(bytes(30))],
    ["smaller", md5(bytes(20))],
    ["larger", undefined],
  ]);
});

test("a service that goes on asking is not asked for ever", async () => {
  const asked = world(() => REQUIRED);
  await assert.rejects(made().uploader.upload(file()), { type: "checksum-required", retry: false });
  assert.equal(asked.length, 2);
});

test("an empty file has an MD5 too", async () => {
  let sum;
  world((what, body) => {
    if (what !== "POST uploads") return stored("p");
    return (sum = body.checksum_md5) ? [201, put("p")] : REQUIRED;
  });
  await made().uploader.upload(chosen(0));
  assert.equal(sum, "1B2M2Y8AsgTpgAmY7PhCfg==");
});
