/** The page at `/`: choose or drop files, watch them go, list, open, copy the link, remove. */

import { call, Problem } from "./api.js";
import { Upload } from "./uploads.js";

const AT_ONCE = 3; // uploads; a browser opens about six connections to one host
const PAGE = 50; // files for each request
const THUMBNAIL_LIMIT = 25e6; // bytes: the thumbnail is the file itself

const $ = (id) => document.getElementById(id);
const fileOf = new WeakMap(); // <li> -> file
let destinations = [];
let nextCursor = null;

const wholeDate = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

function bytes(count) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  let power = 0;
  while (count >= 999.5 && power < units.length - 1) {
    count /= 1000;
    power += 1;
  }
  return new Intl.NumberFormat(undefined, {
    style: "unit",
    unit: units[power],
    unitDisplay: power ? "short" : "long",
    maximumSignificantDigits: 3,
  }).format(count);
}

/** The isolates (U+2068, U+2069) keep a right-to-left name from reordering our sentence. */
function quoted(name) {
  return `“\u2068${name}\u2069”`;
}

function row(template, name) {
  const item = $(template).content.firstElementChild.cloneNode(true);
  item.querySelector("bdi").textContent = name;
  return item;
}

/* Saying things: the toast for what went well, the notice for what the page cannot do without. */

let toastTimer;
function say(text) {
  $("toast").textContent = text;
  $("toast").classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $("toast").classList.remove("shown"), 5000);
}

function notice(problem, again) {
  $("notice").hidden = false;
  $("notice").querySelector("span").textContent = problem.message;
  const button = $("notice").querySelector("button");
  button.textContent = problem.retry ? "Try again" : "Dismiss";
  button.onclick = () => {
    $("notice").hidden = true;
    if (problem.retry) again();
  };
}

/** Run `work`; a Problem becomes the notice, whose button tries again. Other errors are bugs. */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    notice(error, () => attempt(work));
  }
}

/* Where to */

async function loadDestinations() {
  ({ items: destinations } = await call("GET", "v1/destinations"));
  $("destination").replaceChildren(...destinations.map(({ name }) => new Option(name, name)));
  $("destination").disabled = $("choose").disabled = destinations.length === 0;
  showDestination();
}

function showDestination() {
  const chosen = destinations.find(({ name }) => name === $("destination").value);
  if (!chosen) return;
  const types = chosen.content_types.filter((type) => type !== "*/*");
  const families = types.map((type) => type.replace(/^(.+)\/\*$/, "any $1"));
  const extensions = chosen.extensions.map((extension) => extension.replace(/^\.?/, "."));
  $("choose").accept = [...types, ...extensions].join(",");
  const kinds = (extensions.length ? extensions : families).join(", ") || "any type";
  $("accepts").textContent = `Takes ${kinds}, up to ${bytes(chosen.max_size)}`;
}

/* Uploads */

const waiting = [];
const running = new Set();

function enqueue(files) {
  for (const file of files) waiting.push(uploadRow(file, $("destination").value));
  startNext();
}

function startNext() {
  while (running.size < AT_ONCE && waiting.length) {
    const start = waiting.shift();
    const done = start().finally(() => {
      running.delete(done);
      startNext();
    });
    running.add(done);
  }
}

/** Show a file that is to be uploaded; returns the function that uploads it. */
function uploadRow(file, destination) {
  const item = row("upload-row", file.name);
  const [state, bar, problem] = [".state", "progress", ".problem"].map((s) => item.querySelector(s));
  const [cancel, retry, dismiss] = ["cancel", "retry", "dismiss"].map((name) => {
    const button = item.querySelector(`.${name}`);
    button.setAttribute("aria-label", `${button.textContent} ${file.name}`);
    return button;
  });
  const upload = new Upload(file, destination);
  let controller = new AbortController();
  bar.setAttribute("aria-label", `Upload of ${file.name}`);
  state.textContent = `Waiting, ${bytes(file.size)}`;
  $("uploads").append(item);

  const leave = () => {
    const hadFocus = item.contains(document.activeElement);
    item.remove();
    if (hadFocus) $("choose").focus();
  };
  const onProgress = (sent) => {
    bar.value = file.size ? sent / file.size : 1;
    state.textContent =
      sent < file.size ? `${bytes(sent)} of ${bytes(file.size)}` : `Checking, ${bytes(file.size)}`;
  };
  const start = async () => {
    if (controller.signal.aborted) return;
    try {
      onProgress(0);
      const stored = await upload.run({ onProgress, signal: controller.signal });
      leave();
      addFiles([stored], "prepend");
      say(`${quoted(stored.filename)} is uploaded.`);
    } catch (error) {
      if (controller.signal.aborted) return;
      fail(error);
    }
  };
  const fail = (error) => {
    const hadFocus = document.activeElement === cancel;
    state.textContent = `Not uploaded, ${bytes(file.size)}`;
    item.classList.add("failed");
    bar.hidden = cancel.hidden = true;
    problem.hidden = dismiss.hidden = false;
    retry.hidden = !error.retry;
    const title = document.createElement("strong");
    title.textContent = error.title ?? "Something went wrong";
    problem.replaceChildren(title, ` ${error.detail ?? error.message}`);
    if (hadFocus) (error.retry ? retry : dismiss).focus();
    if (!(error instanceof Problem)) throw error;
  };

  cancel.onclick = async () => {
    controller.abort();
    leave();
    const cancelled = await upload.abandon();
    say(`${quoted(file.name)} ${cancelled ? "is cancelled." : "had arrived. Reload to see it."}`);
  };
  dismiss.onclick = () => {
    leave();
    upload.abandon();
  };
  retry.onclick = () => {
    controller = new AbortController();
    item.classList.remove("failed");
    bar.hidden = cancel.hidden = false;
    problem.hidden = dismiss.hidden = retry.hidden = true;
    state.textContent = `Waiting, ${bytes(file.size)}`;
    cancel.focus();
    waiting.push(start);
    startNext();
  };
  return start;
}

