/** The list of files: open them, copy links to them, remove them. */

import { badge } from "../thumbnail.js";
import { bytes, moment, quoted, say, timeIn } from "../words.js";
import { $, attempt, call, row, toast } from "./basics.js";

const PAGE = 50; // files for each request
const THUMBNAIL_LIMIT = 25 << 20; // 25 MiB: the thumbnail is the file itself

const fileOf = new WeakMap(); // <li> -> file
let nextCursor = null;

export async function loadFiles() {
  const query = new URLSearchParams({ limit: PAGE });
  if (nextCursor) query.set("cursor", nextCursor);
  const { items, next_cursor: next } = await call("GET", `v1/files?${query}`);
  const rows = addFiles(items, "append");
  const hadFocus = document.activeElement === $("more");
  nextCursor = next;
  $("more").hidden = !next;
  showEmpty();
  if (hadFocus) rows[0]?.querySelector(".open").focus();
}

/** Put files at the beginning ("prepend") or the end ("append") of the list. */
export function addFiles(files, where) {
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
  timeIn(time);
  const open = item.querySelector(".open");
  open.href = contentPath(file);
  open.onclick = (event) => attempt(() => openAfresh(event, file));
  open.ariaLabel = say("new-tab", { file: file.filename });
  item.querySelector(".thumb").append(thumbnail(file));
  return item;
}

function thumbnail(file) {
  const instead = badge(file.filename, say("nameless").toLowerCase());
  if (!file.content_type.startsWith("image/") || file.size > THUMBNAIL_LIMIT) return instead;
  if (!file.presigned_url) return instead; // it is not scanned yet, or is in quarantine
  const image = new Image();
  image.alt = "";
  image.loading = "lazy";
  image.decoding = "async";
  image.onerror = () => {
    // The link may have expired while the page was open: ask for a new one, once.
    image.onerror = () => image.replaceWith(instead);
    call("GET", `v1/files/${file.id}`).then(
      (fresh) => (image.src = fresh.presigned_url),
      image.onerror,
    );
  };
  image.src = file.presigned_url;
  return image;
}

const unread = (scan) => (scan === "pending" ? "not-scanned" : "in-quarantine");

async function copyLink(file) {
  // A fresh one, which is valid for its whole time.
  const fresh = call("GET", `v1/files/${file.id}`);
  const text = fresh.then(({ presigned_url: url }) => new Blob([url ?? ""], { type: "text/plain" }));
  try {
    // In Safari the click's permission lasts if the clipboard gets a promise.
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": text })]);
    const { presigned_url: read, presigned_url_expires_at: end, scan } = await fresh;
    if (!read) return toast(say(unread(scan)));
    toast(say("copied", { end: moment(new Date(end)) }));
  } catch {
    // No clipboard (plain http) or no permission; a failed request is thrown again by this.
    const { presigned_url: url, scan } = await fresh;
    if (!url) return toast(say(unread(scan)));
    const field = $("link").querySelector("input");
    field.value = url;
    $("link").showModal();
    field.select();
  }
}

function ask(file) {
  const dialog = $("remove");
  const name = document.createElement("bdi");
  name.textContent = file.filename;
  const [before, after] = say("remove-this", { file: "\0" }).split("\0");
  dialog.querySelector("h2").replaceChildren(before, name, after);
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
    toast(say(answer === "delete" ? "is-deleted" : "is-removed", { file: quoted(file.filename) }));
  });
}

/** Copy or remove the file whose button was pressed. */
export function onFiles({ target }) {
  const item = target.closest("li");
  if (target.matches(".copy")) attempt(() => copyLink(fileOf.get(item)));
  if (target.matches(".remove")) removeFile(item);
}
