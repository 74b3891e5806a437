/** The page at `/`: choose or drop files, follow their uploads; list, open and remove files. */

import { UploadError, Uploader } from "./uploader.js";
import { bytes, limits, quoted, refusal } from "./words.js";

const PAGE = 50; // files for each request
const THUMBNAIL_LIMIT = 25 << 20; // 25 MiB: the thumbnail is the file itself
const TOKEN = "claimcheck-token"; // in this tab's session storage

const uploader = new Uploader({ token: () => sessionStorage.getItem(TOKEN) });
/** No retries: the person at the page can try again. */
const call = (method, path) => uploader.request(method, path, { retries: 0 });

const $ = (id) => document.getElementById(id);
const fileOf = new WeakMap(); // <li> -> file
let destinations = [];
let nextCursor = null;

const wholeDate = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const hour = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

function row(template, name) {
  const item = $(template).content.firstElementChild.cloneNode(true);
  item.querySelector("bdi").textContent = name;
  return item;
}

/* Messages: the toast for success, the notice for failures of the page itself. */

let toastTimer;
function say(text) {
  $("toast").textContent = text;
  $("toast").classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $("toast").classList.remove("shown"), 5000);
}

function notice(problem, again) {
  $("notice").hidden = false;
  const isAnonymous = problem.status === 401 && !sessionStorage.getItem(TOKEN);
  $("sign-in").hidden = problem.status !== 401;
  $("notice").querySelector("span").textContent = isAnonymous
    ? "Sign in with an access token: an API key, a JWT of your provider, or an upload session's."
    : problem.message;
  const button = $("notice").querySelector("button");
  button.textContent = problem.retry ? "Try again" : "Dismiss";
  button.onclick = () => {
    $("notice").hidden = true;
    if (problem.retry) again();
  };
}

/** Run `work`; an UploadError becomes the notice, whose button tries again. Other errors are bugs. */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof UploadError)) throw error;
    notice(error, () => attempt(work));
  }
}

/* Destinations */

async function loadDestinations() {
  ({ items: destinations } = await call("GET", "v1/destinations"));
  $("destination").replaceChildren(...destinations.map(({ name }) => new Option(name, name)));
  for (const id of ["destination", "choose", "folder"]) $(id).disabled = !destinations.length;
  showDestination();
}

/** The rules of a destination: each file fits one of the types, and one of the extensions. */
function rulesOf({ content_types: types, extensions, min_size: minSize, max_size: maxSize }) {
  return {
    types: types.includes("*/*") ? [] : types,
    extensions: extensions.map((extension) => `.${extension}`),
    sizes: { minSize, maxSize },
  };
}

const chosenDestination = () => destinations.find(({ name }) => name === $("destination").value);

function showDestination() {
  const chosen = chosenDestination();
  if (!chosen) return;
  const { types, extensions, sizes } = rulesOf(chosen);
  $("choose").accept = [...types, ...extensions].join(",");
  const accepted = extensions.length ? extensions : types;
  const any = accepted.length ? "" : "any type, ";
  $("accepts").textContent = `Takes ${any}${limits({ accepted, ...sizes })}`;
}

/** Why the destination would not take the file, as UploadError, or null. */
function refused(file, destination) {
  const { types, extensions, sizes } = rulesOf(destination);
  const why =
    refusal(file, { accepted: types, ...sizes }) ?? refusal(file, { accepted: extensions });
  return why && new UploadError(why.title, why.detail, { retry: false });
}

/* Uploads */

const BUSY = {
  hashing: "Reading",
  retrying: "Connection lost, trying again",
  offline: "No connection, going on when it is back",
  paused: "Paused",
};
const shown = new Set(); // the uploads on the page: {file, upload, loaded, paused, failed, cancel}
const NOTHING = { done: 0, gone: 0, bytes: 0, last: "" };
let since = { ...NOTHING }; // counts of uploads that ended since none was under way

const underWay = () => [...shown].filter(({ failed }) => !failed);

/** Upload files; `pathOf` gives the path of one in the folder that it was dropped with. */
function enqueue(files, pathOf = () => undefined) {
  const chosen = chosenDestination();
  for (const file of files) {
    uploadRow(file, { destination: chosen.name, path: pathOf(file) }, refused(file, chosen));
  }
}