/* The list */

async function loadFiles() {
  const query = new URLSearchParams({ limit: PAGE });
  if (nextCursor) query.set("cursor", nextCursor);
  const { items, next_cursor: next } = await call("GET", `v1/files?${query}`);
  const rows = addFiles(items, "append");
  const hadFocus = document.activeElement === $("more");
  nextCursor = next;
  $("more").hidden = !next;
  if (hadFocus) rows[0]?.querySelector(".open").focus();
}

function addFiles(files, where) {
  const rows = files.map(fileRow);
  $("files")[where](...rows);
  showEmpty();
  return rows;
}

function showEmpty() {
  $("empty").hidden = $("files").childElementCount > 0 || !$("more").hidden;
}

function contentPath(file) {
  return `v1/files/${file.id}/content?disposition=inline`;
}

function fileRow(file) {
  const item = row("file-row", file.filename);
  fileOf.set(item, file);
  item.querySelector(".size").textContent = bytes(file.size);
  item.querySelector(".where").textContent = file.destination;
  const time = item.querySelector("time");
  time.dateTime = file.created_at;
  time.textContent = wholeDate.format(new Date(file.created_at));
  for (const action of item.querySelectorAll(".actions > *")) {
    action.setAttribute("aria-label", `${action.textContent} ${file.filename}`);
  }
  const open = item.querySelector(".open");
  open.href = contentPath(file); // signs a new link for each click, so it never opens an expired one
  open.setAttribute("aria-label", `Open ${file.filename} (new tab)`);
  item.querySelector(".thumb").append(thumbnail(file));
  return item;
}

function thumbnail(file) {
  const extension = /\.([a-z0-9]{1,4})$/i.exec(file.filename)?.[1] ?? "file";
  const badge = document.createElement("span");
  badge.textContent = extension.toLowerCase();
  if (!file.content_type.startsWith("image/") || file.size > THUMBNAIL_LIMIT) return badge;
  const image = new Image();
  image.alt = "";
  image.loading = "lazy";
  image.decoding = "async";
  image.onerror = () => {
    // The link may have expired while the page stood open: ask for a new one, once.
    image.onerror = () => image.replaceWith(badge);
    image.src = contentPath(file);
  };
  image.src = file.presigned_url;
  return image;
}

async function copyLink(file) {
  // Fresh, so that whoever gets the link has all of its time.
  const fresh = call("GET", `v1/files/${file.id}`);
  const text = fresh.then(({ presigned_url: url }) => new Blob([url], { type: "text/plain" }));
  try {
    // Handing over a promise keeps the click's permission alive in Safari.
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
    const { presigned_url_expires_at: end } = await fresh;
    const until = new Date(end);
    const today = until.toDateString() === new Date().toDateString();
    say(`Link copied. It works until ${(today ? hour : wholeDate).format(until)}.`);
  } catch {
    // No clipboard (plain http) or no permission; a failed call is thrown on from here.
    const { presigned_url: url } = await fresh;
    const field = $("link").querySelector("input");
    field.value = url;
    $("link").showModal();
    field.select();
  }
}

function ask(file) {
  const dialog = $("remove");
  dialog.querySelector("bdi").textContent = file.filename;
  dialog.returnValue = ""; // where Escape leaves it alone, it still has the answer before
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
  });
}

async function removeFile(item) {
  const file = fileOf.get(item);
  const answer = await ask(file);
  if (!answer) return;
  await attempt(async () => {
    await call("DELETE", `v1/files/${file.id}${answer === "delete" ? "?object=delete" : ""}`);
    const neighbour = item.nextElementSibling ?? item.previousElementSibling;
    item.remove();
    showEmpty();
    (neighbour?.querySelector(".remove") ?? $("files-title")).focus();
    const fate = answer === "delete" ? "deleted" : "removed from the list";
    say(`${quoted(file.filename)} is ${fate}.`);
  });
}

/* Wiring */

function listen() {
  $("destination").onchange = showDestination;
  $("choose").onchange = () => {
    enqueue([...$("choose").files]);
    $("choose").value = ""; // so that choosing the same file again is a change
  };
  $("more").onclick = () => attempt(loadFiles);
  $("files").onclick = ({ target }) => {
    const item = target.closest("li");
    if (target.matches(".copy")) attempt(() => copyLink(fileOf.get(item)));
    if (target.matches(".remove")) removeFile(item);
  };
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.onclick = ({ target }) => {
      const button = target.closest("button");
      if (button) dialog.close(button.value);
    };
  }

  // The whole page takes drops: a near miss would otherwise navigate away to the file.
  const dragging = (on) => $("drop").classList.toggle("over", on);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    dragging(event.dataTransfer.types.includes("Files"));
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => relatedTarget ?? dragging(false));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    dragging(false);
    if ($("choose").disabled) return;
    const items = [...event.dataTransfer.items].filter(({ kind }) => kind === "file");
    const files = items.filter((item) => !item.webkitGetAsEntry?.()?.isDirectory);
    if (files.length < items.length) say("Folders cannot be uploaded. Drop the files inside instead.");
    enqueue(files.map((item) => item.getAsFile()).filter(Boolean));
  });
  window.addEventListener("beforeunload", (event) => {
    if (running.size) event.preventDefault();
  });
}

listen();
attempt(async () => {
  await loadDestinations();
  await loadFiles(); // last, so that trying again never lists a file twice
});
