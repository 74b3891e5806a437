/** The page at `/`: choose or drop files, follow their uploads; list, open and remove files. */

import { $, attempt, keepToken, moveByArrows } from "./page/basics.js";
import { loadDestinations, showDestination } from "./page/destinations.js";
import { takeFiles, withoutLitter } from "./page/dropped.js";
import { loadFiles, onFiles } from "./page/files.js";
import { underWay } from "./page/upload-row.js";
import { cancelAll, dismissAll, enqueue, pauseAll } from "./page/uploads.js";
import { language, sayIn, speak } from "./words.js";

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

  takeFiles(enqueue);
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
