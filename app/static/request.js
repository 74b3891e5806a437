/** The page of a request for files, `/r#token`: what is asked for, and a place to send it from. */

import { email, introduce, isComplete, look, name, uploader } from "./request/session.js";
import { say, sayIn } from "./request/words.js";
import { UploadError } from "./uploader.js";
import { bytes, limits, refusal } from "./words.js";

const $ = (id) => document.getElementById(id);
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const rows = new Set(); // {file, upload, waiting, failed}
let request = null;

function row(template, name) {
  const item = $(template).content.firstElementChild.cloneNode(true);
  item.querySelector("bdi").textContent = name;
  return item;
}

/* The request, and what is left of it. */

/** What it takes: each file fits one of the types, and one of the extensions. */
function rules() {
  const { content_types: types, extensions, min_size: minSize, max_size: maxSize } =
    request.destination;
  return {
    types: types.includes("*/*") ? [] : types,
    extensions: extensions.map((one) => `.${one}`),
    sizes: { minSize, maxSize },
  };
}

function show() {
  const { types, extensions, sizes } = rules();
  const accepted = extensions.length ? extensions : types;
  $("note").textContent = request.note;
  $("choose").accept = [...types, ...extensions].join(",");
  const isFull = request.files_left < 1;
  const takes = say(accepted.length ? "request-takes" : "request-takes-any", {
    limits: limits({ accepted, ...sizes }),
  });
  const left = say("request-left", {
    count: request.files_left,
    size: bytes(request.bytes_left),
    end: moment.format(new Date(request.expires_at)),
  });
  $("accepts").textContent = isFull ? say("request-full") : `${takes} ${left}`;
  $("note").hidden = $("open").hidden = false;
  // What has a row of its own above is not finished, but is being sent.
  const above = new Set([...rows].map(({ file }) => file.name));
  const sent = request.sent.filter(
    ({ state, filename }) => state === "confirmed" || !above.has(filename),
  );
  $("sent").replaceChildren(...sent.map(sentRow));
  $("sent-section").hidden = !sent.length;
}

function sentRow({ filename, size, state, reason, confirmed_at: at }) {
  const item = row("sent-row", filename);
  const facts = {
    pending: "request-unfinished",
    completing: "request-checking",
    confirmed: "request-arrived",
    rejected: "request-rejected",
  };
  item.querySelector(".facts").textContent = say(facts[state], {
    size: bytes(size),
    reason,
    time: at && moment.format(new Date(at)),
  });
  return item;
}

/** Ask the service again; a failure becomes the notice, whose button tries again. */
async function refresh() {
  try {
    request = await look();
  } catch (error) {
    if (!(error instanceof UploadError)) throw error;
    const isOver = error.status === 401;
    if (isOver) $("open").hidden = true;
    notice(isOver ? say("request-ended") : error.message, !isOver && refresh);
    return false;
  }
  $("notice").hidden = true;
  show();
  return true;
}

function notice(text, again) {
  const [words, button] = $("notice").children;
  words.textContent = text;
  button.hidden = !again;
  button.onclick = again;
  $("notice").hidden = false;
}

/* Uploads */

/** Why the file cannot be sent, as an UploadError, or null. `left` is how many more can. */
function refused(file, left) {
  const { types, extensions, sizes } = rules();
  const why =
    refusal(file, { accepted: types, ...sizes }) ?? refusal(file, { accepted: extensions });
  if (why) return new UploadError(why.title, why.detail, { retry: false });
  if (left >= 1) return null;
  const most = say("request-too-many-detail", { count: request.files_left });
  return new UploadError(say("request-too-many"), most, { retry: false });
}

/** Whether it was begun before: it is announced already, and is not counted again. */
const isBegun = ({ name, size }) =>
  request.sent.some(
    (one) => one.state === "pending" && one.filename === name && one.size === size,
  );

async function send(files) {
  files = [...files];
  if (!(await refresh())) return;
  // The service takes what is announced together as a whole or not at all.
  let left = request.files_left - [...rows].filter(({ waiting }) => waiting).length;
  for (const file of files) {
    const begun = isBegun(file);
    const why = refused(file, begun ? 1 : left);
    if (!why && !begun) left -= 1;
    uploadRow(file, why);
  }
}

