/** Handlers of a browser's events through which files come into a list of uploads. */

/** For drop zones, pasting and file inputs; `setOver` is told whether files are over the zone. */
export function handlers(uploads, setOver) {
  return {
    over(event) {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      setOver(true);
    },
    leave({ currentTarget, relatedTarget }) {
      if (!currentTarget.contains(relatedTarget)) setOver(false);
    },
    drop(event) {
      setOver(false);
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      return uploads.addFrom(event.dataTransfer);
    },
    paste(event) {
      if (!event.clipboardData.files.length) return; // text goes where it would
      event.preventDefault();
      return uploads.addFrom(event.clipboardData);
    },
    choose({ currentTarget }) {
      uploads.add(currentTarget.files);
      currentTarget.value = ""; // so that choosing the same file again is a change
    },
  };
}
