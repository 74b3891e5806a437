/** Uploads under way: a row each, and all of them together. */

import { badge, picture } from "../thumbnail.js";
import { UploadError } from "../uploader.js";
import { bytes, duration, failure, listed, quoted, say } from "../words.js";
import { $, rove, row, toast, uploader } from "./basics.js";
import { chosenDestination, refused } from "./destinations.js";
import { addFiles } from "./files.js";

const shown = new Set(); // {file, upload, loaded, speed, paused, failed, cancel, leave}
const NOTHING = { done: 0, gone: 0, bytes: 0, last: "" };
let since = { ...NOTHING }; // counts of uploads that ended since none was under way

export const underWay = () => [...shown].filter(({ failed }) => !failed);

/** Upload files; `paths` has that of each in the folder that it was dropped with. */
export function enqueue(files, paths = new Map()) {
  const chosen = chosenDestination();
  for (const file of files) {
    uploadRow(file, { destination: chosen.name, path: paths.get(file) }, refused(file, chosen));
  }
}

/** Show a file, and upload it with these options unless it is refused. */
function uploadRow(file, options, refused) {
  const item = row("upload-row", file.name);
  const [state, bar, problem] = [".state", "progress", ".problem"].map((s) => item.querySelector(s));
  const buttons = {};
  for (const button of item.querySelectorAll("button")) buttons[button.classList[1]] = button;
  const { pause, resume, cancel, retry, dismiss } = buttons;
  bar.ariaLabel = say("upload-of", { file: file.name });
  item.querySelector(".where").textContent = say("to-destination", { destination: options.destination });
  show(item.querySelector(".thumb"), file);

  /** Show only these buttons; the focus moves to the first if its button is hidden. */
  const offer = (...offered) => {
    const focused = document.activeElement;
    for (const button of Object.values(buttons)) button.hidden = !offered.includes(button);
    rove(item);
    if (item.contains(focused) && focused.hidden) offered[0].focus();
  };
  const onProgress = ({ loaded, total, state: now, speed, secondsLeft }) => {
    Object.assign(self, { loaded, speed: speed ?? 0, paused: now === "paused" });
    bar.value = total ? loaded / total : 1;
    const isWhole = now === "waiting" || now === "confirming";
    state.textContent = listed([
      now !== "sending" && say(now),
      isWhole ? bytes(total) : say("part-of", { loaded: bytes(loaded), total: bytes(total) }),
      ...pace(speed, secondsLeft),
    ]);
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
      self.leave();
      addFiles([stored], "prepend");
    } catch (error) {
      if (error.name === "AbortError") return;
      fail(error);
    }
    showTotal();
  };
  const fail = (error) => {
    Object.assign(self, { failed: true, loaded: 0, speed: 0 });
    state.textContent = listed([say(whyNot(error)), bytes(file.size)]);
    item.classList.add("failed");
    bar.hidden = true;
    problem.hidden = false;
    offer(...(error.retry ? [retry] : []), dismiss);
    const { title, detail, lang } = failure(error);
    const strong = document.createElement("strong");
    strong.textContent = title;
    problem.lang = lang;
    problem.replaceChildren(strong, ` ${detail}`);
    if (!(error instanceof UploadError)) throw error;
  };
  const self = {
    file,
    /** Take it off the page. */
    leave() {
      const hadFocus = item.contains(document.activeElement);
      const neighbour = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      shown.delete(self);
      if (hadFocus) (neighbour?.querySelector(".actions > [tabindex='0']") ?? $("choose")).focus();
      showTotal();
    },
    /** Resolves to whether it was cancelled before it became a file. */
    async cancel() {
      since.gone += 1;
      self.leave();
      return self.upload.cancel();
    },
  };

  pause.onclick = () => self.upload.pause();
  resume.onclick = () => self.upload.resume();
  cancel.onclick = async () => {
    const cancelled = await self.cancel();
    toast(say(cancelled ? "is-cancelled" : "had-arrived", { file: quoted(file.name) }));
  };
  dismiss.onclick = self.leave;
  retry.onclick = start;
  shown.add(self);
  $("uploads").append(item);
  if (refused) fail(refused);
  else start();
  showTotal();
}

/** Without a connection, refused for a reason, or neither: it makes a difference what to do. */
function whyNot({ status, type, retry }) {
  if (!status && retry) return "not-sent-offline";
  const isRefused = status ? status < 500 : !type;
  return isRefused ? "not-sent-refused" : "not-sent";
}

const pace = (speed, secondsLeft) => [
  speed > 0 && say("speed", { size: bytes(speed) }),
  speed > 0 && Number.isFinite(secondsLeft) && say("time-left", { time: duration(secondsLeft) }),
];

async function show(thumb, file) {
  thumb.replaceChildren(badge(file.name, say("nameless").toLowerCase()));
  const canvas = await picture(file);
  if (canvas) thumb.replaceChildren(canvas);
}

/** The summary of all uploads, and the message when the last of them has ended. */
function showTotal() {
  const open = underWay();
  if (!open.length && (since.done || since.gone)) {
    if (since.done === 1) toast(say("is-uploaded", { file: quoted(since.last) }));
    else if (since.done) toast(say("are-uploaded", { count: since.done }));
    since = { ...NOTHING };
  }
  const count = since.done + open.length;
  $("total").hidden = count < 2 || !open.length;
  const sum = (of, start = 0) => open.reduce((before, one) => before + of(one), start);
  const [loaded, total] = [sum((one) => one.loaded, since.bytes), sum((one) => one.file.size, since.bytes)];
  const speed = sum((one) => one.speed);
  $("total").querySelector("progress").value = total ? loaded / total : 0;
  $("total-state").textContent = listed([
    say("total", { done: since.done, count }),
    say("part-of", { loaded: bytes(loaded), total: bytes(total) }),
    ...pace(speed, (total - loaded) / speed),
  ]);
  const going = open.some(({ paused }) => !paused);
  $("pause-all").textContent = say(going ? "pause-all" : "resume-all");
  const failed = shown.size - open.length;
  const hadFocus = document.activeElement === $("dismiss-all");
  $("dismiss-all").hidden = failed < 2;
  if (hadFocus && failed < 2) $("choose").focus();
}

export function pauseAll() {
  const open = underWay();
  const going = open.some(({ paused }) => !paused);
  for (const { upload } of open) going ? upload.pause() : upload.resume();
}

export async function cancelAll() {
  const open = underWay();
  $("choose").focus();
  const cancelled = await Promise.all(open.map((one) => one.cancel()));
  const late = cancelled.filter((gone) => !gone).length;
  toast([say("all-cancelled"), ...(late ? [say("late", { count: late })] : [])].join(" "));
}

/** Take all that failed off the page. */
export function dismissAll() {
  for (const one of shown) if (one.failed) one.leave();
}