function uploadRow(file, why) {
  const item = row("upload-row", file.name);
  const [state, bar, problem] = [".state", "progress", ".problem"].map((s) => item.querySelector(s));
  const buttons = {};
  for (const button of item.querySelectorAll("button")) {
    buttons[button.classList[1]] = button;
    button.ariaLabel = say("request-does", { does: button.textContent, file: file.name });
  }
  const { pause, resume, cancel, retry, dismiss } = buttons;
  bar.ariaLabel = say("request-upload-of", { file: file.name });
  const self = { file, waiting: true, failed: false };

  /** Show only these buttons; the focus moves to the first if its button is hidden. */
  const offer = (...offered) => {
    const focused = document.activeElement;
    for (const button of Object.values(buttons)) button.hidden = !offered.includes(button);
    if (item.contains(focused) && focused.hidden) offered[0].focus();
  };
  const leave = () => {
    const hadFocus = item.contains(document.activeElement);
    item.remove();
    rows.delete(self);
    if (hadFocus) $("choose").focus();
  };
  const onProgress = ({ loaded, total, state: now }) => {
    self.waiting = now === "waiting";
    bar.value = total ? loaded / total : 1;
    state.textContent = say(`request-${now}`, { loaded: bytes(loaded), total: bytes(total) });
    if (now === "paused") offer(resume, cancel);
    else if (now === "confirming") offer(cancel);
    else offer(pause, cancel);
  };
  const fail = (error) => {
    Object.assign(self, { failed: true, waiting: false });
    item.classList.add("failed");
    state.textContent = say("request-not-sent", { total: bytes(file.size) });
    bar.hidden = true;
    problem.hidden = false;
    offer(...(error.retry ? [retry] : []), dismiss);
    const title = document.createElement("strong");
    title.textContent = error.title ?? say("request-wrong");
    problem.replaceChildren(title, ` ${error.detail ?? error.message}`);
    if (!(error instanceof UploadError)) throw error;
  };
  const start = async () => {
    Object.assign(self, { failed: false, waiting: true });
    item.classList.remove("failed");
    bar.hidden = false;
    problem.hidden = true;
    onProgress({ loaded: 0, total: file.size, state: "waiting" });
    const { name: destination } = request.destination;
    self.upload = uploader.upload(file, { destination, onProgress });
    try {
      await self.upload;
      leave();
    } catch (error) {
      if (error.name === "AbortError") return;
      fail(error);
    } finally {
      await refresh();
    }
  };

  pause.onclick = () => self.upload.pause();
  resume.onclick = () => self.upload.resume();
  cancel.onclick = async () => {
    leave();
    await self.upload.cancel();
    await refresh();
  };
  dismiss.onclick = leave;
  retry.onclick = start;
  rows.add(self);
  $("uploads").append(item);
  if (why) fail(why);
  else start();
}

/* Events */

function listen() {
  $("choose").onchange = () => {
    send($("choose").files);
    $("choose").value = ""; // so that choosing the same file again is a change
  };
  for (const field of [$("name"), $("email")]) {
    field.onchange = async () => {
      const isRight = $("email").validity.valid;
      $("email-wrong").hidden = isRight;
      $("email-wrong").textContent = isRight ? "" : say("request-email-wrong");
      $("email").setAttribute("aria-invalid", String(!isRight));
      if (!isRight) return;
      try {
        await introduce($("name").value.trim(), $("email").value.trim());
      } catch (error) {
        if (!(error instanceof UploadError)) throw error;
        notice(error.message, () => field.onchange());
      }
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
    if (!$("open").hidden) send(event.dataTransfer.files);
  });
  document.addEventListener("paste", ({ clipboardData }) => {
    if (!$("open").hidden && clipboardData.files.length) send(clipboardData.files);
  });
  window.addEventListener("beforeunload", (event) => {
    if ([...rows].some(({ failed }) => !failed)) event.preventDefault();
  });
  // Another link in this tab is another page.
  window.addEventListener("hashchange", () => location.reload());
}

sayIn(document);
listen();
if (!isComplete) {
  notice(say("request-incomplete"));
} else if (await refresh()) {
  $("name").value = name();
  $("email").value = email();
}
