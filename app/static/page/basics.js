/** Shared by the parts of the page at `/`: requests, messages, rows and their keys. */

import { UploadError, Uploader } from "../uploader.js";
import { failure, say } from "../words.js";

const TOKEN = "claimcheck-token"; // in this tab's session storage

export const uploader = new Uploader({ token: () => sessionStorage.getItem(TOKEN) });
/** No retries: the person at the page can try again. */
export const call = (method, path) => uploader.request(method, path, { retries: 0 });

export const $ = (id) => document.getElementById(id);

/** Keep the token for this tab. */
export const keepToken = (token) => sessionStorage.setItem(TOKEN, token);

/* Messages: the toast for success, the notice for failures of the page itself. */

let toastTimer;
export function toast(text) {
  $("toast").textContent = text;
  $("toast").classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => $("toast").classList.remove("shown"), 5000);
}

/** Run `work`; an UploadError becomes the notice, whose button tries again. Other errors are bugs. */
export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof UploadError)) throw error;
    notice(error, () => attempt(work));
  }
}

function notice(error, again) {
  $("sign-in").hidden = error.status !== 401;
  const [text, button] = $("notice").children;
  const { title, detail, lang } = failure(error);
  const isAnonymous = error.status === 401 && !sessionStorage.getItem(TOKEN);
  text.lang = isAnonymous ? "" : lang;
  text.textContent = isAnonymous ? say("sign-in-please") : `${title.replace(/\.$/, "")}. ${detail}`;
  if (isAnonymous) text.removeAttribute("lang");
  button.textContent = say(error.retry ? "try-again" : "dismiss");
  button.onclick = () => {
    $("notice").hidden = true;
    if (error.retry) again();
  };
  $("notice").hidden = false;
}

/* Rows: one tab stop each, the arrow keys move inside and to the rows above and below. */

/** A row for a file from a template, its buttons named for screen readers. */
export function row(template, name) {
  const item = $(template).content.firstElementChild.cloneNode(true);
  item.querySelector("bdi").textContent = name;
  item.querySelector(".actions").ariaLabel = say("actions-of", { file: name });
  for (const action of item.querySelectorAll(".actions > *")) {
    action.ariaLabel = say("does", { does: action.textContent, file: name });
  }
  rove(item);
  return item;
}

const offered = (item) => [...item.querySelectorAll(".actions > :not([hidden])")];

/** Make one of the row's actions its tab stop: this one, or that which is it already. */
export function rove(item, stop) {
  const actions = offered(item);
  stop ??= actions.find(({ tabIndex }) => tabIndex === 0) ?? actions[0];
  for (const action of actions) action.tabIndex = action === stop ? 0 : -1;
}

/** Let the arrow keys, Home and End move in the rows of a list (WAI-ARIA APG, toolbar and grid). */
export function moveByArrows(list) {
  list.addEventListener("focusin", ({ target }) => {
    const item = target.closest("li");
    if (target.matches(".actions > *")) rove(item, target);
  });
  list.addEventListener("keydown", (event) => {
    const item = event.target.closest("li");
    if (!event.target.matches(".actions > *") || event.ctrlKey || event.altKey || event.metaKey) return;
    const actions = offered(item);
    const at = actions.indexOf(event.target);
    const ahead = getComputedStyle(list).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
    const back = ahead === "ArrowRight" ? "ArrowLeft" : "ArrowRight";
    const above = item.previousElementSibling;
    const below = item.nextElementSibling;
    const to = {
      [ahead]: () => actions[at + 1],
      [back]: () => actions[at - 1],
      Home: () => actions[0],
      End: () => actions.at(-1),
      ArrowUp: () => above && (offered(above)[at] ?? offered(above).at(-1)),
      ArrowDown: () => below && (offered(below)[at] ?? offered(below).at(-1)),
    }[event.key];
    if (!to) return;
    event.preventDefault();
    to()?.focus();
  });
}
