/** The page of a request for files, `/r#token`: what is asked for, and a place to send it from. */

import { $, moveByArrows } from "./page/basics.js";
import { refused, showRules } from "./page/destinations.js";
import { takeFiles, withoutLitter } from "./page/dropped.js";
import { rows, underWay, uploadRow } from "./page/upload-row.js";
import { email, introduce, isComplete, look, name, uploader } from "./request/session.js";
import { UploadError } from "./uploader.js";
import { bytes, failure, language, moment, say, sayIn, speak } from "./words.js";

let request = null; // as the service showed it last

/** Show the request, what is left of it, and what was sent. */
function show() {
  $("note").textContent = request.note;
  $("note").hidden = false;
  showRules(request.destination);
  const count = request.files_left;
  const left = { count, size: bytes(request.bytes_left), end: moment(new Date(request.expires_at)) };
  $("left").textContent = count > 0 ? say("request-left", left) : say("request-full");
  // What has a row of its own above is not finished, but is being sent.
  const above = new Set([...rows].map(({ file }) => file.name));
  const sent = request.sent.filter(
    ({ state, filename }) => state === "confirmed" || !above.has(filename),
  );
  $("sent").replaceChildren(...sent.map(sentRow));
  $("sent-section").hidden = !sent.length;
  open(true);
}

function open(isOpen) {
  $("open").hidden = !isOpen;
  $("choose").disabled = !isOpen;
}

function sentRow({ filename, size, state, reason, confirmed_at: at }) {
  const item = $("sent-row").content.firstElementChild.cloneNode(true);
  item.querySelector("bdi").textContent = filename;
  const facts = {
    completing: "request-checking",
    confirmed: "request-arrived",
    rejected: "request-rejected",
  };
  item.querySelector(".facts").textContent = say(facts[state] ?? "request-unfinished", {
    size: bytes(size),
    reason,
    time: at && moment(new Date(at)),
  });
  return item;
}

/** Ask the service again; false where that failed, which the notice tells. */
async function refresh() {
  try {
    request = await look();
  } catch (error) {
    if (!(error instanceof UploadError)) throw error;
    const isOver = error.status === 401;
    if (isOver) open(false);
    notice(isOver ? say("request-ended") : failure(error).detail, isOver ? null : refresh);
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

/** Whether it was begun before: it is announced already, and is not counted again. */
const isBegun = ({ name, size }) =>
  request.sent.some(
    (one) => one.state === "pending" && one.filename === name && one.size === size,
  );

/** Upload files; `paths` has that of each in the folder that it was dropped with. */
async function send(files, paths = new Map()) {
  files = [...files];
  if (!(await refresh())) return;
  // The service takes what is announced together as a whole or not at all.
  let left = request.files_left - [...rows].filter(({ state }) => state === "waiting").length;
  const { destination } = request;
  for (const file of files) {
    const why = refused(file, destination) ?? (left > 0 || isBegun(file) ? null : tooMany());
    if (!why && !isBegun(file)) left -= 1;
    const options = { destination: destination.name, path: paths.get(file) };
    uploadRow(file, {
      refused: why,
      begin: (onProgress) => uploader.upload(file, { ...options, onProgress }),
      ended: refresh,
    });
  }
}

function tooMany() {
  const most = say("request-too-many-detail", { count: request.files_left });
  const { lang } = language();
  return new UploadError(say("request-too-many"), most, { retry: false, lang });
}

/** Say what is wrong with the address, if anything; returns whether nothing is. */
function checkEmail() {
  const isRight = $("email").validity.valid;
  $("email-wrong").textContent = isRight ? "" : say("request-email-wrong");
  $("email").ariaInvalid = String(!isRight);
  return isRight;
}

async function changeSender() {
  if (!checkEmail()) return;
  try {
    await introduce($("name").value.trim(), $("email").value.trim());
  } catch (error) {
    if (!(error instanceof UploadError)) throw error;
    notice(failure(error).detail, changeSender);
  }
}

function listen() {
  $("choose").onchange = () => {
    send(withoutLitter($("choose").files));
    $("choose").value = ""; // so that choosing the same file again is a change
  };
  $("name").onchange = $("email").onchange = changeSender;
  // What is wrong is said once one has left the field, and no longer than it is wrong.
  $("email").oninput = () => $("email").validity.valid && checkEmail();
  takeFiles(send);
  moveByArrows($("uploads"));
  addEventListener("beforeunload", (event) => {
    if (underWay().length) event.preventDefault();
  });
  // Another link in this tab is another page.
  addEventListener("hashchange", () => location.reload());
}

await speak();
Object.assign(document.documentElement, language());
sayIn(document);
document.title = say("request-heading");
listen();
if (!isComplete) {
  notice(say("request-incomplete"));
} else if (await refresh()) {
  $("name").value = name();
  $("email").value = email();
}