/** Show a file, and upload it with these options unless it is refused. */
function uploadRow(file, options, refused) {
  const item = row("upload-row", file.name);
  const [state, bar, problem] = [".state", "progress", ".problem"].map((s) => item.querySelector(s));
  const buttons = {};
  for (const button of item.querySelectorAll("button")) {
    buttons[button.classList[1]] = button;
    button.setAttribute("aria-label", `${button.textContent} ${file.name}`);
  }
  const { pause, resume, cancel, retry, dismiss } = buttons;
  bar.setAttribute("aria-label", `Upload of ${file.name}`);

  /** Show only these buttons; the focus moves to the first if its button is hidden. */
  const offer = (...offered) => {
    const focused = document.activeElement;
    for (const button of Object.values(buttons)) button.hidden = !offered.includes(button);
    if (item.contains(focused) && focused.hidden) offered[0].focus();
  };
  const leave = () => {
    const hadFocus = item.contains(document.activeElement);
    item.remove();
    shown.delete(self);
    if (hadFocus) $("choose").focus();
    showTotal();
  };
  const onProgress = ({ loaded, total, state: now }) => {
    self.loaded = loaded;
    self.paused = now === "paused";
    bar.value = total ? loaded / total : 1;
    const part = `${bytes(loaded)} of ${bytes(total)}`;
    if (now === "waiting") state.textContent = `Waiting, ${bytes(total)}`;
    else if (now === "sending") state.textContent = part;
    else if (now === "confirming") state.textContent = `Checking, ${bytes(total)}`;
    else state.textContent = `${BUSY[now]}, ${part}`;
    if (now === "paused") offer(resume, cancel);
    else if (now === "confirming") offer(cancel);
    else offer(pause, cancel);
    showTotal();
  };
  const start = async () => {
    Object.assign(self, { loaded: 0, failed: false, paused: false });
    item.classList.remove("failed");
    bar.hidden = false;
    problem.hidden = true;
    onProgress({ loaded: 0, total: file.size, state: "waiting" });
    self.upload = uploader.upload(file, { ...options, onProgress });
    try {
      const stored = await self.upload;
      since.done += 1;
      since.bytes += file.size;
      since.last = stored.filename;
      leave();
      addFiles([stored], "prepend");
    } catch (error) {
      if (error.name === "AbortError") return;
      fail(error);
    }
    showTotal();
  };
  const fail = (error) => {
    self.failed = true;
    self.loaded = 0;
    state.textContent = `Not uploaded, ${bytes(file.size)}`;
    item.classList.add("failed");
    bar.hidden = true;
    problem.hidden = false;
    offer(...(error.retry ? [retry] : []), dismiss);
    const title = document.createElement("strong");
    title.textContent = error.title ?? "Something went wrong";
    problem.replaceChildren(title, ` ${error.detail ?? error.message}`);
    if (!(error instanceof UploadError)) throw error;
  };
  const self = {
    file,
    /** Resolves to whether it was cancelled before it became a file. */
    async cancel() {
      since.gone += 1;
      leave();
      return self.upload.cancel();
    },
  };

  pause.onclick = () => self.upload.pause();
  resume.onclick = () => self.upload.resume();
  cancel.onclick = async () => {
    const cancelled = await self.cancel();
    say(`${quoted(file.name)} ${cancelled ? "is cancelled." : "had arrived. Reload to see it."}`);
  };
  dismiss.onclick = leave;
  retry.onclick = start;
  shown.add(self);
  $("uploads").append(item);
  if (refused) fail(refused);
  else start();
}

/** The summary of all uploads, and the message when the last of them has ended. */
function showTotal() {
  const open = underWay();
  if (!open.length && (since.done || since.gone)) {
    if (since.done === 1) say(`${quoted(since.last)} is uploaded.`);
    else if (since.done) say(`${since.done} files are uploaded.`);
    since = { ...NOTHING };
  }
  const count = since.done + open.length;
  $("total").hidden = count < 2 || !open.length;
  const sum = (of) => open.reduce((before, one) => before + of(one), since.bytes);
  const [loaded, total] = [sum((one) => one.loaded), sum((one) => one.file.size)];
  $("total").querySelector("progress").value = total ? loaded / total : 0;
  $("total-state").textContent =
    `${since.done} of ${count} files, ${bytes(loaded)} of ${bytes(total)}`;
  const going = open.some(({ paused }) => !paused);
  $("pause-all").textContent = going ? "Pause all" : "Resume all";
}

function pauseAll() {
  const open = underWay();
  const going = open.some(({ paused }) => !paused);
  for (const { upload } of open) going ? upload.pause() : upload.resume();
}

async function cancelAll() {
  const open = underWay();
  $("choose").focus();
  const cancelled = await Promise.all(open.map((one) => one.cancel()));
  const late = cancelled.filter((gone) => !gone).length;
  say(`Cancelled.${late ? ` ${late} had arrived. Reload to see them.` : ""}`);
}

/* Dropped files, and files in dropped folders. */

const LITTER = new Set([".DS_Store", "Thumbs.db", "desktop.ini"]); // of operating systems

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

