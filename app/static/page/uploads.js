/** Uploads under way: a row each, and all of them together. */

import { bytes, listed, quoted, say } from "../words.js";
import { $, toast, uploader } from "./basics.js";
import { chosenDestination, refused } from "./destinations.js";
import { addFiles } from "./files.js";
import { pace, rows, underWay, uploadRow } from "./upload-row.js";

const NOTHING = { done: 0, gone: 0, bytes: 0, last: "" };
let since = { ...NOTHING }; // counts of uploads that ended since none was under way

/** Upload files; `paths` has that of each in the folder that it was dropped with. */
export function enqueue(files, paths = new Map()) {
  const chosen = chosenDestination();
  for (const file of files) {
    add(file, { destination: chosen.name, path: paths.get(file) }, refused(file, chosen));
  }
}

/** Upload a file with these options unless it is refused. */
function add(file, options, refused) {
  uploadRow(file, {
    refused,
    where: say("to-destination", { destination: options.destination }),
    begin: (onProgress) => uploader.upload(file, { ...options, onProgress }),
    changed: showTotal,
    stored(stored) {
      since.done += 1;
      since.bytes += file.size;
      since.last = stored.filename;
      addFiles([stored], "prepend");
    },
    cancelled() {
      since.gone += 1;
    },
  });
}

/** The summary of all uploads, and the message when the last of them has ended. */
function showTotal() {
  const open = underWay();
  if (!open.length && (since.done || since.gone)) {
    if (since.done === 1) toast(say("is-uploaded", { file: quoted(since.last) }));
    else if (since.done) toast(say("are-uploaded", { count: since.done }));
    since = { ...NOTHING };
  }
  const count = since.done + open.length;
  $("total").hidden = count < 2 || !open.length;
  const sum = (of, start = 0) => open.reduce((before, one) => before + of(one), start);
  const [loaded, total] = [sum((one) => one.loaded, since.bytes), sum((one) => one.file.size, since.bytes)];
  const speed = sum((one) => one.speed);
  $("total").querySelector("progress").value = total ? loaded / total : 0;
  $("total-state").textContent = listed([
    say("total", { done: since.done, count }),
    say("part-of", { loaded: bytes(loaded), total: bytes(total) }),
    ...pace(speed, (total - loaded) / speed),
  ]);
  const going = open.some(({ state }) => state !== "paused");
  $("pause-all").textContent = say(going ? "pause-all" : "resume-all");
  const failed = rows.size - open.length;
  const hadFocus = document.activeElement === $("dismiss-all");
  $("dismiss-all").hidden = failed < 2;
  if (hadFocus && failed < 2) $("choose").focus();
}

export function pauseAll() {
  const open = underWay();
  const going = open.some(({ state }) => state !== "paused");
  for (const { upload } of open) going ? upload.pause() : upload.resume();
}

export async function cancelAll() {
  const open = underWay();
  $("choose").focus();
  const cancelled = await Promise.all(open.map((one) => one.cancel()));
  const late = cancelled.filter((gone) => !gone).length;
  toast([say("all-cancelled"), ...(late ? [say("late", { count: late })] : [])].join(" "));
}

/** Take all that failed off the page. */
export function dismissAll() {
  for (const one of rows) if (one.failed) one.leave();
}
