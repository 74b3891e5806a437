/** A composable for Vue 3: a list of uploads. */

import { getCurrentInstance, onMounted, onScopeDispose, shallowRef } from "vue";
import { handlers } from "./handlers.js";
import { Uploads } from "./uploader.js";

/** @import { UploadItem, UploadsOptions } from "./uploader.js" */
/** @import { ShallowRef } from "vue" */

/**
 * A list of uploads, what begins them, and whether files are held over the drop zone.
 *
 * `source` is a list that was made before, `new Uploads({...})`, which outlives the component; or
 * options, for a list of the component's own. Uploads of a component that is unmounted go on until
 * they have ended. Give `dropProps`, `pasteProps` and `inputProps` to elements by `v-bind`.
 *
 * @param {Uploads | UploadsOptions} [source]
 */
export function useUploads(source) {
  const list = source instanceof Uploads ? source : new Uploads(source);
  const uploads = /** @type {ShallowRef<readonly UploadItem[]>} */ (shallowRef(list.snapshot()));
  const isOver = shallowRef(false);
  const show = () => {
    uploads.value = list.snapshot();
  };
  const begin = () => {
    onEnd = list.subscribe(show);
    show();
  };
  let onEnd = () => {};
  // Not where a server renders: nothing would end it.
  if (getCurrentInstance()) onMounted(begin);
  else begin();
  onScopeDispose(() => onEnd());
  const { over, leave, drop, paste, choose } = handlers(list, (value) => (isOver.value = value));
  return {
    uploads,
    isOver,
    add: list.add,
    addFrom: list.addFrom,
    clear: list.clear,
    dropProps: { onDragenter: over, onDragover: over, onDragleave: leave, onDrop: drop },
    pasteProps: { onPaste: paste },
    inputProps: { type: "file", multiple: !list.single, onChange: choose },
  };
}