async function dropped(items) {
  // Read the entries at once: after the event there are none.
  const taken = items.map((item) => [item.webkitGetAsEntry?.(), item.getAsFile()]);
  for (const [entry, file] of taken) {
    try {
      const paths = new Map(entry?.isDirectory ? await filesOf(entry) : file ? [[file]] : []);
      enqueue(paths.keys(), (one) => paths.get(one));
    } catch {
      say(`${quoted(entry.name)} cannot be read.`);
    }
  }
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

// A link in a page sends no token, so `content_url` has a grant, which expires.
function contentPath(file) {
  const path = file.content_url?.slice(1) ?? `v1/files/${file.id}/content?`;
  return `${path}&disposition=inline`;
}

async function openAfresh(event, file) {
  if (!file.content_url || Date.now() < Date.parse(file.presigned_url_expires_at)) return;
  event.preventDefault();
  const tab = window.open("", "_blank"); // at once, because later browsers block it as a pop-up
  try {
    const fresh = await call("GET", `v1/files/${file.id}`);
    tab.opener = null;
    tab.location = contentPath(fresh);
  } catch (error) {
    tab?.close();
    throw error;
  }
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
  open.href = contentPath(file);
  open.onclick = (event) => attempt(() => openAfresh(event, file));
  open.setAttribute("aria-label", `Open ${file.filename} (new tab)`);
  item.querySelector(".thumb").append(thumbnail(file));
  return item;
}

function thumbnail(file) {
  const extension = /\.([a-z0-9]{1,4})$/i.exec(file.filename)?.[1] ?? "file";
  const badge = document.createElement("span");
  badge.textContent = extension.toLowerCase();
  if (!file.content_type.startsWith("image/") || file.size > THUMBNAIL_LIMIT) return badge;
  if (!file.presigned_url) return badge; // it is not scanned yet, or is in quarantine
  const image = new Image();
  image.alt = "";
  image.loading = "lazy";
  image.decoding = "async";
  image.onerror = () => {
    // The link may have expired while the page was open: ask for a new one, once.
    image.onerror = () => image.replaceWith(badge);
    call("GET", `v1/files/${file.id}`).then(
      (fresh) => (image.src = fresh.presigned_url),
      image.onerror,
    );
  };
  image.src = file.presigned_url;
  return image;
}

function unread({ scan }) {
  return scan === "pending" ? "It is not scanned yet: try again in a moment." : "It is in quarantine.";
}

async function copyLink(file) {
  // A fresh one, which is valid for its whole time.
  const fresh = call("GET", `v1/files/${file.id}`);
  const text = fresh.then(({ presigned_url: url }) => new Blob([url ?? ""], { type: "text/plain" }));
  try {
    // In Safari the click's permission lasts if the clipboard gets a promise.
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
    const { presigned_url: read, presigned_url_expires_at: end } = await fresh;
    if (!read) return say(unread(await fresh));
    const until = new Date(end);
    const today = until.toDateString() === new Date().toDateString();
    say(`Link copied. It works until ${(today ? hour : wholeDate).format(until)}.`);
  } catch {
    // No clipboard (plain http) or no permission; a failed request is thrown again by this.
    const { presigned_url: url } = await fresh;
    if (!url) return say(unread(await fresh));
    const field = $("link").querySelector("input");
    field.value = url;
    $("link").showModal();
    field.select();
  }
}

function ask(file) {
  const dialog = $("remove");
  dialog.querySelector("bdi").textContent = file.filename;
  dialog.returnValue = ""; // Escape leaves the value of the time before
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

/* Events */

function listen() {
  $("destination").onchange = showDestination;
  for (const chooser of [$("choose"), $("folder")]) {
    chooser.onchange = () => {
      enqueue([...chooser.files].filter(({ name }) => !LITTER.has(name)));
      chooser.value = ""; // so that choosing the same file again is a change
    };
  }
  $("pause-all").onclick = pauseAll;
  $("cancel-all").onclick = cancelAll;
  $("sign-in").onsubmit = (event) => {
    event.preventDefault();
    sessionStorage.setItem(TOKEN, $("token").value.trim());
    $("token").value = "";
    $("sign-in").hidden = $("notice").hidden = true;
    attempt(load);
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

  // The whole page accepts drops: beside the target the browser would open the file.
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
    dropped([...event.dataTransfer.items].filter(({ kind }) => kind === "file"));
  });
  document.addEventListener("paste", ({ clipboardData }) => {
    if (!$("choose").disabled) enqueue(clipboardData.files);
  });
  window.addEventListener("beforeunload", (event) => {
    if (underWay().length) event.preventDefault();
  });
}

async function load() {
  await loadDestinations();
  await loadFiles(); // last, so that a retry lists no file twice
}

listen();
attempt(load);
