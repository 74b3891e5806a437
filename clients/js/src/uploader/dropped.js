/** Files that were dropped or pasted, those in folders too. */

const LITTER = [".DS_Store", "Thumbs.db", "desktop.ini"]; // of operating systems

/**
 * The files of a `DataTransfer`, those in folders with their paths, as `{found: [{file, path}],
 * failed: [error]}`. To be called within the event, after which the browser has forgotten them.
 */
export async function filesOf({ items, files }) {
  const entries = Array.from(items ?? [], (item) => item.webkitGetAsEntry?.());
  const folders = entries.filter((entry) => entry?.isDirectory);
  // A folder is among the files too, as one that cannot be read.
  const names = new Set(folders.map(({ name }) => name));
  const found = Array.from(files).filter(({ name, type }) => type || !names.has(name));
  const all = [...found.map((file) => ({ file })), ...(await Promise.all(folders.map(within))).flat()];
  return { found: all.filter(({ file }) => file), failed: all.flatMap(({ error }) => error ?? []) };
}

async function within(entry) {
  const call = (to, method) => new Promise((resolve, reject) => to[method](resolve, reject));
  try {
    if (entry.isFile) {
      const file = await call(entry, "file");
      return LITTER.includes(file.name) ? [] : [{ file, path: entry.fullPath.slice(1) }];
    }
    const reader = entry.createReader();
    const found = [];
    // It returns some entries at a time; none means the end.
    for (let some; (some = await call(reader, "readEntries")).length; ) {
      for (const inner of some) found.push(...(await within(inner)));
    }
    return found;
  } catch (error) {
    return [{ error }];
  }
}
