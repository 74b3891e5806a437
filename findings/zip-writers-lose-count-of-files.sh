#!/usr/bin/env bash
# Pages pack folders before they are uploaded, and downloads of many files. From 65,536 files on a zip needs
# the records of zip64 (APPNOTE.TXT 6.3.10, section 4.4.1.4). Three writers for browsers that make no error of
# it:
# JSZip and fflate write the rest of a division by 65,536 as the number of files, so that most readers list
# 4,464 of 70,000 and end without an error: the others look as if they had never been packed. JSZip itself
# finds them, as does Info-ZIP's unzip.
# client-zip, which says that it "will generate Zip64 archives" when necessary, does so for sizes, not for
# the number: it writes 65,535, by which zip64 is announced, and no record of it. Readers list 65,535 files,
# or refuse the archive.
# Here it matters in app/core/zip_directory.py, which counts the entries itself.
#
# Seen with jszip 3.10.2, fflate 0.8.3, client-zip 2.5.1, archiver 8.0.0, read by yauzl 3.4.0, adm-zip 0.6.1,
# jszip, unzipper 0.12.5, node-stream-zip 1.16.0, Node.js 20, of 70,000 files:
#   jszip: yauzl 4464, adm-zip 4464, jszip 70000, unzipper 4464, node-stream-zip 4464
#   fflate: yauzl 4464, adm-zip 4464, jszip 70000, unzipper 4464, node-stream-zip 4464
#   client-zip: yauzl 65535, adm-zip 65535, jszip refused, unzipper refused, node-stream-zip refused
#   archiver: yauzl 70000, adm-zip 70000, jszip 70000, unzipper 70000, node-stream-zip 70000
# Expected: 70000 each time, or an error of the writer.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts \
  jszip@3.10.2 fflate@0.8.3 client-zip@2.5.1 archiver@8.0.0 \
  yauzl@3.4.0 adm-zip@0.6.1 unzipper@0.12.5 node-stream-zip@1.16.0
cat >see.mjs <<'JS'
import { createWriteStream, readFileSync, writeFileSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import AdmZip from "adm-zip";
import { ZipArchive } from "archiver";
import { downloadZip } from "client-zip";
import { zipSync } from "fflate";
import JSZip from "jszip";
import StreamZip from "node-stream-zip";
import unzipper from "unzipper";
import yauzl from "yauzl";

const NAMES = Array.from({ length: 70_000 }, (_, number) => `${number}.txt`);
const BYTES = new TextEncoder().encode("a");

const writers = {
  async jszip(path) {
    const zip = new JSZip();
    for (const name of NAMES) zip.file(name, BYTES);
    writeFileSync(path, await zip.generateAsync({ type: "nodebuffer" }));
  },
  async fflate(path) {
    writeFileSync(path, zipSync(Object.fromEntries(NAMES.map((name) => [name, BYTES]))));
  },
  async "client-zip"(path) {
    const files = NAMES.map((name) => ({ name, input: BYTES, lastModified: new Date() }));
    writeFileSync(path, Buffer.from(await downloadZip(files).arrayBuffer()));
  },
  async archiver(path) {
    const zip = new ZipArchive({ store: true });
    const written = pipeline(zip, createWriteStream(path));
    for (const name of NAMES) zip.append(Buffer.from(BYTES), { name });
    zip.finalize();
    await written;
  },
};

const readers = {
  yauzl: (path) =>
    new Promise((resolve, reject) => {
      yauzl.open(path, { lazyEntries: true }, (error, zip) => {
        if (error) return reject(error);
        let count = 0;
        zip.on("entry", () => {
          count += 1;
          zip.readEntry();
        });
        zip.on("end", () => resolve(count));
        zip.on("error", reject);
        zip.readEntry();
      });
    }),
  "adm-zip": async (path) => new AdmZip(path).getEntries().length,
  jszip: async (path) => Object.keys((await JSZip.loadAsync(readFileSync(path))).files).length,
  unzipper: async (path) => (await unzipper.Open.file(path)).files.length,
  async "node-stream-zip"(path) {
    const zip = new StreamZip.async({ file: path });
    try {
      return Object.keys(await zip.entries()).length;
    } finally {
      await zip.close().catch(() => {});
    }
  },
};

const seen = {};
for (const [writer, write] of Object.entries(writers)) {
  await write(`${writer}.zip`);
  seen[writer] = [];
  for (const [reader, read] of Object.entries(readers)) {
    seen[writer].push(`${reader} ${await read(`${writer}.zip`).catch(() => "refused")}`);
  }
  console.log(`${writer}: ${seen[writer].join(", ")}`);
}
const names = Object.keys(readers);
const say = (...counts) => counts.map((count, at) => `${names[at]} ${count}`).join();
const wraps = say(4464, 4464, 70000, 4464, 4464);
const without64 = say(65535, 65535, "refused", "refused", "refused");
const all = say(70000, 70000, 70000, 70000, 70000);
const expected = [wraps, wraps, without64, all].join();
process.exit(Object.values(seen).join() === expected ? 0 : 1);
JS
node see.mjs
