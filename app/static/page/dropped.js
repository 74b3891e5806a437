/** Files that were dropped or chosen, and those in folders. */

import { quoted, say } from "../words.js";
import { $, toast } from "./basics.js";

const LITTER = new Set([".DS_Store", "Thumbs.db", "desktop.ini"]); // of operating systems

/** The files without what operating systems leave in folders. */
export const withoutLitter = (files) => [...files].filter(({ name }) => !LITTER.has(name));

/**
 * Take what is dropped or pasted, unless the page's choice of files is disabled: `take(files, paths)`
 * gets it, with a Map from each file of a folder to its path there.
 */
export function takeFiles(take) {
  // The whole page accepts drops: beside the target the browser would open the file.
  const dragging = (on) => $("drop").classList.toggle("over", on);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    dragging(event.dataTransfer.types.includes("Files"));
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => relatedTarget ?? dragging(false));
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    dragging(false);
    if ($("choose").disabled) return;
    for await (const { files, failed } of dropped(event.dataTransfer.items)) {
      if (failed) toast(say("unreadable", { file: quoted(failed) }));
      else take(files.keys(), files);
    }
  });
  document.addEventListener("paste", ({ clipboardData }) => {
    if (!$("choose").disabled) take(clipboardData.files);
  });
}

/**
 * What was dropped, as {files} or {failed}: first all files together, then each folder's; a Map from
 * each file to its path in its folder, or the name of a folder that cannot be read. To be called
 * within the event.
 */
function dropped(items) {
  // Read the entries at once: after the event there are none.
  const taken = [...items]
    .filter(({ kind }) => kind === "file")
    .map((item) => [item.webkitGetAsEntry?.(), item.getAsFile()]);
  return read(taken);
}

async function* read(taken) {
  const plain = taken.filter(([entry, file]) => file && !entry?.isDirectory);
  if (plain.length) yield { files: new Map(plain.map(([, file]) => [file])) };
  for (const [entry] of taken) {
    if (!entry?.isDirectory) continue;
    try {
      yield { files: new Map(await filesOf(entry)) };
    } catch {
      yield { failed: entry.name };
    }
  }
}

/** The files in a dropped folder, each with its path, which the file itself does not know. */
async function filesOf(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return LITTER.has(file.name) ? [] : [[file, entry.fullPath.slice(1)]];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // It returns some entries at a time; none means the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const inner of some) found.push(...(await filesOf(inner)));
  }
}
