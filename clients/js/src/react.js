/** Hooks for React 19: a list of uploads, and one upload. */

import { useMemo, useState, useSyncExternalStore } from "react";
import { handlers } from "./handlers.js";
import { Uploads } from "./uploader.js";

/** @import { UploadItem, UploadsOptions } from "./uploader.js" */
/** @import { ChangeEvent, ClipboardEvent, DragEvent } from "react" */

/** @type {readonly UploadItem[]} */
const NONE = [];

/**
 * A list of uploads, what begins them, and whether files are held over the drop zone.
 *
 * `source` is a list that was made before, `new Uploads({...})` at the top of a module or in a
 * context: it outlives the component, which shows it again when it is mounted again. Or options, of
 * which those of the first render are taken: then the list is the component's own. Uploads of a
 * component that is unmounted go on until they have ended.
 *
 * @param {Uploads | UploadsOptions} [source]
 */
export function useUploads(source) {
  const [own] = useState(() => (source instanceof Uploads ? source : new Uploads(source)));
  const list = source instanceof Uploads ? source : own;
  const [isOver, setOver] = useState(false);
  const uploads = useSyncExternalStore(list.subscribe, list.snapshot, () => NONE);
  const given = useMemo(() => {
    const { over, leave, drop, paste, choose } = handlers(list, setOver);
    const { single, add, addFrom, clear } = list;
    return {
      add,
      addFrom,
      clear,
      /** For the element that files are dropped on. */
      dropProps: {
        onDragEnter: /** @type {(event: DragEvent) => void} */ (over),
        onDragOver: /** @type {(event: DragEvent) => void} */ (over),
        onDragLeave: /** @type {(event: DragEvent) => void} */ (leave),
        onDrop: /** @type {(event: DragEvent) => void} */ (drop),
      },
      /** For an element that has the focus, or contains what has it, when files are pasted. */
      pasteProps: { onPaste: /** @type {(event: ClipboardEvent) => void} */ (paste) },
      /** For `<input>`. */
      inputProps: {
        type: "file",
        multiple: !single,
        onChange: /** @type {(event: ChangeEvent<HTMLInputElement>) => void} */ (choose),
      },
    };
  }, [list]);
  return { uploads, isOver, ...given };
}

/**
 * One upload at a time, or null: another one takes its place, and cancels it if it is under way.
 * `source` as for `useUploads`; a list that was made before has to be `single`.
 *
 * @param {Uploads | UploadsOptions} [source]
 */
export function useUpload(source) {
  const { uploads, ...given } = useUploads(
    source instanceof Uploads ? source : { ...source, single: true },
  );
  return { upload: uploads.at(-1) ?? null, ...given };
}
