/** The row of a file on its way, for pages with a list `uploads` and a template `upload-row`. */

import { badge, picture } from "../thumbnail.js";
import { UploadError } from "../uploader.js";
import { bytes, duration, failure, listed, quoted, say } from "../words.js";
import { $, rove, row, toast } from "./basics.js";

/** Those on the page: {file, upload, state, loaded, speed, failed, cancel, leave}. */
export const rows = new Set();

export const underWay = () => [...rows].filter(({ failed }) => !failed);

/**
 * Show a file, and upload it unless it is refused with an UploadError. `begin(onProgress)` begins
 * its upload; `where` says where it goes. The page hears of what becomes of it: `changed()` each
 * time, `stored(file)` and `cancelled()` before its row goes, `ended()` when it is all over.
 */
export function uploadRow(file, { begin, refused, where = "", changed, stored, cancelled, ended }) {
  const item = row("upload-row", file.name);
  const [state, bar, problem] = [".state", "progress", ".problem"].map((s) => item.querySelector(s));
  const buttons = {};
  for (const button of item.querySelectorAll("button")) buttons[button.classList[1]] = button;
  const { pause, resume, cancel, retry, dismiss } = buttons;
  bar.ariaLabel = say("upload-of", { file: file.name });
  item.querySelector(".where").textContent = where;
  show(item.querySelector(".thumb"), file);

  /** Show only these buttons; the focus moves to the first if its button is hidden. */
  const offer = (...offered) => {
    const focused = document.activeElement;
    for (const button of Object.values(buttons)) button.hidden = !offered.includes(button);
    rove(item);
    if (item.contains(focused) && focused.hidden) offered[0].focus();
  };
  const onProgress = ({ loaded, total, state: now, speed, secondsLeft }) => {
    Object.assign(self, { loaded, speed: speed ?? 0, state: now });
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
    changed?.();
  };
  const start = async () => {
    Object.assign(self, { failed: false });
    item.classList.remove("failed");
    bar.hidden = false;
    problem.hidden = true;
    onProgress({ loaded: 0, total: file.size, state: "waiting" });
    self.upload = begin(onProgress);
    try {
      const file = await self.upload;
      stored?.(file);
      self.leave();
    } catch (error) {
      if (error.name === "AbortError") return;
      fail(error);
    }
    ended?.();
  };
  const fail = (error) => {
    Object.assign(self, { failed: true, loaded: 0, speed: 0, state: "failed" });
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
    changed?.();
    if (!(error instanceof UploadError)) throw error;
  };
  const self = {
    file,
    /** Take it off the page. */
    leave() {
      const hadFocus = item.contains(document.activeElement);
      const neighbour = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      rows.delete(self);
      if (hadFocus) (neighbour?.querySelector(".actions > [tabindex='0']") ?? $("choose")).focus();
      changed?.();
    },
    /** Resolves to whether it was cancelled before it became a file. */
    async cancel() {
      cancelled?.();
      self.leave();
      return self.upload.cancel();
    },
  };

  pause.onclick = () => self.upload.pause();
  resume.onclick = () => self.upload.resume();
  cancel.onclick = async () => {
    const isGone = await self.cancel();
    toast(say(isGone ? "is-cancelled" : "had-arrived", { file: quoted(file.name) }));
    ended?.();
  };
  dismiss.onclick = self.leave;
  retry.onclick = start;
  rows.add(self);
  $("uploads").append(item);
  if (refused) fail(refused);
  else start();
}

/** Without a connection, refused for a reason, or neither: it makes a difference what to do. */
function whyNot({ status, type, retry }) {
  if (!status && retry) return "not-sent-offline";
  const isRefused = status ? status < 500 : !type;
  return isRefused ? "not-sent-refused" : "not-sent";
}

/** Speed and time left, in words. */
export const pace = (speed, secondsLeft) => [
  speed > 0 && say("speed", { size: bytes(speed) }),
  speed > 0 && Number.isFinite(secondsLeft) && say("time-left", { time: duration(secondsLeft) }),
];

async function show(thumb, file) {
  thumb.replaceChildren(badge(file.name, say("nameless").toLowerCase()));
  const canvas = await picture(file);
  if (canvas) thumb.replaceChildren(canvas);
}
