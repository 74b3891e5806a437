/** The page at `/`: choose or drop files, follow their uploads; list, open and remove files. */

import { $, attempt, keepToken, moveByArrows, toast } from "./page/basics.js";
import { loadDestinations, showDestination } from "./page/destinations.js";
import { dropped, withoutLitter } from "./page/dropped.js";
import { loadFiles, onFiles } from "./page/files.js";
import { cancelAll, dismissAll, enqueue, pauseAll, underWay } from "./page/uploads.js";
import { language, quoted, say, sayIn, speak } from "./words.js";

function listen() {
  $("destination").onchange = showDestination;
  for (const chooser of [$("choose"), $("folder")]) {
    chooser.onchange = () => {
      enqueue(withoutLitter(chooser.files));
      chooser.value = ""; // so that choosing the same file again is a change
    };
  }
  $("pause-all").onclick = pauseAll;
  $("cancel-all").onclick = cancelAll;
  $("dismiss-all").onclick = dismissAll;
  $("sign-in").onsubmit = (event) => {
    event.preventDefault();
    keepToken($("token").value.trim());
    $("token").value = "";
    $("sign-in").hidden = $("notice").hidden = true;
    attempt(load);
  };
  $("more").onclick = () => attempt(loadFiles);
  $("files").onclick = onFiles;
  for (const list of [$("files"), $("uploads")]) moveByArrows(list);
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.onclick = ({ target }) => {
      const button = target.closest("button");
      if (button) dialog.close(button.value);
    };
  }

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
      else enqueue(files.keys(), files);
    }
  });
  document.addEventListener("paste", ({ clipboardData }) => {
    if (!$("choose").disabled) enqueue(clipboardData.files);
  });
  const showLine = () => ($("offline").hidden = navigator.onLine !== false);
  addEventListener("online", showLine);
  addEventListener("offline", showLine);
  showLine();
  window.addEventListener("beforeunload", (event) => {
    if (underWay().length) event.preventDefault();
  });
}

async function load() {
  await loadDestinations();
  await loadFiles(); // last, so that a retry lists no file twice
}

await speak();
Object.assign(document.documentElement, language());
sayIn(document);
listen();
attempt(load);
