/** Handlers of a browser's events through which files come into a list of uploads. */

/** @import { Uploads } from "./uploader.js" */

/**
 * For drop zones, pasting and file inputs; `setOver` is told whether files are over the zone.
 *
 * @param {Uploads} uploads
 * @param {(isOver: boolean) => void} setOver
 */
export function handlers(uploads, setOver) {
  return {
    /** @param {Pick<DragEvent, "dataTransfer" | "preventDefault">} event */
    over(event) {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      setOver(true);
    },
    /** @param {Pick<DragEvent, "currentTarget" | "relatedTarget">} event */
    leave({ currentTarget, relatedTarget }) {
      const [zone, to] = /** @type {Node[]} */ ([currentTarget, relatedTarget]);
      if (!zone.contains(to)) setOver(false);
    },
    /** @param {Pick<DragEvent, "dataTransfer" | "preventDefault">} event */
    drop(event) {
      setOver(false);
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      uploads.addFrom(event.dataTransfer);
    },
    /** @param {Pick<ClipboardEvent, "clipboardData" | "preventDefault">} event */
    paste(event) {
      if (!event.clipboardData?.files.length) return; // text goes where it would
      event.preventDefault();
      uploads.addFrom(event.clipboardData);
    },
    /** @param {{ currentTarget: EventTarget | null }} event */
    choose({ currentTarget }) {
      const input = /** @type {HTMLInputElement} */ (currentTarget);
      uploads.add(input.files ?? []);
      input.value = ""; // so that choosing the same file again is a change
    },
  };
}
